"""Background work of the portal: thin doors to the services."""

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from portal.services import visits


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
