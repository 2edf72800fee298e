"""Parsing rules: what a message that comes in says about its ticket, before there is one.

Rules are asked in their order. What a later rule sets replaces what an earlier one set; tags add up.
Expressions are RE2: their time grows with the length of the text only, whatever an admin writes.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import re2
from django.db import transaction
from django.db.models import F, Max, Q

from helpdesk.accounts.models import Membership, Team, Workspace
from helpdesk.accounts.roles import Permission
from helpdesk.errors import Conflict, DomainError, InvalidInput, NotFound
from tickets.lifecycle import Priority
from tickets.mail.models import Mailbox, ParsingRule
from tickets.mail.parsing.message import Message
from tickets.models import Category, Field
from tickets.services import base

FIELDS = ("sender", "recipient", "subject", "header", "body")
SOURCES = ("sender", "subject", "header", "body")
OPERATORS = ("is", "contains", "starts_with", "ends_with", "matches", "is_not", "contains_not")
DOINGS = ("set_priority", "set_category", "set_team", "assign", "add_tags", "drop", "map")
TARGETS = ("priority", "category", "tags", "requester_email", "requester_name")  # and custom_fields.<key>
CUSTOM = "custom_fields."
MAX_RULES = 200
MAX_PARTS = 20  # tests of a rule, and actions
MAX_PATTERN = 500  # characters
MAX_BODY = 200_000  # characters of a body that rules look at
_PATTERN_MEMORY = 2 << 20  # bytes that one expression may take

FIELD_WORDS = {
    "sender": "the sender",
    "recipient": "a recipient",
    "subject": "the subject",
    "header": "the header",
    "body": "the text",
}
OPERATOR_WORDS = {
    "is": "is",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches",
    "is_not": "is not",
    "contains_not": "does not contain",
}
# What mail programs write into X-Priority, Importance and Priority, and people into forms.
_PRIORITIES = {priority.value: priority.value for priority in Priority} | {
    "1": "urgent", "2": "high", "3": "medium", "4": "low", "5": "low",
    "highest": "urgent", "critical": "urgent", "normal": "medium", "lowest": "low", "non-urgent": "low",
}  # fmt: skip
_YES, _NO = frozenset({"yes", "true", "1", "on", "x", "checked"}), frozenset({"no", "false", "0", "off", "", "-"})


class Matched(NamedTuple):
    """A rule that matched, why, and what of it could not be done, in words."""

    rule: ParsingRule
    why: str


@dataclass
class Decision:
    """What the rules say of a message. None and empty: they say nothing, and the mailbox's own settings hold.

    All of it can be handed to `opening.open_ticket` as it is: what is named exists in the workspace.
    """

    is_dropped: bool = False
    dropped_by: str = ""  # the name of the rule
    priority: str | None = None
    category_id: UUID | None = None
    team_id: UUID | None = None
    assignee_id: UUID | None = None  # of a user
    tags: list[str] = field(default_factory=list)
    custom_fields: dict[str, Any] = field(default_factory=dict)
    requester_email: str = ""
    requester_name: str = ""
    matched: list[Matched] = field(default_factory=list)


# --- Deciding -----------------------------------------------------------------------------------


def decide(*, mailbox: Mailbox, message: Message, envelope_to: str = "") -> Decision:
    """What the active rules of a mailbox say of a message. Writes nothing, and raises nothing for any message.

    One query, one more for each kind of thing (category, team, agent, field) that matching rules name, and one for
    each custom field that is filled.
    `envelope_to` counts as a recipient. What is named and is gone is left out, and `matched` says so.
    """
    asked = ParsingRule.objects.for_workspace(mailbox.workspace_id).filter(Q(mailbox=None) | Q(mailbox=mailbox.pk))
    rows = asked.filter(is_active=True).order_by("position", "created_at", "pk")
    return _decide(mailbox.workspace_id, list(rows), message, envelope_to)


def _decide(workspace_id: UUID, rows: Sequence[ParsingRule], message: Message, envelope_to: str) -> Decision:
    decision = Decision()
    texts = _Texts(message, envelope_to)
    named = _Named(workspace_id)
    for rule in rows:
        because = _because(rule, texts)
        if because is None:
            continue
        left_out: list[str] = []
        for action in rule.actions:
            if action.get("do") == "drop":
                decision.is_dropped, decision.dropped_by = True, rule.name
            elif problem := _do(action, decision, texts, named):
                left_out.append(problem)
        decision.matched.append(Matched(rule, ". ".join(text[:1].upper() + text[1:] for text in [because, *left_out])))
        if decision.is_dropped or rule.stops:
            break
    return decision


def note_matches(*, decision: Decision, now: dt.datetime) -> None:
    """Count the rules that matched, after the commit: a busy rule's row must not make messages wait for each other."""
    ids = [match.rule.pk for match in decision.matched]
    if ids:
        transaction.on_commit(
            lambda: ParsingRule.unscoped.filter(pk__in=ids).update(matched_count=F("matched_count") + 1, matched_at=now)
        )


