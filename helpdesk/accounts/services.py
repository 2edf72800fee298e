"""What happens to people: invitations, roles, leaving, teams, the workspace itself. One transaction each."""

import datetime as dt
import hashlib
import logging
import secrets
import zoneinfo
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from helpdesk.accounts.models import ApiKey, Invitation, Membership, Team, User, Workspace
from helpdesk.accounts.roles import Permission, Role
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound

logger = logging.getLogger(__name__)

INVITATION_DAYS = 7
NAME_LENGTH = 120
TEAM_NAME_LENGTH = 80
SIGNATURE_LENGTH = 2000
MAX_CAPACITY = 10_000

MemberLeft = Callable[[Membership, User | None, dt.datetime], None]
_member_left: list[MemberLeft] = []


def listen_member_left(handler: MemberLeft) -> None:
    """Call `handler(membership, by, now)` in the transaction in which a member is deactivated.

    Accounts know no other app; those that care register in their `AppConfig.ready`.
    """
    if handler not in _member_left:
        _member_left.append(handler)


FactsChanged = Callable[[UUID, dt.datetime], None]
_facts_changed: list[FactsChanged] = []


def listen_facts_changed(handler: FactsChanged) -> None:
    """Call `handler(workspace_id, now)` when customers, companies or categories say something else about tickets.

    Whoever decides by them (which policy a ticket has) decides anew then.
    """
    if handler not in _facts_changed:
        _facts_changed.append(handler)


def facts_changed(*, workspace_id: UUID, now: dt.datetime) -> None:
    """Say that what is known about the customers or the topics of a workspace's tickets has changed."""
    for handler in _facts_changed:
        handler(workspace_id, now)


WorkspaceMade = Callable[[Workspace, dt.datetime], None]
_workspace_made: list[WorkspaceMade] = []


def listen_workspace_made(handler: WorkspaceMade) -> None:
    """Call `handler(workspace, now)` in the transaction in which a workspace is made."""
    if handler not in _workspace_made:
        _workspace_made.append(handler)


# --- Values -----------------------------------------------------------------------------------


def _line(field: str, value: str, *, longest: int) -> str:
    """One line of clean text. Raises InvalidInput naming `field`."""
    line = " ".join(value.split())
    if not line:
        raise InvalidInput.of(field, "This must not be empty.")
    if len(line) > longest:
        raise InvalidInput.of(field, f"This is too long: {len(line)} characters, {longest} are possible.")
    if "\0" in line:
        raise InvalidInput.of(field, "This has characters that are not text.")
    return line


def _address(field: str, value: str) -> str:
    """A valid e-mail address in lower case. Raises InvalidInput naming `field`."""
    address = value.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidInput.of(field, "This is not an e-mail address.") from error
    if len(address) > 254:
        raise InvalidInput.of(field, "This address is too long.")
    return address


def _timezone(field: str, value: str) -> str:
    if value not in zoneinfo.available_timezones():
        raise InvalidInput.of(field, "There is no such time zone.")
    return value


def _role(value: str) -> Role:
    try:
        return Role(value)
    except ValueError as error:
        raise InvalidInput.of("role", "There is no such role.") from error


def _password(value: str, *, user: User | None, field: str = "password") -> str:
    try:
        validate_password(value, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), errors={field: error.messages}) from error
    return value


def _lock(workspace_id: UUID) -> Workspace:
    """The workspace's row, locked: who is in it is decided by one person at a time."""
    return Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)


def _must_manage(by: Membership, workspace_id: UUID) -> None:
    if by.workspace_id != workspace_id or not by.may(Permission.MANAGE):
        raise NotAllowed("Only admins and owners of the workspace may do this.")


# --- Mail -------------------------------------------------------------------------------------


def _send(name: str, to: str, context: dict[str, Any]) -> None:
    """Send the mail of templates/email/<name>.{subject.txt,txt,html}."""
    subject = " ".join(render_to_string(f"email/{name}.subject.txt", context).split())
    mail = EmailMultiAlternatives(subject, render_to_string(f"email/{name}.txt", context), to=[to])
    mail.attach_alternative(render_to_string(f"email/{name}.html", context), "text/html")
    mail.send()


def invitation_url(token: str) -> str:
    """The address that the letter carries."""
    return settings.SITE_URL + reverse("accounts:invitation", args=[token])


