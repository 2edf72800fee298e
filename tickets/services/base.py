"""What every service stands on: locks, lookups within the workspace, clean text."""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from helpdesk.accounts.models import Contact, Membership, Team
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, InvalidInput, LostUpdate, NotFound
from tickets.events import Actor, ActorKind
from tickets.markup import is_text, render_plain, sanitise
from tickets.models import Category, Field, Tag, Ticket

SUBJECT_LENGTH = 255
TEXT_LENGTH = 200_000
NAME_LENGTH = 120
ANSWER_LENGTH = 1000  # of a text in a custom field
UNREACHABLE = ".invalid"  # the domain of addresses that stand for people who gave none
LARGEST_NUMBER = 10**15  # beyond it, not every reader of JSON keeps whole numbers exact


@dataclass(frozen=True)
class Original:
    """How a message was written where it comes from, a mail for example.

    Its text is plain, not Markdown. `html` is how it looked, `folded_text` and `folded_html` the quoted history
    and signature that are shown on demand; HTML need not be safe, it is sanitised when it is kept.
    """

    html: str = ""
    folded_text: str = ""
    folded_html: str = ""

    def shown(self, body: str) -> str:
        """The sanitised HTML of the message whose plain text is `body`."""
        return (sanitise(self.html).strip() if self.html else "") or render_plain(body)

    def kept(self) -> dict[str, str]:
        """The fields of what is folded, as they are stored."""
        return {"folded_text": self.folded_text, "folded_html": sanitise(self.folded_html).strip()}


def agent(membership: Membership) -> Actor:
    """The actor for a member of the workspace."""
    user = membership.user
    return Actor(ActorKind.AGENT, user.name or user.email, user_id=user.pk)


def customer(contact: Contact) -> Actor:
    """The actor for a customer."""
    return Actor(ActorKind.CUSTOMER, contact.display_name, contact_id=contact.pk)


def lock(ticket: Ticket, *, expected_version: int | None = None, merged: bool = False) -> Ticket:
    """The ticket's row, locked until the transaction ends, as it stands now.

    Raises NotFound when it was trashed meanwhile, LostUpdate when `expected_version` is not its
    version, Conflict when it was merged into another (unless `merged` says that is fine).
    """
    fresh = Ticket.objects.for_workspace(ticket.workspace_id).live().select_for_update().filter(pk=ticket.pk).first()
    if fresh is None:
        raise NotFound("There is no such ticket.")
    if expected_version is not None and fresh.version != expected_version:
        raise LostUpdate("The ticket was changed since you read it. Read it again, then repeat your change.")
    if fresh.merged_into_id and not merged:
        raise Conflict("The ticket was merged into another one; work there.", code="merged")
    return fresh


def save(ticket: Ticket, *fields: str, now: dt.datetime) -> None:
    """Save these fields of a locked ticket, and count the change."""
    ticket.version += 1
    ticket.updated_at = now
    ticket.save(update_fields=[*fields, "version", "updated_at"])


def text(field: str, value: Any, *, longest: int, required: bool = True, one_line: bool = False) -> str:
    """A clean string, without white space around it.

    Raises InvalidInput naming `field`: not a string, not text (NUL, lone surrogate), empty though
    required, or longer than `longest` characters.
    """
    if not isinstance(value, str):
        raise InvalidInput.of(field, _("This must be text."))
    if not is_text(value):
        raise InvalidInput.of(field, _("This has characters that are not text."))
    value = re.sub(r"\s+", " ", value).strip() if one_line else value.replace("\r\n", "\n").strip()
    if required and not value:
        raise InvalidInput.of(field, _("This must not be empty."))
    if len(value) > longest:
        words = _("This is too long: %(length)s characters, %(longest)s are possible.")
        raise InvalidInput.of(field, words % {"length": len(value), "longest": longest})
    return value


def email_address(field: str, value: Any) -> str:
    """A valid e-mail address in lower case. Raises InvalidInput naming `field`."""
    address = text(field, value, longest=254).lower()
    try:
        validate_email(address)
    except ValidationError:
        raise InvalidInput.of(field, _("This is not a complete e-mail address, like jane@example.com.")) from None
    return address


def is_reachable(address: str) -> bool:
    """Whether mail can be sent to an address at all: never under `.invalid`, which no one can own (RFC 2606, 2)."""
    return not address.rpartition("@")[2].endswith(UNREACHABLE)


def choice(field: str, value: Any, choices: Iterable[str]) -> str:
    """One of `choices`. Raises InvalidInput naming `field`."""
    allowed = list(choices)
    if value not in allowed:
        raise InvalidInput.of(field, f"This must be one of: {', '.join(allowed)}.")
    return str(value)


def _missing(field: str, what: str) -> NoReturn:
    raise NotFound(f"There is no such {what}.", errors={field: [f"There is no such {what}."]})


def find_ticket(workspace_id: UUID, ticket_id: UUID, field: str = "id") -> Ticket:
    """A live ticket of the workspace. Raises NotFound, also for a foreign id."""
    ticket: Ticket | None = Ticket.objects.for_workspace(workspace_id).live().filter(pk=ticket_id).first()
    return ticket or _missing(field, "ticket")


def find_category(workspace_id: UUID, category_id: UUID | None, field: str = "category_id") -> Category | None:
    """A category that can be chosen; None for None. Raises NotFound, also for a foreign id."""
    if category_id is None:
        return None
    category: Category | None = (
        Category.objects.for_workspace(workspace_id).filter(pk=category_id, archived_at=None).first()
    )
    return category or _missing(field, "category")


