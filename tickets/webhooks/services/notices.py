"""The owner of a webhook is told when it was switched off by itself."""

import datetime as dt
import logging
import smtplib
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.roles import Permission, Role
from tickets.webhooks.models import Endpoint

logger = logging.getLogger(__name__)

BY_ITSELF = ("gone", "failing")


def tell_owners(*, now: dt.datetime, limit: int = 50) -> int:
    """Tell of up to `limit` webhooks that were switched off by themselves; gives of how many.

    A mail server that is away ends the run: the rest is told by the next one. A worker that is killed between mail
    and commit tells twice, under one Message-ID.
    """
    told = 0
    while told < limit:
        try:
            if not _tell_next(now):
                break
        except (smtplib.SMTPException, OSError) as error:
            logger.warning("Nobody was told of a webhook that is off: %s", type(error).__name__)
            break
        told += 1
    return told


@transaction.atomic
def _tell_next(now: dt.datetime) -> bool:
    rows = Endpoint.unscoped.select_for_update(skip_locked=True, no_key=True, of=("self",)).select_related("workspace")
    row: Endpoint | None = rows.filter(told_at=None, off_reason__in=BY_ITSELF).order_by("off_at").first()
    if row is None:
        return False
    row.told_at = now
    row.save(update_fields=["told_at"])
    if not row.workspace.is_test:
        _mail(row)
    return True


def _mail(endpoint: Endpoint) -> None:
    """Raises SMTPException and OSError."""
    to = [member.user.email for member in recipients(endpoint)]
    if not to:
        return
    context = {
        "endpoint": endpoint,
        "workspace": endpoint.workspace,
        "server": endpoint.url.partition("?")[0],  # what follows may be a secret
        "url": settings.SITE_URL + reverse("webhooks:endpoint", args=[endpoint.pk]),
    }
    for address in to:
        mail = EmailMultiAlternatives(
            " ".join(render_to_string("email/webhook_off.subject.txt", context).split()),
            render_to_string("email/webhook_off.txt", context),
            to=[address],
            headers={
                "Message-ID": f"<webhook.{endpoint.pk}.{endpoint.off_at:%Y%m%d%H%M%S}@helpdesk.invalid>",
                "Auto-Submitted": "auto-generated",  # RFC 3834
            },
        )
        mail.attach_alternative(render_to_string("email/webhook_off.html", context), "text/html")
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused:
            logger.warning("Somebody who should hear that webhook %s is off takes no mail.", endpoint.pk)


def recipients(endpoint: Endpoint) -> Sequence[Membership]:
    """Who made it, if they may still change it; else all owners of the workspace."""
    members = [
        member
        for member in Membership.objects.for_workspace(endpoint.workspace_id)
        .filter(is_active=True, user__is_active=True, role__in=[Role.ADMIN.value, Role.OWNER.value])
        .select_related("user")
        .order_by("pk")
        if member.may(Permission.MANAGE)
    ]
    makers = [member for member in members if member.user_id == endpoint.created_by_id]
    return makers or [member for member in members if member.role == Role.OWNER.value]
