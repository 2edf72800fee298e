"""Who can be mentioned in a note, and how."""

import re
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from helpdesk.accounts.models import Membership

MOST = 8
_HANDLE = re.compile(r"\w(?:[\w.+-]{0,62}\w)?")  # what `notices.mentioned` reads after an @


@dataclass(frozen=True)
class Mentionable:
    """A member, and what stands after the @ to reach them."""

    handle: str
    name: str


def mentionable(*, workspace_id: UUID, text: str) -> list[Mentionable]:
    """Members whose name, a word of it or whose address begins with `text`, by name; at most eight. One query.

    A handle is what stands before the @ of the member's address; where others have the same, their first name, if
    only they have that. Who has neither cannot be mentioned, see `notices.mentioned`.
    """
    members = Membership.objects.for_workspace(workspace_id).filter(is_active=True, user__is_active=True)
    rows = list(members.order_by("user__name", "user__email").values_list("user__email", "user__name"))
    locals_ = Counter(_local_part(email) for email, _ in rows)
    firsts = Counter(_first_name(name) for _, name in rows)
    wanted = text.strip().lower()[:60]
    found = []
    for email, name in rows:
        begins = [_local_part(email), *name.lower().split(), name.lower()]
        if not any(word.startswith(wanted) for word in begins):
            continue
        local, first = _local_part(email), _first_name(name)
        if locals_[local] == 1 and _HANDLE.fullmatch(local):
            found.append(Mentionable(local, name or email))
        elif firsts[first] == 1 and not locals_[first] and _HANDLE.fullmatch(first):
            found.append(Mentionable(first, name or email))
    return found[:MOST]


def _local_part(email: str) -> str:
    return email.lower().partition("@")[0]


def _first_name(name: str) -> str:
    return name.lower().partition(" ")[0]
