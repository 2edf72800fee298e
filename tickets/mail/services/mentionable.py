"""Who can be mentioned in a note, and how."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from helpdesk.accounts.models import Membership

MOST = 8


@dataclass(frozen=True)
class Mentionable:
    """A member, and what stands after the @ to reach them: the part of their address before its own @."""

    handle: str
    name: str
    role: str


def mentionable(*, workspace_id: UUID, text: str) -> list[Mentionable]:
    """Members whose name or address begins like `text`, by name; at most eight. One query."""
    rows = Membership.objects.for_workspace(workspace_id).filter(is_active=True, user__is_active=True)
    wanted = text.strip()[:60]
    if wanted:
        rows = rows.filter(
            Q(user__email__istartswith=wanted)
            | Q(user__name__istartswith=wanted)
            | Q(user__name__icontains=f" {wanted}")
        )
    found = rows.select_related("user").order_by("user__name", "user__email")[:MOST]
    return [
        Mentionable(member.user.email.partition("@")[0], str(member.user), member.get_role_display())
        for member in found
    ]
