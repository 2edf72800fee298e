"""Background work of the portal: thin doors to the services."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from portal.services import privacy


@shared_task(time_limit=3600)
def run_privacy_request(request_id: str) -> bool:
    """Export or erase what is stored about an address, unless somebody does that already."""
    return privacy.run(request_id=UUID(request_id), clock=timezone.now)


@shared_task
def take_up_privacy_requests() -> int:
    """Queue the exports and erasures whose time has come, that the broker lost, or whose worker was killed."""
    found = privacy.take_up(now=timezone.now())
    for pk in found:
        run_privacy_request.delay(str(pk))
    return len(found)


@shared_task
def delete_old_exports() -> int:
    """Delete the files of exports that are a week old."""
    return privacy.delete_old_files(now=timezone.now())
