"""Background work of the portal: thin doors to the services."""

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from portal.services import privacy, visits


@shared_task(bind=True)
def mail_links(self: Any, workspace_id: str | None, address: str, language: str = "") -> int:
    """Mail the owner of an address the links to their requests, if there are any; gives how many mails.

    Delivered twice, it sends them once. Without a workspace: those of every workspace.
    """
    return visits.send_links(
        workspace_id=UUID(workspace_id) if workspace_id else None,
        address=address,
        language=language,
        cause=self.request.id or "",
        now=timezone.now(),
    )


@shared_task
def forget_sign_in_links() -> int:
    """Delete the links that sign nobody in any more."""
    return visits.forget_links(now=timezone.now())


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
