"""Mailboxes and how a workspace writes: made, changed, tried and taken away by its admins."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from helpdesk import outbound, sealing
from helpdesk.accounts import services as accounts
from helpdesk.accounts.models import Membership, Workspace
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.lifecycle import Priority
from tickets.mail.models import Incoming, Mailbox, MailSettings, Outgoing
from tickets.mail.models.mailboxes import SECURITY
from tickets.mail.services import secrets
from tickets.services import base

MAX_MAILBOXES = 100
MOST_DELETED = 10_000  # messages that a mailbox may take with it
LONGEST_UNDO = 120  # seconds
LARGEST_INLINE = 25 * 1024 * 1024  # bytes of files in one mail; few servers take more
LONGEST_SECRET = 4000  # characters: refresh tokens are long
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?|\[?[0-9a-f:.]{{3,45}}\]?", re.ASCII)


# --- Reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """How a mailbox fares: what waits for it, and what it has put aside."""

    mailbox: Mailbox
    waiting_in: int
    waiting_out: int
    quarantined: int


def find_mailbox(workspace_id: UUID, mailbox_id: UUID) -> Mailbox:
    """A mailbox of the workspace. Raises NotFound, also for a foreign id."""
    found: Mailbox | None = Mailbox.objects.for_workspace(workspace_id).filter(pk=mailbox_id).first()
    if found is None:
        raise NotFound("There is no such mailbox.", errors={"id": ["There is no such mailbox."]})
    return found


def mailboxes(workspace_id: UUID) -> list[Mailbox]:
    """The mailboxes of a workspace: the default one first, those that are off last."""
    rows = Mailbox.objects.for_workspace(workspace_id).select_related("team", "category")
    return list(rows.order_by("-is_active", "-is_default", "address"))


def states(workspace_id: UUID) -> list[State]:
    """Each mailbox of a workspace with its queues. Four queries, however many there are."""
    incoming = Incoming.objects.for_workspace(workspace_id)
    waiting_in = _per_mailbox(incoming.filter(status="waiting"))
    waiting_out = _per_mailbox(Outgoing.objects.for_workspace(workspace_id).filter(status="waiting"))
    quarantined = _per_mailbox(incoming.filter(outcome="quarantined"))
    return [
        State(one, waiting_in.get(one.pk, 0), waiting_out.get(one.pk, 0), quarantined.get(one.pk, 0))
        for one in mailboxes(workspace_id)
    ]


def _per_mailbox(rows: QuerySet[Any]) -> dict[Any, int]:
    return dict(rows.values("mailbox").annotate(n=Count("pk")).values_list("mailbox", "n"))


# --- Changing -----------------------------------------------------------------------------------


def save_mailbox(
    *, workspace: Workspace, changes: Mapping[str, Any], now: dt.datetime, mailbox: Mailbox | None = None
) -> Mailbox:
    """Make a mailbox, or change the given fields of one.

    Fields: those of the row that an admin may set, see `_CLEANERS`. `imap_secret`, `smtp_secret` and
    `oauth_client_secret` are in plain text and sealed here; left out or empty the stored one is kept, but not when
    its server changes: a password must not go to a server that it was not given for. Without a host, a way in or out
    loses its secrets. The first mailbox of a workspace is its default.

    Raises InvalidInput naming each field that is wrong, NotFound, Conflict beyond 100 mailboxes.
    """
    if unknown := sorted(set(changes) - set(_CLEANERS)):
        raise InvalidInput.of_all({name: ["There is no such field."] for name in unknown})
    try:
        with transaction.atomic():
            Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
            return _save(workspace, dict(changes), now, mailbox)
    except IntegrityError as error:
        if "one_mailbox_per_address" not in str(error):
            raise
        raise InvalidInput.of("address", "There is a mailbox with this address already.") from None


def _save(workspace: Workspace, changes: dict[str, Any], now: dt.datetime, mailbox: Mailbox | None) -> Mailbox:
    rows = Mailbox.objects.for_workspace(workspace.pk)
    if mailbox is None:
        if rows.count() >= MAX_MAILBOXES:
            raise Conflict(f"A workspace can have up to {MAX_MAILBOXES} mailboxes.", code="too_many")
        row = Mailbox(workspace=workspace, created_at=now, is_default=not rows.filter(is_active=True).exists())
        changes.setdefault("address", "")
    else:
        row = rows.select_for_update().filter(pk=mailbox.pk).first()
        if row is None:
            raise NotFound("There is no such mailbox.")
    before = {name: getattr(row, name) for name in ("imap_host", "smtp_host", "oauth_token_url")}
    errors: dict[str, list[str]] = {}
    for name, value in changes.items():
        try:
            cleaned = _CLEANERS[name](workspace.pk, name, value)
        except (InvalidInput, NotFound) as error:
            errors |= error.errors
            continue
        if name not in _SECRETS:
            setattr(row, name, cleaned)
        elif cleaned:
            setattr(row, name, sealing.seal(cleaned))
    _check_whole(row, changes, before, errors)
    if errors:
        raise InvalidInput.of_all(errors)
    if any(name.startswith(("imap_", "oauth_")) for name in changes):
        row.fetch_error, row.fetch_failures, row.next_fetch_at = "", 0, None  # what was wrong may be mended
    if any(name.startswith("smtp_") for name in changes):
        row.send_error = ""
    if mailbox is None:
        row.save(force_insert=True)
    else:
        # Not the columns that a fetch writes meanwhile.
        fetching = ["fetch_error", "fetch_failures", "next_fetch_at", "imap_secret", "oauth_client_secret"]
        told = {"imap_": fetching, "oauth_": fetching, "smtp_": ["send_error", "smtp_secret"]}
        more = [each for prefix, names in told.items() if any(n.startswith(prefix) for n in changes) for each in names]
        row.save(update_fields=[*{*changes, *more}])
    return row


_SECRETS = {"imap_secret": "imap_host", "smtp_secret": "smtp_host", "oauth_client_secret": "oauth_token_url"}


def _check_whole(
    row: Mailbox, changes: Mapping[str, Any], before: Mapping[str, str], errors: dict[str, list[str]]
) -> None:
    """What several fields must say together."""
    for secret, host in _SECRETS.items():
        if not getattr(row, host):
            setattr(row, secret, "")
        elif before[host] and before[host] != getattr(row, host) and getattr(row, secret) and not changes.get(secret):
            errors.setdefault(secret, ["The server is another one than before: type it again."])
    if row.imap_host:
        if not row.imap_user:
            errors.setdefault("imap_user", ["Say as whom to sign in."])
        if not row.imap_secret:
            errors.setdefault("imap_secret", ["Say with what to sign in."])
        if row.imap_after == "move" and not row.imap_move_to:
            errors.setdefault("imap_move_to", ["Say into which folder."])
        if row.imap_auth == "oauth2":
            if not row.oauth_token_url:
                errors.setdefault("oauth_token_url", ["Say where access tokens come from."])
            if not row.oauth_client_id:
                errors.setdefault("oauth_client_id", ["Say which client asks for tokens."])
    if row.smtp_secret and not row.smtp_user:
        errors.setdefault("smtp_user", ["Say as whom to sign in."])


@transaction.atomic
def make_default(*, mailbox: Mailbox) -> None:
    """Let answers on tickets of other channels come from this mailbox. Raises Conflict for one that is off."""
    Workspace.objects.select_for_update(no_key=True).get(pk=mailbox.workspace_id)
    row = find_mailbox(mailbox.workspace_id, mailbox.pk)
    if not row.is_active:
        raise Conflict("Switch the mailbox on first.", code="inactive")
    _let_default(row)


def _let_default(row: Mailbox) -> None:
    Mailbox.objects.for_workspace(row.workspace_id).filter(is_default=True).exclude(pk=row.pk).update(is_default=False)
    Mailbox.objects.for_workspace(row.workspace_id).filter(pk=row.pk).update(is_default=True)


@transaction.atomic
def switch_mailbox(*, mailbox: Mailbox, is_active: bool) -> None:
    """Switch a mailbox on or off. Off, it takes no mail, and answers come from the default one.

    The default passes to another mailbox that is on, the oldest; the only one keeps it.
    """
    Workspace.objects.select_for_update(no_key=True).get(pk=mailbox.workspace_id)
    row = find_mailbox(mailbox.workspace_id, mailbox.pk)
    Mailbox.objects.for_workspace(row.workspace_id).filter(pk=row.pk).update(is_active=is_active, next_fetch_at=None)
    others = Mailbox.objects.for_workspace(row.workspace_id).filter(is_active=True).exclude(pk=row.pk)
    if not is_active and row.is_default and (heir := others.order_by("created_at", "pk").first()):
        _let_default(heir)
    elif is_active and not others.exists():
        _let_default(row)


@transaction.atomic
def delete_mailbox(*, mailbox: Mailbox) -> None:
    """Delete a mailbox with its trace and its rules; tickets stay. Another one becomes the default.

    Raises Conflict while messages wait for it, and for one with more than 10,000 messages: switch that off.
    """
    Workspace.objects.select_for_update(no_key=True).get(pk=mailbox.workspace_id)
    row = find_mailbox(mailbox.workspace_id, mailbox.pk)
    incoming = Incoming.objects.for_workspace(row.workspace_id).filter(mailbox=row)
    if incoming.filter(status="waiting").exists():
        raise Conflict("Messages still wait for this mailbox. Try again when they are worked through.", code="waiting")
    kept = list(incoming.only("pk", "raw")[: MOST_DELETED + 1])
    if len(kept) > MOST_DELETED:
        raise Conflict(
            f"More than {MOST_DELETED:,} messages came to this mailbox: switch it off instead, so that their trace "
            "stays.",
            code="too_many",
        )
    was_default = row.is_default
    row.delete()
    others = Mailbox.objects.for_workspace(mailbox.workspace_id).filter(is_active=True)
    if was_default and (heir := others.order_by("created_at", "pk").first()):
        _let_default(heir)
    transaction.on_commit(lambda: [one.raw.delete(save=False) for one in kept if one.raw])


def renew_secret(*, mailbox: Mailbox) -> str:
    """A new secret for mail by HTTPS, in plain text for this once; the one before ends."""
    return secrets.make_secret(mailbox)


# --- How we write -------------------------------------------------------------------------------


def writing(workspace_id: UUID) -> MailSettings:
    """How the workspace writes; its defaults where nobody has said anything. Not always a stored row."""
    found: MailSettings | None = MailSettings.objects.for_workspace(workspace_id).first()
    return found or MailSettings(workspace_id=workspace_id)


@transaction.atomic
def save_writing(*, workspace: Workspace, changes: Mapping[str, Any], by: Membership, now: dt.datetime) -> None:
    """Change how the workspace writes: undo_seconds, acknowledges, tells_resolution, history, link_files_over (bytes),
    and its signature. Raises InvalidInput naming the field, NotAllowed.
    """
    values = dict(changes)
    errors: dict[str, list[str]] = {}
    _whole(errors, values, "undo_seconds", LONGEST_UNDO, f"Choose between 0 and {LONGEST_UNDO} seconds.")
    _whole(errors, values, "link_files_over", LARGEST_INLINE, f"Choose between 0 and {LARGEST_INLINE >> 20} MB.")
    if "history" in values and values["history"] not in ("none", "last", "all"):
        errors["history"] = ["This must be one of: none, last, all."]
    for name in ("acknowledges", "tells_resolution"):
        if name in values and not isinstance(values[name], bool):
            errors[name] = ["This must be true or false."]
    if errors:
        raise InvalidInput.of_all(errors)
    if "signature" in values:
        signature = base.text("signature", values.pop("signature"), longest=2000, required=False)
        accounts.update_workspace(
            workspace=workspace,
            name=workspace.name,
            timezone=workspace.timezone,
            auto_close_days=workspace.auto_close_days,
            reopen_window_days=workspace.reopen_window_days,
            signature=signature,
            by=by,
            now=now,
        )
    MailSettings.unscoped.update_or_create(workspace=workspace, defaults=values)


def _whole(errors: dict[str, list[str]], values: Mapping[str, Any], name: str, highest: int, words: str) -> None:
    value = values.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        errors[name] = [words]


# --- Fields -------------------------------------------------------------------------------------


def _address(workspace_id: UUID, name: str, value: Any) -> str:
    address = base.email_address(name, value)
    local, _, domain = address.rpartition("@")
    if not address.isascii():
        raise InvalidInput.of(name, "Only plain letters can stand in the address of a mailbox.")
    if "+" in local:
        raise InvalidInput.of(name, "Leave away the plus and what follows: it is added to find the ticket.")
    if domain == settings.MAIL_DOMAIN:
        raise InvalidInput.of(
            name, f"Addresses at {domain} are for forwarding to us. Say the address that your customers write to."
        )
    return address


def _line(longest: int, *, required: bool = False) -> Callable[[UUID, str, Any], str]:
    def clean(workspace_id: UUID, name: str, value: Any) -> str:
        return base.text(name, value, longest=longest, required=required, one_line=True)

    return clean


def _one_of(*choices: str) -> Callable[[UUID, str, Any], str]:
    return lambda workspace_id, name, value: base.choice(name, value, choices)


def _flag(workspace_id: UUID, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of(name, "This must be true or false.")
    return value


def _port(workspace_id: UUID, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise InvalidInput.of(name, "A port is a number from 1 to 65535.")
    return value


def _secret(workspace_id: UUID, name: str, value: Any) -> str:
    """As it is: white space may belong to a password."""
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable():
        raise InvalidInput.of(name, "This has characters that cannot be sent.")
    if len(value) > LONGEST_SECRET:
        raise InvalidInput.of(name, f"This is too long: {LONGEST_SECRET:,} characters are possible.")
    return value


def _host_name(name: str, value: Any) -> str:
    host = base.text(name, value, longest=253, required=False, one_line=True).lower()
    if host and not _HOST.fullmatch(host):
        raise InvalidInput.of(name, "This must be the name of a server, like mail.example.com.")
    return host.strip("[]")


def _trusted(workspace_id: UUID, name: str, value: Any) -> str:
    return _host_name(name, value)


def _host(workspace_id: UUID, name: str, value: Any) -> str:
    """A server that we connect to: none inside a private network, as far as can be said now."""
    host = _host_name(name, value)
    if host:
        try:
            outbound.checked_addresses(host, 443)
        except outbound.Refused as refused:
            raise InvalidInput.of(name, str(refused)) from None
        except outbound.OutboundError:
            pass  # a name that cannot be looked up now is checked at every connect
    return host


def _token_url(workspace_id: UUID, name: str, value: Any) -> str:
    url = base.text(name, value, longest=500, required=False, one_line=True)
    if url:
        if not url.startswith("https://"):
            raise InvalidInput.of(name, "This must begin with https://.")
        try:
            outbound.check_url(url)
        except outbound.Refused as refused:
            raise InvalidInput.of(name, str(refused)) from None
    return url


def _team(workspace_id: UUID, name: str, value: Any) -> UUID | None:
    team = base.find_team(workspace_id, value, name)
    return team.pk if team else None


def _category(workspace_id: UUID, name: str, value: Any) -> UUID | None:
    category = base.find_category(workspace_id, value, name)
    return category.pk if category else None


_security = _one_of(*(word for word, _ in SECURITY))
_CLEANERS: dict[str, Callable[[UUID, str, Any], Any]] = {
    "address": _address,
    "name": _line(120),
    "team_id": _team,
    "category_id": _category,
    "priority": _one_of(*(priority.value for priority in Priority)),
    "adds_cc": _one_of("verified", "always", "never"),
    "trusted_host": _trusted,
    "imap_host": _host,
    "imap_port": _port,
    "imap_security": _security,
    "imap_user": _line(254),
    "imap_auth": _one_of("password", "oauth2"),
    "imap_secret": _secret,
    "imap_folder": _line(120, required=True),
    "imap_after": _one_of("seen", "move", "delete"),
    "imap_move_to": _line(120),
    "oauth_token_url": _token_url,
    "oauth_client_id": _line(300),
    "oauth_client_secret": _secret,
    "smtp_host": _host,
    "smtp_port": _port,
    "smtp_security": _security,
    "smtp_user": _line(254),
    "smtp_secret": _secret,
    "uses_plus_address": _flag,
}
CHANGES = frozenset(_CLEANERS)


def alone(mailbox: Mailbox) -> bool:
    """Whether no other mailbox of the workspace is on."""
    rows = Mailbox.objects.for_workspace(mailbox.workspace_id).filter(~Q(pk=mailbox.pk), is_active=True)
    return not rows.exists()