def find_team(workspace_id: UUID, team_id: UUID | None, field: str = "team_id") -> Team | None:
    """A team of the workspace; None for None. Raises NotFound, also for a foreign id."""
    if team_id is None:
        return None
    team: Team | None = Team.objects.for_workspace(workspace_id).filter(pk=team_id).first()
    return team or _missing(field, "team")


def find_assignee(workspace_id: UUID, user_id: UUID, field: str = "assignee_id") -> Membership:
    """A member who can be given tickets.

    Raises NotFound for nobody of this workspace, InvalidInput for one who may not work on tickets.
    """
    member: Membership | None = (
        Membership.objects.for_workspace(workspace_id).filter(user_id=user_id).select_related("user").first()
    )
    if member is None:
        _missing(field, "agent")
    if not member.user.is_active or not member.may(Permission.WORK):
        raise InvalidInput.of(field, f"{member.user} cannot be given tickets.")
    return member


def find_tags(workspace_id: UUID, names: Any, field: str = "tags") -> list[Tag]:
    """The tags with these names, made where they are missing, each once. Raises InvalidInput."""
    if not isinstance(names, list | tuple):
        raise InvalidInput.of(field, "This must be a list of words.")
    if len(names) > 50:
        raise InvalidInput.of(field, "A ticket can have up to 50 tags.")
    wanted = list(dict.fromkeys(text(field, name, longest=40, one_line=True).lower() for name in names))
    # In one order for everybody: two who make the same tags at once would wait for each other.
    Tag.unscoped.bulk_create(
        [Tag(workspace_id=workspace_id, name=name) for name in sorted(wanted)], ignore_conflicts=True
    )
    return list(Tag.objects.for_workspace(workspace_id).filter(name__in=wanted).order_by("name"))


def find_contact(workspace_id: UUID, address: str, name: str = "") -> Contact:
    """The customer with this (clean) address, made when new; learns the name of one without."""
    contact, created = Contact.unscoped.get_or_create(
        workspace_id=workspace_id, email=address, defaults={"name": name[:NAME_LENGTH]}
    )
    if name and not created and not contact.name:
        contact.name = name[:NAME_LENGTH]
        contact.save(update_fields=["name"])
    return contact


# --- Custom fields ----------------------------------------------------------------------------


def live_fields(workspace_id: UUID) -> list[Field]:
    """The custom fields that the workspace asks for, in their order."""
    rows = Field.objects.for_workspace(workspace_id).filter(archived_at=None)
    return list(rows.order_by("position", "created_at", "pk"))


def find_field(workspace_id: UUID, field_id: UUID) -> Field:
    """A custom field that is asked for. Raises NotFound, also for a foreign id."""
    found: Field | None = Field.objects.for_workspace(workspace_id).filter(pk=field_id, archived_at=None).first()
    return found or _missing("id", "field")


def clean_fields(
    workspace_id: UUID, values: Any, *, stored: Mapping[str, Any] | None = None, complete: bool = False
) -> dict[Field, Any]:
    """Answers to custom fields, checked and as JSON keeps them, by field; None takes an answer away.

    text: one line of up to 1,000 characters; number: finite, up to 10^15; choice: one of its options;
    checkbox: true or false; date: YYYY-MM-DD. What is equal to `stored` is good already, also a
    choice that is no longer offered. `complete` asks for every required field.

    Raises InvalidInput naming `custom_fields.<key>` for each that is wrong or unknown.
    """
    if not isinstance(values, Mapping):
        raise InvalidInput.of("custom_fields", "This must be an object: the keys of fields and their values.")
    asked = {field.key: field for field in live_fields(workspace_id)}
    before = stored or {}
    cleaned: dict[Field, Any] = {}
    errors: dict[str, list[str]] = {}
    for key, value in values.items():
        name, field = f"custom_fields.{key}", asked.get(key)
        if field is None:
            errors[name] = ["There is no such field."]
        elif key in before and type(before[key]) is type(value) and before[key] == value:
            cleaned[field] = value
        else:
            try:
                cleaned[field] = _answer(name, field, value)
            except InvalidInput as error:
                errors |= error.errors
    if complete:
        for key, field in asked.items():
            if field.is_required and key not in values:
                errors[f"custom_fields.{key}"] = ["This field is required."]
    if errors:
        raise InvalidInput.of_all(errors)
    return cleaned


def _answer(name: str, field: Field, value: Any) -> Any:
    if value is not None:
        value = _ANSWERS[field.kind](name, field, value)
    if value is None and field.is_required:
        raise InvalidInput.of(name, "This field is required.")
    return value


def _text_answer(name: str, field: Field, value: Any) -> str | None:
    return text(name, value, longest=ANSWER_LENGTH, required=False, one_line=True) or None


def _number_answer(name: str, field: Field, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput.of(name, "This must be a number.")
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER or math.isnan(value):
        raise InvalidInput.of(name, "This number is too large: up to 1,000,000,000,000,000 are possible.")
    return value


def _choice_answer(name: str, field: Field, value: Any) -> str:
    return choice(name, value, field.options)


def _checkbox_answer(name: str, field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of(name, "This must be true or false.")
    return value


def _date_answer(name: str, field: Field, value: Any) -> str:
    try:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return dt.date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise InvalidInput.of(name, "This must be a date, like 2026-03-31.")


_ANSWERS: dict[str, Callable[[str, Field, Any], Any]] = {
    "text": _text_answer,
    "number": _number_answer,
    "choice": _choice_answer,
    "checkbox": _checkbox_answer,
    "date": _date_answer,
}