def send_password_reset(*, email: str, now: dt.datetime) -> bool:
    """Mail a link to set a new password to the active user with this address; False when there is none.

    The link works once, until three hours after `now`. Raises what the mail backend raises.
    """
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None:
        return False
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("accounts:password-reset-confirm", args=[uid, default_token_generator.make_token(user)])
    _send("password_reset", user.email, {"user": user, "url": settings.SITE_URL + path})
    return True


# --- Invitations ------------------------------------------------------------------------------


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def invite_member(
    *, workspace: Workspace, email: str, role: str, invited_by: Membership, now: dt.datetime
) -> tuple[Invitation, str]:
    """Invite an address, for seven days; gives the invitation and its token, which is kept nowhere.

    An open invitation of the same address is replaced. The letter goes out after the commit; a
    test workspace sends none. Raises NotAllowed (agents; admins who invite an owner),
    InvalidInput naming email or role, Conflict for somebody who is a member already.
    """
    _must_manage(invited_by, workspace.pk)
    address = _address("email", email)
    wanted = _role(role)
    if wanted is Role.OWNER and not invited_by.may(Permission.OWN):
        raise NotAllowed("Only owners may invite an owner.")
    workspace = _lock(workspace.pk)
    member = Membership.objects.for_workspace(workspace).filter(user__email=address).first()
    if member is not None:
        text = (
            "This person is a member already."
            if member.is_active
            else "This person was a member: let them back in from the list."
        )
        raise Conflict(text, code="member", errors={"email": [text]})
    Invitation.objects.for_workspace(workspace).filter(email=address, accepted_at=None, revoked_at=None).update(
        revoked_at=now
    )
    token = secrets.token_urlsafe(32)
    invitation = Invitation.unscoped.create(
        workspace=workspace,
        email=address,
        role=wanted.value,
        token_hash=_hash(token),
        invited_by=invited_by.user,
        created_at=now,
        expires_at=now + dt.timedelta(days=INVITATION_DAYS),
    )
    if not workspace.is_test:

        def send_letter() -> None:
            _send("invitation", address, {"invitation": invitation, "url": invitation_url(token)})

        # Robust: a mail server that is away is in the log, and the invitation can be sent again.
        transaction.on_commit(send_letter, robust=True)
    return invitation, token


def find_invitation(*, token: str, now: dt.datetime) -> Invitation:
    """The open invitation of a token. Raises NotFound when it is wrong, used, withdrawn or too old."""
    invitation = (
        Invitation.unscoped.select_related("workspace", "invited_by")
        .filter(token_hash=_hash(token), accepted_at=None, revoked_at=None, expires_at__gt=now)
        .first()
    )
    if invitation is None:
        raise NotFound("This invitation no longer works.")
    return invitation


@transaction.atomic
def accept_invitation(
    *, token: str, name: str, password: str, now: dt.datetime, signed_in: User | None = None
) -> Membership:
    """Join the workspace of an invitation.

    A new person gets an account with `name` and `password`. Somebody who has an account keeps
    theirs as it is, and must either be `signed_in` as that address or give its password.

    Raises NotFound (the link no longer works), InvalidInput naming name or password.
    """
    invitation = find_invitation(token=token, now=now)
    workspace = _lock(invitation.workspace_id)
    invitation = find_invitation(token=token, now=now)  # again: somebody may have held the lock to accept it
    user = User.objects.filter(email=invitation.email).first()
    if user is None:
        user = User(email=invitation.email, name=_line("name", name, longest=NAME_LENGTH), timezone=workspace.timezone)
        user.set_password(_password(password, user=user))
        user.created_at = now
        user.save(force_insert=True)
    elif not user.is_active:
        raise NotFound("This invitation no longer works.")
    elif (signed_in is None or signed_in.pk != user.pk) and not user.check_password(password):
        raise InvalidInput.of("password", "This is not the password of the account with this address.")
    membership, _ = Membership.unscoped.update_or_create(
        workspace=workspace,
        user=user,
        defaults={"role": invitation.role, "is_active": True},
        create_defaults={"role": invitation.role, "is_active": True, "created_at": now},
    )
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at"])
    return membership


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: Membership, now: dt.datetime) -> None:
    """Withdraw an open invitation; doing it twice changes nothing.

    Raises NotAllowed, Conflict when it was accepted.
    """
    _must_manage(by, invitation.workspace_id)
    fresh = Invitation.objects.for_workspace(invitation.workspace_id).select_for_update().get(pk=invitation.pk)
    if fresh.accepted_at:
        raise Conflict("The invitation was accepted already.", code="accepted")
    if fresh.role == Role.OWNER and not by.may(Permission.OWN):
        raise NotAllowed("Only owners may withdraw the invitation of an owner.")
    if fresh.revoked_at is None:
        fresh.revoked_at = now
        fresh.save(update_fields=["revoked_at"])


