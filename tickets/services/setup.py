"""Categories, custom fields, canned responses and saved views."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F

from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import User, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets import markup
from tickets.models import CannedResponse, Category, Field, Ticket, View
from tickets.models.setup import COLOR, FIELD_KEY, FIELD_KINDS, SHORTCUT
from tickets.services import base

MAX_DEPTH = 5
MAX_FIELDS = 50
MAX_OPTIONS = 100


def _known(changes: Mapping[str, Any], fields: set[str]) -> None:
    if unknown := sorted(set(changes) - fields):
        raise InvalidInput("There is no such field.", errors={name: ["There is no such field."] for name in unknown})


def _checked(validator: Any, field: str, value: str) -> str:
    try:
        validator(value)
    except ValidationError as error:
        raise InvalidInput.of(field, error.messages[0]) from None
    return value


# --- Categories -------------------------------------------------------------------------------


def descendants(workspace_id: UUID, category_id: UUID) -> list[UUID]:
    """The ids of a category and all below it, archived ones too (their tickets are still there)."""
    children: dict[UUID | None, list[UUID]] = {}
    for pk, parent in Category.objects.for_workspace(workspace_id).values_list("pk", "parent_id"):
        children.setdefault(parent, []).append(pk)
    found, todo = [category_id], [category_id]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


@transaction.atomic
def save_category(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, category: Category | None = None
) -> Category:
    """Make a category, or change the given fields of one: name, description, color, parent_id.

    Raises InvalidInput naming the field (also a name that exists beside it, a circle, a tree
    deeper than five), NotFound for a foreign parent.
    """
    _known(changes, {"name", "description", "color", "parent_id"})
    # Two people moving categories at once could close a circle: one at a time per workspace.
    Workspace.objects.select_for_update().get(pk=workspace.pk)
    if category is None:
        category = Category(workspace=workspace)
        changes = {"name": "", **changes}
    else:
        # As it is now: what somebody else changed meanwhile must not be written back.
        category = cast(Category, base.find_category(workspace.pk, category.pk, "id"))
    if "name" in changes:
        category.name = base.text("name", changes["name"], longest=80, one_line=True)
    if "description" in changes:
        category.description = base.text("description", changes["description"], longest=2000, required=False)
    if "color" in changes:
        category.color = _checked(COLOR, "color", base.text("color", changes["color"], longest=7))
    if "parent_id" in changes:
        category.parent = base.find_category(workspace.pk, changes["parent_id"], "parent_id")
        _refuse_circles(category)
    is_moved = not category._state.adding and "parent_id" in changes
    try:
        with transaction.atomic():
            category.save()
    except IntegrityError:
        raise InvalidInput.of("name", "There is a category with this name already.") from None
    if is_moved:
        accounts.facts_changed(workspace_id=workspace.pk, now=now)
    return category


def _refuse_circles(category: Category) -> None:
    depth, above = 1, category.parent
    while above is not None:
        if above.pk == category.pk:
            raise InvalidInput.of("parent_id", "A category cannot be below itself.")
        depth, above = depth + 1, above.parent
    if depth + _levels_below(category) > MAX_DEPTH:
        raise InvalidInput.of("parent_id", f"Categories can be {MAX_DEPTH} levels deep.")


def _levels_below(category: Category) -> int:
    rows = Category.objects.for_workspace(category.workspace_id).filter(archived_at=None)
    levels, below = 0, list(rows.filter(parent=category.pk).values_list("pk", flat=True))
    while below:
        levels, below = levels + 1, list(rows.filter(parent__in=below).values_list("pk", flat=True))
    return levels


@transaction.atomic
def delete_category(*, category: Category, now: dt.datetime) -> None:
    """Archive a category: it can no longer be chosen, its tickets keep it.

    Raises Conflict while it has categories below it.
    """
    Workspace.objects.select_for_update().get(pk=category.workspace_id)  # nobody puts one below it meanwhile
    fresh = Category.objects.for_workspace(category.workspace_id).select_for_update().get(pk=category.pk)
    if fresh.children.filter(archived_at=None).exists():
        raise Conflict("There are categories below this one; move or delete them first.", code="has_children")
    fresh.archived_at = now
    fresh.save(update_fields=["archived_at"])


# --- Custom fields ----------------------------------------------------------------------------


@transaction.atomic
def save_field(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, field: Field | None = None
) -> Field:
    """Make a custom field, or change the given properties: label, options, is_required, position.

    A new one also takes its key and kind, which stay. `options` are a choice's, in their order; one
    that is taken away stays on its tickets. `position` is its place from 1; the others make room.

    Raises InvalidInput naming the property (also a key that is taken), NotFound for a deleted field,
    Conflict beyond 50 fields.
    """
    _known(changes, {"key", "label", "kind", "options", "is_required", "position"})
    # Places are given out anew below: one at a time per workspace.
    Workspace.objects.select_for_update().get(pk=workspace.pk)
    others = base.live_fields(workspace.pk)
    if field is None:
        if len(others) >= MAX_FIELDS:
            raise Conflict(f"A workspace can have up to {MAX_FIELDS} fields.", code="too_many")
        field = _new_field(workspace, changes, others, now=now)
        changes = {"label": "", "options": [], **changes}
    else:
        field = next((other for other in others if other.pk == field.pk), None)
        if field is None:
            raise NotFound("There is no such field.", errors={"id": ["There is no such field."]})
        for name in ("key", "kind"):
            if name in changes and changes[name] != getattr(field, name):
                raise InvalidInput.of(name, f"The {name} stays as it is: the answers of tickets depend on it.")
        others.remove(field)
    if "label" in changes:
        field.label = base.text("label", changes["label"], longest=60, one_line=True)
    if "options" in changes:
        field.options = _options(field.kind, changes["options"])
    if "is_required" in changes:
        if not isinstance(changes["is_required"], bool):
            raise InvalidInput.of("is_required", "This must be true or false.")
        field.is_required = changes["is_required"]
    place = changes.get("position", field.position)
    if isinstance(place, bool) or not isinstance(place, int) or place < 1:
        raise InvalidInput.of("position", "This must be a place: 1 is the first.")
    others.insert(place - 1, field)
    field.position = others.index(field) + 1
    field.save()
    _number(workspace.pk, others)
    return field


def _new_field(workspace: Workspace, changes: Mapping[str, Any], others: list[Field], *, now: dt.datetime) -> Field:
    key = _checked(FIELD_KEY, "key", base.text("key", changes.get("key", ""), longest=40))
    kind = base.choice("kind", changes.get("kind", ""), [kind for kind, _ in FIELD_KINDS])
    if any(other.key == key for other in others):
        raise InvalidInput.of("key", "There is a field with this key already.")
    if Field.objects.for_workspace(workspace).filter(key=key).exclude(kind=kind).exists():
        # Its answers are still on the tickets, and would be shown as answers of this one.
        raise InvalidInput.of("key", "A deleted field of another kind had this key. Choose another one.")
    return Field(workspace=workspace, key=key, kind=kind, position=len(others) + 1, created_at=now)


def _options(kind: str, values: Any) -> list[str]:
    if not isinstance(values, list | tuple):
        raise InvalidInput.of("options", "This must be a list of words.")
    options = [base.text("options", value, longest=80, one_line=True) for value in values[: MAX_OPTIONS + 1]]
    if kind != "choice" and options:
        raise InvalidInput.of("options", "Only a choice has options.")
    if kind == "choice" and not 1 <= len(options) <= MAX_OPTIONS:
        raise InvalidInput.of("options", f"A choice has 1 to {MAX_OPTIONS} options.")
    if len(set(options)) < len(options):
        raise InvalidInput.of("options", "An option is there twice.")
    return options


def _number(workspace_id: UUID, fields: list[Field]) -> None:
    moved = []
    for place, field in enumerate(fields, start=1):
        if field.position != place:
            field.position = place
            moved.append(field)
    Field.objects.for_workspace(workspace_id).bulk_update(moved, ["position"])


@transaction.atomic
def delete_field(*, field: Field, now: dt.datetime) -> None:
    """Archive a custom field: it is no longer asked or shown. Its answers stay with the tickets, unseen."""
    Workspace.objects.select_for_update().get(pk=field.workspace_id)
    field.archived_at = now
    field.save(update_fields=["archived_at"])
    _number(field.workspace_id, base.live_fields(field.workspace_id))


# --- Canned responses -------------------------------------------------------------------------


@transaction.atomic
def save_canned_response(
    *,
    workspace: Workspace,
    changes: Mapping[str, Any],
    now: dt.datetime,
    response: CannedResponse | None = None,
    author: User | None = None,
) -> CannedResponse:
    """Make a canned response, or change the given fields: title, shortcut, content, category_id.

    Raises InvalidInput naming the field (also a shortcut that is taken), NotFound for a foreign category.
    """
    _known(changes, {"title", "shortcut", "content", "category_id"})
    if response is None:
        response = CannedResponse(workspace=workspace, created_by=author, created_at=now)
        changes = {"title": "", "shortcut": "", "content": "", **changes}
    else:
        # As it is now, and locked: uses are counted meanwhile.
        response = CannedResponse.objects.for_workspace(workspace).select_for_update().filter(pk=response.pk).first()
        if response is None:
            raise NotFound("There is no such canned response.", errors={"id": ["There is no such canned response."]})
    if "title" in changes:
        response.title = base.text("title", changes["title"], longest=120, one_line=True)
    if "shortcut" in changes:
        shortcut = base.text("shortcut", changes["shortcut"], longest=41).removeprefix("/").lower()
        response.shortcut = _checked(SHORTCUT, "shortcut", shortcut)
    if "content" in changes:
        response.content = base.text("content", changes["content"], longest=20_000)
    # One that was archived since stays, as it does on tickets.
    if "category_id" in changes and changes["category_id"] != response.category_id:
        response.category = base.find_category(workspace.pk, changes["category_id"])
    response.updated_at = now
    try:
        with transaction.atomic():
            response.save()
    except IntegrityError:
        raise InvalidInput.of("shortcut", "There is a canned response with this shortcut already.") from None
    return response


def delete_canned_response(*, response: CannedResponse) -> None:
    """Forget a canned response; what was sent with it stays as it was sent."""
    response.delete()


def use_canned_response(*, response: CannedResponse) -> CannedResponse:
    """Count one use; two people at once are both counted."""
    CannedResponse.objects.for_workspace(response.workspace_id).filter(pk=response.pk).update(
        usage_count=F("usage_count") + 1
    )
    response.refresh_from_db(fields=["usage_count"])
    return response


def fill_canned_response(*, content: str, ticket: Ticket, agent_name: str) -> str:
    """The text with `{{customer_name}}`, `{{ticket_number}}` and `{{agent_name}}` filled in, literally."""
    return markup.fill(
        content,
        {
            "customer_name": ticket.requester_name or ticket.requester_email.partition("@")[0],
            "ticket_number": f"#{ticket.number}",
            "agent_name": agent_name,
        },
    )


# --- Saved views ------------------------------------------------------------------------------


def save_view(*, workspace: Workspace, owner: User | None, name: str, query: str, now: dt.datetime) -> View:
    """Keep a filter of the queue under a name: for its owner, or with None for everybody. Raises InvalidInput."""
    name = base.text("name", name, longest=60, one_line=True)
    query = base.text("query", query, longest=1000, required=False, one_line=True)
    return View.unscoped.create(workspace=workspace, owner=owner, name=name, query=query, created_at=now)


def delete_view(*, view: View) -> None:
    """Forget a saved view; the tickets it listed are not touched."""
    view.delete()
