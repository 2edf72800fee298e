"""Work over many tickets in the background: a row says what is asked, how far it is, and what came of it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from helpdesk import crew
from helpdesk.accounts.models import User, Workspace
from helpdesk.errors import NotFound
from slas.models import Job
from slas.services import tracking
from tickets import dispatch

TASK = "slas.tasks.run_job"
LOST_AFTER = dt.timedelta(minutes=2)  # without a sign of life somebody else takes it up
ATTEMPTS = 5
KEPT_DAYS = 30


def start(
    *, workspace: Workspace, kind: str, now: dt.datetime, by: User | None = None, draft: Mapping[str, Any] | None = None
) -> Job:
    """Ask for the work, and queue it after the commit. A derivation that still waits serves this asking, too."""
    job: Job | None = None
    if kind == "derive":
        rows = Job.objects.for_workspace(workspace).filter(kind=kind, state="waiting")
        job = rows.select_for_update(skip_locked=True).first()
    if job is None:
        job = Job.unscoped.create(workspace=workspace, kind=kind, draft=draft or {}, created_by=by, created_at=now)
    dispatch.queue_after_commit(TASK, str(job.pk))
    return job


def find(workspace_id: UUID, job_id: UUID) -> Job:
    """A job of the workspace. Raises NotFound, also for a foreign id."""
    job: Job | None = Job.objects.for_workspace(workspace_id).filter(pk=job_id).first()
    if job is None:
        raise NotFound("There is no such job.", errors={"id": ["There is no such job."]})
    return job


def latest(workspace_id: UUID, kind: str) -> Job | None:
    """The newest job of this kind."""
    found: Job | None = Job.objects.for_workspace(workspace_id).filter(kind=kind).order_by("-created_at", "-pk").first()
    return found


def take(*, job_id: UUID, now: dt.datetime) -> Job | None:
    """The job, marked as running by us; None when somebody works on it or it is over."""
    free = Q(state="waiting") | Q(state="running", seen_at__lt=now - LOST_AFTER)
    mine = Job.unscoped.filter(free, pk=job_id, attempts__lt=ATTEMPTS)
    if not mine.update(state="running", seen_at=now, done=0, attempts=F("attempts") + 1):
        return None
    return Job.unscoped.select_related("workspace").get(pk=job_id)


def progress(job: Job, *, done: int, total: int, now: dt.datetime) -> None:
    """Say how far it is; also the sign of life."""
    Job.unscoped.filter(pk=job.pk).update(done=done, total=total, seen_at=now)


def finish(job: Job, *, result: Mapping[str, Any], now: dt.datetime, failed: bool = False) -> None:
    """Say what came of it."""
    state = "failed" if failed else "done"
    Job.unscoped.filter(pk=job.pk).update(state=state, result=result, finished_at=now, seen_at=now)


def give_back(job: Job, *, error: str, now: dt.datetime) -> None:
    """It went wrong: it waits to be taken up again, or has failed after the last of its attempts."""
    if job.attempts < ATTEMPTS:
        Job.unscoped.filter(pk=job.pk).update(state="waiting", seen_at=now)
    else:
        finish(job, result={"error": error}, now=now, failed=True)


def lost(*, now: dt.datetime) -> list[UUID]:
    """The jobs that nobody works on: the broker lost them, or their worker died."""
    waiting = Q(state="waiting", created_at__lt=now - dt.timedelta(seconds=30))
    silent = Q(state="running", seen_at__lt=now - LOST_AFTER)
    rows = Job.unscoped.filter(waiting | silent)
    # Whoever takes it up dies: it is given up, and says so.
    rows.filter(attempts__gte=ATTEMPTS).update(
        state="failed", result={"error": "It was begun several times and never finished."}, finished_at=now
    )
    return list(rows.filter(attempts__lt=ATTEMPTS).values_list("pk", flat=True)[:100])


def forget(*, now: dt.datetime) -> int:
    """Delete the jobs that ended long ago."""
    old = Job.unscoped.filter(state__in=["done", "failed"], finished_at__lt=now - dt.timedelta(days=KEPT_DAYS))
    return old.delete()[0]


def derive(job: Job, *, clock: Any) -> None:
    """Reckon the clocks of every ticket in work anew, and count those that moved. `clock()` tells the time."""
    tickets = tracking.in_work(job.workspace_id)
    result = {"tickets": 0, "moved": 0}

    def add(batch: list[UUID], moved: int) -> None:
        result["tickets"] += len(batch)
        result["moved"] += moved
        progress(job, done=result["tickets"], total=len(tickets), now=clock())

    crew.side_by_side(
        tracking.batches(tickets),
        lambda batch: tracking.retrack(workspace_id=job.workspace_id, ticket_ids=batch, now=clock()),
        add,
    )
    finish(job, result=result, now=clock())
