"""Customer access: the secret link that opens one ticket for one customer, without an account.

The token is 256 bits made from a random nonce and the server's secret, so that the same link can
be written into later mail; the database keeps the nonce and the token's hash, from which nobody
can make the link.

Whoever submits a request only says that an address is theirs. So the token that they are given opens
that one request. In a mail the token carries a proof behind a dot: who has it reads mail of that address.
"""

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from helpdesk.accounts.models import Contact
from tickets.models import CustomerToken, Participant, Ticket

LIFETIME = dt.timedelta(days=180)


def _derive(secret_key: str, nonce: bytes) -> str:
    key = hashlib.sha256(b"helpdesk customer token:" + secret_key.encode()).digest()
    digest = hmac.new(key, nonce, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _proof(secret_key: str, token: str) -> str:
    key = hashlib.sha256(b"helpdesk mailed token:" + secret_key.encode()).digest()
    digest = hmac.new(key, token.encode("utf-8", "replace"), hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _network_hash(network: str) -> str:
    key = hashlib.sha256(b"helpdesk network:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, network.encode(), hashlib.sha256).hexdigest() if network else ""


def mailed(token: str) -> str:
    """The token as it is written into mail to its customer: with the proof that its reader reads their mail."""
    return f"{token}.{_proof(settings.SECRET_KEY, token)}"


def is_proven(token: str) -> bool:
    """Whether a token that opens something came out of a mail. Says nothing about whether it opens anything."""
    plain, dot, proof = token.partition(".")
    given = proof.encode("utf-8", "replace")
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return bool(dot) and any(hmac.compare_digest(_proof(key, plain).encode(), given) for key in keys)


@transaction.atomic
def issue(*, ticket: Ticket, contact: Contact, now: dt.datetime, network: str = "") -> str:
    """The token that opens `ticket` for `contact`, good for 180 days from `now`.

    The same token again while it lives; a new one when it was revoked, has expired, or was made
    with a secret key that is no longer configured. `network` is whom a new one is given to on the
    spot (`helpdesk.api.throttles.neighbourhood`); empty for one that is mailed. A hash of it is kept.
    """
    row = (
        CustomerToken.objects.for_workspace(ticket.workspace_id)
        .select_for_update()
        .filter(ticket=ticket, contact=contact)
        .first()
    )
    expires_at = now + LIFETIME
    if row is not None and row.revoked_at is None and row.expires_at > now:
        for secret_key in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
            token = _derive(secret_key, bytes(row.nonce))
            if hmac.compare_digest(_hash(token), row.token_hash):
                row.expires_at = expires_at
                row.save(update_fields=["expires_at"])
                return token
    row = row or CustomerToken(workspace_id=ticket.workspace_id, ticket=ticket, contact=contact)
    row.nonce = secrets.token_bytes(32)
    token = _derive(settings.SECRET_KEY, row.nonce)
    row.token_hash, row.created_at, row.expires_at, row.revoked_at = _hash(token), now, expires_at, None
    row.network_hash = _network_hash(network)
    row.save()
    return token


def revoke(*, ticket: Ticket, contact: Contact, now: dt.datetime) -> None:
    """Make the customer's link useless at once."""
    CustomerToken.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, contact=contact).update(
        revoked_at=now
    )


def given_to(*, contact: Contact, network: str, now: dt.datetime) -> QuerySet[CustomerToken]:
    """The live tokens of a customer that were given to this network on the spot; none without a network."""
    rows: QuerySet[CustomerToken] = CustomerToken.objects.for_workspace(contact.workspace_id)
    live = rows.filter(contact=contact, revoked_at=None, expires_at__gt=now)
    return live.filter(network_hash=_network_hash(network)).exclude(network_hash="")


@dataclass(frozen=True)
class Opened:
    """What a token opens: the ticket it was made for is `row.ticket`, which may have been merged into `ticket`."""

    row: CustomerToken
    ticket: Ticket

    @property
    def contact(self) -> Contact:
        """The customer for whom the token was made."""
        return self.row.contact


def open_with(*, ticket_id: UUID, token: str, now: dt.datetime) -> tuple[Ticket, Contact] | None:
    """The ticket that the token opens and for whom; None for any wrong id or token alike, and for
    a customer who does not take part any more.

    A merged ticket leads to where it went. If that is in the trash, or the customer takes no part
    there, the token opens nothing. Whatever is wrong costs the same one query; only a token that was
    right until its ticket was merged away costs more.
    """
    opened = _open(token, now, ticket_id=ticket_id)
    return (opened.ticket, opened.contact) if opened else None


def open_any(*, token: str, now: dt.datetime) -> Opened | None:
    """What the token opens, whichever ticket that is; None and the cost as with `open_with`."""
    return _open(token, now)


def _open(token: str, now: dt.datetime, **only: UUID) -> Opened | None:
    # Behind a wrong proof nothing is looked for: the token as a whole is nobody's.
    secret = token.partition(".")[0] if is_proven(token) else token
    taking_part = Participant.unscoped.filter(ticket=OuterRef("ticket"), contact=OuterRef("contact"))
    row = (
        CustomerToken.unscoped.filter(token_hash=_hash(secret), **only)
        .filter(revoked_at=None, expires_at__gt=now, ticket__trashed_at=None)
        .filter(Q(contact=F("ticket__requester")) | Exists(taking_part))  # or it was given to somebody else since
        .select_related("ticket__workspace", "contact")
        .first()
    )
    if row is None:
        return None
    end = end_for(ticket=row.ticket, contact=row.contact)
    return Opened(row, end) if end else None


def takes_part(*, ticket: Ticket, contact: Contact) -> bool:
    """Whether the customer is the requester or a participant of the ticket."""
    if ticket.requester_id == contact.pk:
        return True
    return Participant.objects.for_workspace(ticket.workspace_id).filter(ticket=ticket, contact=contact).exists()


def end_for(*, ticket: Ticket, contact: Contact) -> Ticket | None:
    """The ticket that a customer of it is led to: itself, or the end of its merges; None when that is in the trash or
    they take no part there.
    """
    rows = Ticket.objects.for_workspace(ticket.workspace_id).select_related("workspace")
    end: Ticket | None = ticket
    while end is not None and end.merged_into_id is not None:  # chains are short, and cannot be circles
        end = rows.filter(pk=end.merged_into_id).first()
    if end is None or end.trashed_at is not None:
        return None
    return end if end == ticket or takes_part(ticket=end, contact=contact) else None