class _Texts:
    """What the tests look at, read from the message when first asked for."""

    def __init__(self, message: Message, envelope_to: str) -> None:
        self._message = message
        self._envelope_to = envelope_to
        self._known: dict[tuple[str, str], list[str]] = {}

    def of(self, name: str, header: str = "") -> list[str]:
        key = (name, header.lower())
        if key not in self._known:
            self._known[key] = self._read(name, header.lower())
        return self._known[key]

    def _read(self, name: str, header: str) -> list[str]:
        message = self._message
        if name == "sender":
            return [value for value in (message.sender.email, message.sender.name) if value] or [""]
        if name == "recipient":
            people = [person.email for person in (*message.to, *message.cc)]
            return list(dict.fromkeys(value for value in (*people, *message.delivered_to, self._envelope_to) if value))
        if name == "subject":
            return [message.subject]
        if name == "header":
            return [value for key, value in message.headers if key.lower() == header]
        return [(message.text or message.html)[:MAX_BODY]]

    def whole(self, source: str, header: str) -> str:
        """The one text that a mapping looks at."""
        if source == "sender":
            return f"{self._message.sender.name} <{self._message.sender.email}>".strip()
        return next(iter(self.of(source, header)), "")


def _because(rule: ParsingRule, texts: _Texts) -> str | None:
    """Why a rule matches, in words; None when it does not."""
    if not rule.tests:
        return "it is asked of every message"
    met = []
    for test in rule.tests:
        if _is_met(test, texts):
            met.append(test_words(test))
        elif rule.needs_all:
            return None
    return " and ".join(met) or None


def _is_met(test: Mapping[str, Any], texts: _Texts) -> bool:
    operator, wanted = str(test.get("operator", "")), str(test.get("value", ""))
    values = texts.of(str(test.get("field", "")), str(test.get("header", "")))
    if operator == "is_not":
        return not any(_same(value, wanted) for value in values)
    if operator == "contains_not":
        return not any(wanted.casefold() in value.casefold() for value in values)
    check = _CHECKS.get(operator)
    return check is not None and any(check(value, wanted) for value in values)


def _same(value: str, wanted: str) -> bool:
    return value.strip().casefold() == wanted.strip().casefold()


def _matches(value: str, wanted: str) -> bool:
    pattern = _compiled(wanted)
    return pattern is not None and _search(pattern, value) is not None


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "is": _same,
    "contains": lambda value, wanted: wanted.casefold() in value.casefold(),
    "starts_with": lambda value, wanted: value.strip().casefold().startswith(wanted.casefold()),
    "ends_with": lambda value, wanted: value.strip().casefold().endswith(wanted.casefold()),
    "matches": _matches,
}


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    """The expression, not caring about case; None for one that is none."""
    try:
        return _compile(pattern)
    except (re2.error, UnicodeError):
        return None


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    return re2.compile(pattern, options)


def _search(pattern: Any, value: str) -> Any:
    try:
        return pattern.search(value)
    except (re2.error, UnicodeError):
        return None


class _Named:
    """The rows that rules name, each kind read at most once."""

    def __init__(self, workspace_id: UUID) -> None:
        self._workspace_id = workspace_id
        self._kept: dict[str, dict[str, Any]] = {}

    def of(self, kind: str) -> dict[str, Any]:
        if kind not in self._kept:
            self._kept[kind] = _READERS[kind](self._workspace_id)
        return self._kept[kind]


def _categories(workspace_id: UUID) -> dict[str, Any]:
    rows = Category.objects.for_workspace(workspace_id).filter(archived_at=None).values_list("pk", "name")
    return {str(pk): name for pk, name in rows}


def _teams(workspace_id: UUID) -> dict[str, Any]:
    return {str(pk): name for pk, name in Team.objects.for_workspace(workspace_id).values_list("pk", "name")}


def _agents(workspace_id: UUID) -> dict[str, Any]:
    """Who can be given tickets today, by the id of the user."""
    members = Membership.objects.for_workspace(workspace_id).filter(is_active=True, user__is_active=True)
    return {str(one.user_id): str(one.user) for one in members.select_related("user") if one.may(Permission.WORK)}


