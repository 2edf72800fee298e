"""Background work of the service levels: thin doors to the services."""

import logging
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from helpdesk.errors import DomainError
from slas.services import jobs, sweep, what_if

logger = logging.getLogger(__name__)


@shared_task
def sweep_clocks() -> int:
    """Record the breaches and warnings that have become due."""
    return sweep.sweep_all(now=timezone.now())


@shared_task
def run_job(job_id: str) -> None:
    """Do a piece of work over many tickets, unless somebody does it already."""
    job = jobs.take(job_id=UUID(job_id), now=timezone.now())
    if job is None:
        return
    try:
        if job.kind == "derive":
            jobs.derive(job, clock=timezone.now)
        else:
            what_if.run(job, clock=timezone.now)
    except DomainError as error:  # what the draft speaks of is gone meanwhile
        jobs.finish(job, result={"error": error.detail}, now=timezone.now(), failed=True)
    except Exception:
        jobs.give_back(job, error="Something went wrong on our side.", now=timezone.now())
        raise


@shared_task
def take_up_lost_jobs() -> None:
    """Queue the jobs that the broker lost or whose worker died; forget those that ended long ago."""
    now = timezone.now()
    for pk in jobs.lost(now=now):
        run_job.delay(str(pk))
    jobs.forget(now=now)