# --- Members ----------------------------------------------------------------------------------


def _member(membership: Membership, by: Membership | None) -> Membership:
    """The member's row under the workspace's lock, once it is clear that `by` may touch it."""
    workspace = _lock(membership.workspace_id)
    fresh = Membership.objects.for_workspace(workspace).select_related("user", "workspace").get(pk=membership.pk)
    if by is not None:
        _must_manage(by, workspace.pk)
        if fresh.role == Role.OWNER and not by.may(Permission.OWN):
            raise NotAllowed("Only owners may change an owner.")
    return fresh


def _keep_an_owner(member: Membership) -> None:
    others = (
        Membership.objects.for_workspace(member.workspace_id)
        .filter(role=Role.OWNER.value, is_active=True, user__is_active=True)
        .exclude(pk=member.pk)
    )
    if member.role == Role.OWNER and member.is_active and not others.exists():
        text = "This is the last owner. Make somebody else an owner first."
        raise Conflict(text, code="last_owner", errors={"role": [text]})


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: Membership | None, now: dt.datetime) -> Membership:
    """Give a member another role; `by` is None for a superuser.

    Raises NotAllowed (agents; admins who touch or make an owner), InvalidInput naming role,
    Conflict for the last owner.
    """
    fresh = _member(membership, by)
    wanted = _role(role)
    if fresh.role == wanted:
        return fresh
    if wanted is Role.OWNER and by is not None and not by.may(Permission.OWN):
        raise NotAllowed("Only owners may make an owner.")
    _keep_an_owner(fresh)
    fresh.role = wanted.value
    fresh.save(update_fields=["role"])
    return fresh


@transaction.atomic
def deactivate_member(
    *, membership: Membership, by: Membership | None, now: dt.datetime, actor: User | None = None
) -> Membership:
    """End a member's part in the workspace; `by` is None for a superuser, whom `actor` then names.

    Their API keys are revoked, their sessions no longer find the workspace, and whoever listens
    (tickets take their open tickets from them) does so in this transaction. Their history stays.
    Doing it twice changes nothing.

    Raises NotAllowed, Conflict for the last owner and for oneself.
    """
    fresh = _member(membership, by)
    if not fresh.is_active:
        return fresh
    if by is not None and by.pk == fresh.pk:
        raise Conflict("You cannot deactivate yourself; ask another admin.", code="oneself")
    _keep_an_owner(fresh)
    fresh.is_active = False
    fresh.save(update_fields=["is_active"])
    ApiKey.objects.for_workspace(fresh.workspace_id).filter(membership=fresh, revoked_at=None).update(revoked_at=now)
    for handler in _member_left:
        handler(fresh, by.user if by else actor, now)
    return fresh


@transaction.atomic
def reactivate_member(*, membership: Membership, by: Membership | None, now: dt.datetime) -> Membership:
    """Let a deactivated member back in with the role they had; their old API keys stay revoked.

    Raises NotAllowed.
    """
    fresh = _member(membership, by)
    if not fresh.is_active:
        fresh.is_active = True
        fresh.save(update_fields=["is_active"])
    return fresh


def find_member(workspace_id: UUID, user_id: UUID) -> Membership:
    """The member who is this person, also one who left. Raises NotFound, also for a foreign one."""
    rows = Membership.objects.for_workspace(workspace_id).select_related("user", "workspace")
    found: Membership | None = rows.filter(user_id=user_id).first()
    if found is None:
        raise NotFound("There is no such member.", errors={"id": ["There is no such member."]})
    return found


@transaction.atomic
def set_availability(
    *,
    membership: Membership,
    is_available: bool | EllipsisType = ...,
    capacity: int | EllipsisType | None = ...,
    by: Membership | None,
    now: dt.datetime,
) -> Membership:
    """Say whether rules give tickets to a member, and how many open ones at most; None is no limit.

    What is not given stays. Members say themselves whether they are available; the rest takes an
    admin. `by` is None for a superuser. Raises NotAllowed, InvalidInput naming is_available or capacity.
    """
    if by is not None and (by.pk != membership.pk or capacity is not ...):
        _must_manage(by, membership.workspace_id)
    # The row, not the workspace: people go and come all day, and nothing else depends on it.
    rows = Membership.objects.for_workspace(membership.workspace_id).select_related("user", "workspace")
    fresh: Membership = rows.select_for_update(of=("self",), no_key=True).get(pk=membership.pk)
    if is_available is not ...:
        if not isinstance(is_available, bool):
            raise InvalidInput.of("is_available", "This must be true or false.")
        fresh.is_available = is_available
    if capacity is not ...:
        if capacity is not None and (type(capacity) is not int or not 1 <= capacity <= MAX_CAPACITY):
            raise InvalidInput.of("capacity", f"This must be a whole number from 1 to {MAX_CAPACITY}, or empty.")
        fresh.capacity = capacity
    fresh.save(update_fields=["is_available", "capacity"])
    return fresh