def _fields(workspace_id: UUID) -> dict[str, Any]:
    return {one.key: one for one in base.live_fields(workspace_id)}


_READERS: dict[str, Callable[[UUID], dict[str, Any]]] = {
    "categories": _categories,
    "teams": _teams,
    "agents": _agents,
    "fields": _fields,
}


def _do(action: Mapping[str, Any], decision: Decision, texts: _Texts, named: _Named) -> str:
    """Note what an action says; the answer is what could not be done, in words."""
    doing, value = action.get("do"), action.get("value")
    if doing == "set_priority":
        decision.priority = str(value)
    elif doing == "set_category":
        if str(value) not in named.of("categories"):
            return "its category is gone and was left out"
        decision.category_id = UUID(str(value))
    elif doing == "set_team":
        if str(value) not in named.of("teams"):
            return "its team is gone and was left out"
        decision.team_id = UUID(str(value))
    elif doing == "assign":
        if str(value) not in named.of("agents"):
            return "its agent can no longer be given tickets and was left out"
        decision.assignee_id = UUID(str(value))
    elif doing == "add_tags":
        _add_tags(decision, [str(tag) for tag in value or ()])
    elif doing == "map":
        return _map(action, decision, texts, named)
    return ""


def _add_tags(decision: Decision, tags: Iterable[str]) -> None:
    decision.tags = list(dict.fromkeys([*decision.tags, *tags]))[:50]


def _map(action: Mapping[str, Any], decision: Decision, texts: _Texts, named: _Named) -> str:
    """Take what a pattern finds in the message into the ticket. What is found and does not fit is left out."""
    source, header = str(action.get("source", "")), str(action.get("header", ""))
    target, text = str(action.get("target", "")), texts.whole(source, header)
    if action.get("pattern"):
        pattern = _compiled(str(action["pattern"]))
        found = _search(pattern, text) if pattern is not None else None
        text = (found[1] if found and pattern.groups else found[0] if found else None) or ""
    text = " ".join(text.split())
    if not text:
        return f"{target_words(target, {})} was not found in {source_words(action)}"
    try:
        return _take(target, text, decision, named)
    except DomainError as error:
        return f"{target_words(target, {})} could not be “{text[:60]}”: {error.detail[:1].lower()}{error.detail[1:-1]}"


def _take(target: str, text: str, decision: Decision, named: _Named) -> str:
    if target == "requester_email":
        decision.requester_email = base.email_address(target, text)
    elif target == "requester_name":
        decision.requester_name = base.text(target, text[: base.NAME_LENGTH], longest=base.NAME_LENGTH, one_line=True)
    elif target == "priority":
        # Mail programs write “1 (Highest)”.
        words = text.casefold().replace("(", " ").replace(")", " ").split()
        known = [_PRIORITIES[word] for word in words if word in _PRIORITIES]
        if not known:
            return f"“{text[:60]}” is no priority"
        decision.priority = known[0]
    elif target == "category":
        by_name = {name.casefold(): pk for pk, name in named.of("categories").items()}
        if text.casefold() not in by_name:
            return f"there is no category “{text[:60]}”"
        decision.category_id = UUID(by_name[text.casefold()])
    elif target == "tags":
        words = [base.text("tags", word[:40], longest=40, one_line=True) for word in text.split(",") if word.strip()]
        _add_tags(decision, [word.lower() for word in words[:MAX_PARTS]])
    elif target.startswith(CUSTOM):
        key = target.removeprefix(CUSTOM)
        asked: Field | None = named.of("fields").get(key)
        if asked is None:
            return f"the field “{key}” is gone and was left out"
        # Checked as any other answer is.
        cleaned = base.clean_fields(asked.workspace_id, {key: _as_kind(asked, text)})
        decision.custom_fields[key] = cleaned.get(asked)
    return ""


def _as_kind(asked: Field, text: str) -> Any:
    """A text of a mail as the value of a custom field; as it is where it cannot be one."""
    if asked.kind == "number":
        try:
            number = float(text.replace(",", ""))
            return int(number) if number.is_integer() else number
        except (ValueError, OverflowError):
            return text
    if asked.kind == "choice":
        return next((option for option in asked.options if option.casefold() == text.casefold()), text)
    if asked.kind == "checkbox":
        word = text.casefold()
        return True if word in _YES else False if word in _NO else text
    return text[: base.ANSWER_LENGTH] if asked.kind == "text" else text


