"""What a workspace has to choose from when mail is set up, by kind, as (id, label) pairs."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from helpdesk.accounts.models import Membership, Team
from helpdesk.accounts.roles import Permission
from tickets.models import Category
from tickets.services import base

Pair = tuple[str, str]
_DEEPEST = 20  # categories above one another that a label names


def categories(workspace_id: UUID) -> list[Pair]:
    """The categories that can be chosen, each after the one it stands below: Billing › Invoices."""
    rows = Category.objects.for_workspace(workspace_id).filter(archived_at=None).values_list("pk", "name", "parent")
    known: Mapping[UUID, tuple[str, UUID | None]] = {pk: (name, parent) for pk, name, parent in rows}
    return sorted(((str(pk), _path(pk, known)) for pk in known), key=lambda pair: pair[1].casefold())


def _path(pk: UUID, known: Mapping[UUID, tuple[str, UUID | None]]) -> str:
    names: list[str] = []
    at: UUID | None = pk
    while at is not None and at in known and len(names) < _DEEPEST:
        name, at = known[at]
        names.insert(0, name)
    return " › ".join(names)


def teams(workspace_id: UUID) -> list[Pair]:
    """The teams."""
    rows = Team.objects.for_workspace(workspace_id).order_by("name").values_list("pk", "name")
    return [(str(pk), name) for pk, name in rows]


def agents(workspace_id: UUID) -> list[Pair]:
    """The members who can be given tickets, by the ids of the users."""
    members = Membership.objects.for_workspace(workspace_id).filter(is_active=True, user__is_active=True)
    found = [(str(one.user_id), str(one.user)) for one in members.select_related("user") if one.may(Permission.WORK)]
    return sorted(found, key=lambda pair: pair[1].casefold())


def fields(workspace_id: UUID) -> dict[str, str]:
    """The labels of the custom fields, by key."""
    return {field.key: field.label for field in base.live_fields(workspace_id)}


def names(*offered: Sequence[Pair]) -> dict[str, str]:
    """The labels of several kinds by id."""
    return {pk: label for pairs in offered for pk, label in pairs}