@transaction.atomic
def update_profile(*, user: User, name: str, timezone: str, now: dt.datetime) -> User:
    """Change what a person says about themselves. Raises InvalidInput naming name or timezone."""
    user.name = _line("name", name, longest=NAME_LENGTH)
    user.timezone = _timezone("timezone", timezone)
    user.save(update_fields=["name", "timezone"])
    return user


# --- The workspace and its teams --------------------------------------------------------------


@transaction.atomic
def furnish_workspace(*, workspace: Workspace, now: dt.datetime) -> None:
    """Give a workspace that was just made what every workspace begins with; whoever listens brings it."""
    for handler in _workspace_made:
        handler(workspace, now)


@transaction.atomic
def update_workspace(
    *,
    workspace: Workspace,
    name: str,
    timezone: str,
    auto_close_days: int,
    reopen_window_days: int,
    signature: str,
    by: Membership,
    now: dt.datetime,
) -> Workspace:
    """Change a workspace's settings. Raises NotAllowed, InvalidInput naming the field."""
    _must_manage(by, workspace.pk)
    fresh = _lock(workspace.pk)
    fresh.name = _line("name", name, longest=NAME_LENGTH)
    fresh.timezone = _timezone("timezone", timezone)
    for field, days in (("auto_close_days", auto_close_days), ("reopen_window_days", reopen_window_days)):
        if not 0 <= days <= 365:
            raise InvalidInput.of(field, "Choose between 0 and 365 days.")
        setattr(fresh, field, days)
    if len(signature) > SIGNATURE_LENGTH or "\0" in signature:
        raise InvalidInput.of("signature", f"This must be text of up to {SIGNATURE_LENGTH} characters.")
    fresh.signature = signature.replace("\r\n", "\n").strip()
    fresh.save(update_fields=["name", "timezone", "auto_close_days", "reopen_window_days", "signature"])
    return fresh


@transaction.atomic
def save_team(
    *,
    workspace: Workspace,
    name: str,
    member_ids: Iterable[UUID],
    by: Membership,
    now: dt.datetime,
    team: Team | None = None,
    lead_id: UUID | EllipsisType | None = ...,
) -> Team:
    """Make a team, or (with `team`) rename it and say who is in it, and which of them leads it.

    `lead_id` is a member's id, None for a team without a lead. Left out, the lead stays while they
    are in the team. Raises NotAllowed, InvalidInput naming name, members or lead, NotFound for a
    foreign team.
    """
    _must_manage(by, workspace.pk)
    _lock(workspace.pk)
    if team is not None and team.workspace_id != workspace.pk:
        raise NotFound("There is no such team.")
    wanted = _line("name", name, longest=TEAM_NAME_LENGTH)
    same = Team.objects.for_workspace(workspace).filter(name__iexact=wanted)
    if same.exclude(pk=team.pk if team else None).exists():
        raise InvalidInput.of("name", "There is a team with this name already.")
    ids = set(member_ids)
    members = list(Membership.objects.for_workspace(workspace).filter(pk__in=ids))
    if len(members) != len(ids):
        raise InvalidInput.of("members", "Some of these are not members of the workspace.")
    if lead_id is ...:
        lead_id = team.lead_id if team is not None and team.lead_id in ids else None
    elif lead_id is not None and lead_id not in ids:
        raise InvalidInput.of("lead", "The lead must be a member of the team.")
    if team is None:
        team = Team.unscoped.create(workspace=workspace, name=wanted, lead_id=lead_id, created_at=now)
    else:
        team.name, team.lead_id = wanted, lead_id
        team.save(update_fields=["name", "lead"])
    team.members.set(members)
    return team


@transaction.atomic
def delete_team(*, team: Team, by: Membership, now: dt.datetime) -> None:
    """Delete a team; its tickets keep their agents and have no team. Raises NotAllowed."""
    _must_manage(by, team.workspace_id)
    team.delete()