# --- Making and ordering ------------------------------------------------------------------------

CHANGES = frozenset({"name", "mailbox_id", "is_active", "needs_all", "tests", "actions", "stops"})


def rules(workspace_id: UUID) -> list[ParsingRule]:
    """The rules of a workspace in their order, each with its mailbox."""
    rows = ParsingRule.objects.for_workspace(workspace_id).select_related("mailbox")
    return list(rows.order_by("position", "created_at", "pk"))


def find_rule(workspace_id: UUID, rule_id: UUID) -> ParsingRule:
    """A rule of the workspace. Raises NotFound, also for a foreign id."""
    found: ParsingRule | None = (
        ParsingRule.objects.for_workspace(workspace_id).select_related("mailbox").filter(pk=rule_id).first()
    )
    if found is None:
        raise NotFound("There is no such rule.", errors={"id": ["There is no such rule."]})
    return found


@transaction.atomic
def save_rule(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, rule: ParsingRule | None = None
) -> ParsingRule:
    """Make a rule, last in the order, or change the given fields of one: see CHANGES and `ParsingRule`.

    Raises InvalidInput naming every place that is wrong (`tests.0.value`, `actions.1.pattern`), NotFound for a
    mailbox that is not there, Conflict beyond 200 rules.
    """
    if unknown := sorted(set(changes) - CHANGES):
        raise InvalidInput.of_all({name: ["There is no such field."] for name in unknown})
    rows = ParsingRule.objects.for_workspace(workspace.pk)
    if rule is None:
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)  # one last place for each
        if rows.count() >= MAX_RULES:
            raise Conflict(f"A workspace can have up to {MAX_RULES} parsing rules.", code="too_many")
        place = (rows.aggregate(last=Max("position"))["last"] or 0) + 1
        rule = ParsingRule(workspace=workspace, position=place, created_at=now)
        changes = {"name": "", "actions": [], **changes}
    errors: dict[str, list[str]] = {}
    for name, value in changes.items():
        try:
            setattr(rule, name, _clean(workspace.pk, name, value))
        except InvalidInput as error:
            errors |= error.errors
    if errors:
        raise InvalidInput.of_all(errors)
    rule.save()
    return rule


@transaction.atomic
def move_rule(*, rule: ParsingRule, up: bool) -> None:
    """Ask a rule one place earlier or later; the first and the last stay where they are."""
    Workspace.objects.select_for_update(no_key=True).get(pk=rule.workspace_id)
    ordered = rules(rule.workspace_id)
    place = next((index for index, one in enumerate(ordered) if one.pk == rule.pk), None)
    if place is None:
        return
    to = max(place - 1, 0) if up else min(place + 1, len(ordered) - 1)
    ordered.insert(to, ordered.pop(place))
    moved = [one for index, one in enumerate(ordered, 1) if one.position != index]
    for index, one in enumerate(ordered, 1):
        one.position = index
    ParsingRule.unscoped.bulk_update(moved, ["position"])


def delete_rule(*, rule: ParsingRule) -> None:
    """Ask a rule no more."""
    rule.delete()


def _clean(workspace_id: UUID, name: str, value: Any) -> Any:
    if name == "name":
        return base.text("name", value, longest=120, one_line=True)
    if name == "mailbox_id":
        return _mailbox_id(workspace_id, value)
    if name == "tests":
        return _cleaned_parts("tests", value, lambda place, part: _clean_test(place, part))
    if name == "actions":
        return _clean_actions(workspace_id, value)
    if not isinstance(value, bool):
        raise InvalidInput.of(name, "This must be true or false.")
    return value


def _mailbox_id(workspace_id: UUID, value: Any) -> UUID | None:
    if value is None:
        return None
    if not isinstance(value, UUID) or not Mailbox.objects.for_workspace(workspace_id).filter(pk=value).exists():
        raise InvalidInput.of("mailbox_id", "There is no such mailbox.")
    return value


def _cleaned_parts(
    name: str, parts: Any, clean: Callable[[str, Mapping[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    if not isinstance(parts, list | tuple):
        raise InvalidInput.of(name, "This must be a list.")
    if len(parts) > MAX_PARTS:
        raise InvalidInput.of(name, f"A rule can have up to {MAX_PARTS} of these.")
    cleaned, errors = [], {}
    for index, part in enumerate(parts):
        place = f"{name}.{index}"
        try:
            if not isinstance(part, Mapping):
                raise InvalidInput.of(place, "This must be an object.")
            cleaned.append(clean(place, part))
        except InvalidInput as error:
            errors.update(error.errors)
    if errors:
        raise InvalidInput.of_all(errors)
    return cleaned


class _Gathered:
    """What is wrong with the parts of one thing, so that all of it is said at once."""

    def __init__(self) -> None:
        self._errors: dict[str, list[str]] = {}

    def of(self, clean: Callable[[], Any]) -> Any:
        """What `clean` gives; None where it refuses."""
        try:
            return clean()
        except InvalidInput as error:
            self._errors |= error.errors
            return None

    def complain(self) -> None:
        """Raise InvalidInput naming every place that was refused, if there is one."""
        if self._errors:
            raise InvalidInput.of_all(self._errors)


def _clean_test(place: str, test: Mapping[str, Any]) -> dict[str, Any]:
    gathered = _Gathered()
    what = gathered.of(lambda: base.choice(f"{place}.field", test.get("field"), FIELDS))
    operator = gathered.of(lambda: base.choice(f"{place}.operator", test.get("operator"), OPERATORS))
    cleaned = {"field": what, "operator": operator}
    if what == "header":
        cleaned["header"] = gathered.of(lambda: _header_name(f"{place}.header", test.get("header")))
    wanted, value = f"{place}.value", test.get("value")
    if operator == "matches":
        cleaned["value"] = gathered.of(lambda: clean_pattern(wanted, value))
    else:
        cleaned["value"] = gathered.of(lambda: base.text(wanted, value, longest=MAX_PATTERN, one_line=True))
    gathered.complain()
    return cleaned


def _header_name(place: str, value: Any) -> str:
    """A field name of a header (RFC 5322, 3.6.8): printable ASCII without a colon."""
    name = base.text(place, value, longest=76, one_line=True).removesuffix(":")
    if not name or any(not "!" <= character <= "~" or character == ":" for character in name):
        raise InvalidInput.of(place, "This must be the name of a header, like X-Order-Number.")
    return name


def clean_pattern(place: str, value: Any, *, groups: int | None = None) -> str:
    """An RE2 expression, with at most `groups` groups if given. Raises InvalidInput naming `place`, saying why."""
    pattern = base.text(place, value, longest=MAX_PATTERN)
    try:
        compiled = _compile(pattern)
    except (re2.error, UnicodeError) as error:
        told = error.args[0] if error.args else ""
        what, _, where = (told.decode(errors="replace") if isinstance(told, bytes) else str(told)).partition(": ")
        said = f"{what} in “{where}”" if where else what
        raise InvalidInput.of(place, f"This is no regular expression: {said}.") from None
    if groups is not None and compiled.groups > groups:
        raise InvalidInput.of(place, "This must have one group in round brackets; write the others as (?:…).")
    return pattern


def _clean_actions(workspace_id: UUID, value: Any) -> list[dict[str, Any]]:
    named = _Named(workspace_id)
    cleaned = _cleaned_parts("actions", value, lambda place, part: _clean_action(place, part, named))
    if not cleaned:
        raise InvalidInput.of("actions", "Say what the rule does.")
    return cleaned


def _clean_action(place: str, action: Mapping[str, Any], named: _Named) -> dict[str, Any]:
    doing = base.choice(f"{place}.do", action.get("do"), DOINGS)
    if doing == "drop":
        return {"do": "drop"}
    if doing == "map":
        return {"do": "map", **_clean_map(place, action, named)}
    at, value = f"{place}.value", action.get("value")
    if doing == "set_priority":
        return {"do": doing, "value": base.choice(at, value, [priority.value for priority in Priority])}
    if doing == "add_tags":
        return {"do": doing, "value": _clean_tags(at, value)}
    kind = {"set_category": "categories", "set_team": "teams", "assign": "agents"}[doing]
    if str(value) not in named.of(kind):
        wanted = {"categories": "a category", "teams": "a team", "agents": "an agent"}[kind]
        raise InvalidInput.of(at, f"Choose {wanted}.")
    return {"do": doing, "value": str(value)}


def _clean_tags(place: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidInput.of(place, "Write one tag or more, with commas between them.")
    if len(value) > MAX_PARTS:
        raise InvalidInput.of(place, f"A rule can add up to {MAX_PARTS} tags.")
    return list(dict.fromkeys(base.text(place, word, longest=40, one_line=True).lower() for word in value))


def _clean_map(place: str, action: Mapping[str, Any], named: _Named) -> dict[str, Any]:
    gathered = _Gathered()
    source = gathered.of(lambda: base.choice(f"{place}.source", action.get("source"), SOURCES))
    target = gathered.of(lambda: _clean_target(f"{place}.target", action.get("target"), named))
    cleaned = {"source": source, "target": target, "pattern": ""}
    if source == "header":
        cleaned["header"] = gathered.of(lambda: _header_name(f"{place}.header", action.get("header")))
    if action.get("pattern") or source == "body":
        cleaned["pattern"] = gathered.of(lambda: _clean_part(f"{place}.pattern", action.get("pattern")))
    gathered.complain()
    return cleaned


def _clean_target(place: str, target: Any, named: _Named) -> str:
    if isinstance(target, str) and target.startswith(CUSTOM):
        if target.removeprefix(CUSTOM) in named.of("fields"):
            return target
    elif target in TARGETS:
        return str(target)
    raise InvalidInput.of(place, "Choose a field.")


def _clean_part(place: str, pattern: Any) -> str:
    if not pattern:
        raise InvalidInput.of(place, "Say which part of the text, like Order: (\\d+).")
    return clean_pattern(place, pattern, groups=1)


# --- In words -----------------------------------------------------------------------------------


def test_words(test: Mapping[str, Any]) -> str:
    """A test as part of a sentence: the sender ends with “@example.com”."""
    what = FIELD_WORDS.get(str(test.get("field")), str(test.get("field")))
    if test.get("field") == "header":
        what = f"{what} {test.get('header')}"
    operator = str(test.get("operator"))
    return f"{what} {OPERATOR_WORDS.get(operator, operator)} “{test.get('value')}”"


def source_words(action: Mapping[str, Any]) -> str:
    """Where a mapping looks: the subject, the header X-Order."""
    what = FIELD_WORDS.get(str(action.get("source")), str(action.get("source")))
    return f"{what} {action.get('header')}" if action.get("source") == "header" else what


def target_words(target: str, fields: Mapping[str, str]) -> str:
    """Where a mapping writes: the requester’s address, the field “Order number”. `fields`: labels by key."""
    known = {
        "priority": "the priority",
        "category": "the category",
        "tags": "the tags",
        "requester_email": "the requester’s address",
        "requester_name": "the requester’s name",
    }
    if target.startswith(CUSTOM):
        key = target.removeprefix(CUSTOM)
        return f"the field “{fields.get(key, key)}”"
    return known.get(target, target)


def when_words(rule: ParsingRule) -> str:
    """Which messages a rule is for: a sentence without its full stop."""
    where = f"Mail to {rule.mailbox.address}" if rule.mailbox else "Every message"
    if not rule.tests:
        return where
    tests = (" and " if rule.needs_all else " or ").join(test_words(test) for test in rule.tests)
    return f"{where}, when {tests}"


def then_words(rule: ParsingRule, names: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
    """What a rule does, action by action. `names`: of categories, teams and agents by their ids; `fields`: labels of
    custom fields by key.
    """
    return [_action_words(action, names, fields) for action in rule.actions]


def _action_words(action: Mapping[str, Any], names: Mapping[str, str], fields: Mapping[str, str]) -> str:
    doing, value = action.get("do"), action.get("value")
    if doing == "drop":
        return "drop it"
    if doing == "map":
        part = f", what matches {action['pattern']}" if action.get("pattern") else ""
        return f"take {target_words(str(action.get('target')), fields)} from {source_words(action)}{part}"
    if doing == "add_tags":
        return f"add {', '.join(map(str, value or ()))}"
    named = str(value).capitalize() if doing == "set_priority" else names.get(str(value), "what was deleted")
    start = {"set_priority": "priority", "set_category": "category", "set_team": "team", "assign": "agent"}
    return f"{start.get(str(doing), str(doing))} {named.strip()}"


def decision_words(decision: Decision, names: Mapping[str, str], fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """What would be set, as labels and values."""
    said = [
        ("Priority", (decision.priority or "").capitalize()),
        ("Category", names.get(str(decision.category_id), "").strip()),
        ("Team", names.get(str(decision.team_id), "")),
        ("Assignee", names.get(str(decision.assignee_id), "")),
        ("Tags", ", ".join(decision.tags)),
        ("Requester’s address", decision.requester_email),
        ("Requester’s name", decision.requester_name),
    ]
    for key, value in decision.custom_fields.items():
        shown = {True: "Yes", False: "No"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        said.append((fields.get(key, key), shown))
    return [(label, value) for label, value in said if value]
