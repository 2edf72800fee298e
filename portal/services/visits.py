"""Customers who come back: the link that is mailed to their address, and what it opens.

An address that is typed into a form proves nothing, so nothing is told about it: a task mails a link, or nothing.
Whoever follows the link reads mail of that address, and sees all requests of its owner in that workspace for a day.

The secret in the link is made of the row's id and the server's secret, as `tickets.access` makes its own: each try to
send the mail writes the same link, and the database has only a hash of it.
"""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5

from django.conf import settings
from django.contrib.postgres.search import TrigramWordSimilarity
from django.core.paginator import Page, Paginator
from django.core.signing import BadSignature, Signer
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from helpdesk.accounts.models import Contact, Workspace, new_id
from helpdesk.errors import NotFound
from portal.models import SignInLink
from portal.services import portals
from tickets import access
from tickets.lifecycle import ACTIVE
from tickets.mail.models import Outgoing
from tickets.mail.services import composing, queueing
from tickets.models import Participant, Ticket
from tickets.services import base

LINK_LIFETIME = dt.timedelta(hours=1)  # within which the link is followed
VISIT = dt.timedelta(days=1)  # how long it signs in, counted from when it was mailed
MAILS = 3  # to an address within an hour, over all workspaces
MAILS_WITHIN = dt.timedelta(hours=1)
MAILED_REQUESTS = 20  # whose own links stand in the mail
PER_PAGE = 20
RESEMBLES = 0.4  # of 1: how much of what was typed a subject must have
MAIL_KIND = "sign_in"
MOST_VISITS = 10  # workspaces that one browser is signed in to; more cookies are not looked at
_SIGNER_SALT = "portal.visit"


# --- The link ---------------------------------------------------------------------------------


@transaction.atomic
def send_links(
    *, workspace_id: UUID | None, address: str, now: dt.datetime, language: str = "", cause: str = ""
) -> int:
    """Mail the owner of an address a link to their requests, in one workspace or in all; gives how many mails.

    One mail for each workspace, good for an hour; none for an address without requests, none that no mail is sent
    to (`.invalid`), and no fourth within an hour, over all workspaces: those where somebody wrote last come first.
    `cause` names the task: its second delivery sends nothing. `language` is what the visitor read; a portal's own
    goes before it. Raises InvalidInput for what is no address.
    """
    address = base.email_address("email", address)
    if not base.is_reachable(address):
        return 0
    _take_turns(address)
    # UPPER(email) has the index that finds an address in any workspace; the addresses are in lower case.
    everywhere = list(Contact.unscoped.filter(email__iexact=address))
    asked = [contact for contact in everywhere if workspace_id is None or contact.workspace_id == workspace_id]
    latest = [(contact, requests_of(contact).first()) for contact in asked]
    found = [(contact, ticket) for contact, ticket in latest if ticket is not None]
    found.sort(key=lambda each: each[1].last_message_at or each[1].created_at, reverse=True)
    made_at = dict(SignInLink.unscoped.filter(contact__in=everywhere).values_list("pk", "created_at"))
    left = MAILS - sum(1 for at in made_at.values() if at > now - MAILS_WITHIN)
    wanted = [(uuid5(contact.pk, cause) if cause else new_id(), contact, ticket) for contact, ticket in found]
    mailed = [each for each in wanted if each[0] not in made_at][: max(left, 0)]
    for pk, contact, ticket in mailed:
        _mail_link(pk, contact, ticket, language, now)
    return len(mailed)


def _take_turns(address: str) -> None:
    """One task at a time for an address, until the transaction ends: two would count the same mails."""
    key = hashlib.sha256(b"helpdesk links of an address:" + settings.SECRET_KEY.encode()).digest()
    number = hmac.new(key, address.encode(), hashlib.sha256).digest()[:8]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(number, "big", signed=True)])


def _mail_link(pk: UUID, contact: Contact, ticket: Ticket, language: str, now: dt.datetime) -> None:
    SignInLink.unscoped.create(
        pk=pk,
        workspace_id=contact.workspace_id,
        contact=contact,
        token_hash=_hash(_derive(settings.SECRET_KEY, pk)),
        created_at=now,
        expires_at=now + LINK_LIFETIME,
    )
    content = {"link": str(pk), "language": language if language in dict(settings.LANGUAGES) else ""}
    queueing.put_letter(kind=MAIL_KIND, ticket=ticket, contact=contact, cause_id=pk, content=content, now=now)


def _derive(secret_key: str, pk: UUID) -> str:
    key = hashlib.sha256(b"helpdesk sign-in link:" + secret_key.encode()).digest()
    return base64.urlsafe_b64encode(hmac.new(key, pk.bytes, hashlib.sha256).digest()).rstrip(b"=").decode()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def token_of(link: SignInLink) -> str | None:
    """The secret in a link; None when it was made with a secret key that is no longer configured."""
    for secret_key in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]:
        token = _derive(secret_key, link.pk)
        if hmac.compare_digest(_hash(token), link.token_hash):
            return token
    return None


def write_mail(outgoing: Outgoing, now: dt.datetime) -> composing.Written:
    """What the mail with the link says; see `composing.writers`. Raises NothingToSend when it opens nothing now."""
    rows = SignInLink.objects.for_workspace(outgoing.workspace_id).filter(revoked_at=None, expires_at__gt=now)
    link: SignInLink | None = rows.filter(pk=outgoing.content["link"]).select_related("contact").first()
    token = token_of(link) if link else None
    if link is None or token is None:
        raise composing.NothingToSend("The link is too old.")
    theirs = requests_of(link.contact)
    listed = list(theirs[:MAILED_REQUESTS])
    if not listed:
        raise composing.NothingToSend("There is no request of this address any more.")
    workspace = outgoing.workspace
    language = portals.of(workspace).settings.language or outgoing.content["language"] or settings.LANGUAGE_CODE
    page = settings.SITE_URL + reverse("portal:sign-in", args=[workspace.slug])
    context: dict[str, Any] = {
        "url": f"{page}?{urlencode({'token': token})}",
        "requests": [
            {
                "ticket": ticket,
                "url": _mailed_address(ticket, link.contact, now),
                # Anybody can send a request under this address: no word of it is mailed before an agent answered.
                "subject": ticket.subject if ticket.first_response_at else "",
            }
            for ticket in listed
        ],
        "more": theirs.count() - len(listed) if len(listed) == MAILED_REQUESTS else 0,
    }
    with translation.override(language):
        subject = gettext("Your requests to %(workspace)s") % {"workspace": workspace.name}
    return composing.Written(subject, context, language)


def _mailed_address(ticket: Ticket, contact: Contact, now: dt.datetime) -> str:
    token = access.mailed(access.issue(ticket=ticket, contact=contact, now=now))
    return f"{settings.SITE_URL}{reverse('portal:ticket', args=[ticket.pk])}?{urlencode({'token': token})}"


def open_link(*, workspace: Workspace, token: str, now: dt.datetime) -> SignInLink:
    """The link whose secret this is. Writes nothing: mail scanners follow links, too.

    Raises NotFound, for one that never was, is too old, or was signed out, all alike.
    """
    rows = SignInLink.objects.for_workspace(workspace).filter(token_hash=_hash(token), expires_at__gt=now)
    link: SignInLink | None = _good(rows, now).first()
    if link is None:
        raise NotFound("This link opens nothing.")
    return link


def forget_links(*, now: dt.datetime) -> int:
    """Delete the links that sign nobody in any more; gives how many."""
    deleted, _ = SignInLink.unscoped.filter(expires_at__lte=now - (VISIT - LINK_LIFETIME)).delete()
    return int(deleted)


# --- The visit --------------------------------------------------------------------------------


def cookie_name(workspace_id: UUID) -> str:
    """The cookie that keeps a visitor signed in to one workspace's portal."""
    return f"visit_{workspace_id.hex}"


def cookie_of(link: SignInLink) -> str:
    """What that cookie holds: the link's id, signed."""
    return Signer(salt=_SIGNER_SALT).sign(link.pk.hex)


def ends_at(link: SignInLink) -> dt.datetime:
    """Until when a link keeps those signed in who followed it."""
    return link.created_at + VISIT


def visitor(*, workspace: Workspace, cookie: str, now: dt.datetime) -> SignInLink | None:
    """The link that a cookie of this workspace names, with its contact; None once it is a day old or revoked."""
    pk = _named(cookie)
    if pk is None:
        return None
    link: SignInLink | None = _good(SignInLink.objects.for_workspace(workspace).filter(pk=pk), now).first()
    return link


def sign_out(*, link: SignInLink, now: dt.datetime) -> None:
    """End the visit in every browser that followed this link, and the link itself."""
    SignInLink.objects.for_workspace(link.workspace_id).filter(pk=link.pk, revoked_at=None).update(revoked_at=now)


def _named(cookie: str) -> UUID | None:
    """The id that a cookie of ours names; None for any other text."""
    try:
        return UUID(hex=Signer(salt=_SIGNER_SALT).unsign(cookie))
    except (BadSignature, ValueError):
        return None


def _good(links: QuerySet[SignInLink], now: dt.datetime) -> QuerySet[SignInLink]:
    """Those that sign somebody in who belongs to the link's workspace still."""
    good = links.filter(revoked_at=None, created_at__gt=now - VISIT, contact__workspace_id=F("workspace_id"))
    return good.select_related("contact")


# --- What it opens ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """A request that somebody may see."""

    ticket: Ticket
    contact: Contact
    is_visit: bool  # opened by signing in, not by its own link


def open_request_of(*, ticket_id: UUID, token: str, visits: Iterable[str], now: dt.datetime) -> Opened:
    """The request that its own token opens, or one of the `visits` (cookies): the visitor's own, as a list shows it.

    Raises NotFound, the same for an unknown id and for a request of somebody else, after the same queries.
    """
    by_token = access.open_with(ticket_id=ticket_id, token=token, now=now)
    if by_token is not None:
        return Opened(*by_token, is_visit=False)
    ids = [pk for pk in map(_named, list(visits)[:MOST_VISITS]) if pk is not None]
    links = _good(SignInLink.unscoped.filter(pk__in=ids), now).order_by("pk") if ids else SignInLink.unscoped.none()
    for link in links:
        rows = Ticket.objects.for_workspace(link.workspace_id).live().select_related("workspace__portal_settings")
        part = Participant.objects.for_workspace(link.workspace_id).filter(contact=link.contact, ticket=OuterRef("pk"))
        ticket = rows.filter(Q(requester=link.contact) | Exists(part), pk=ticket_id).first()
        end = access.end_for(ticket=ticket, contact=link.contact) if ticket else None
        if end is not None:
            return Opened(end, link.contact, is_visit=True)
    raise NotFound("There is no request that this link opens.")


def requests_of(contact: Contact) -> QuerySet[Ticket]:
    """The live requests that a customer asked or takes part in; of those, the one that somebody wrote on last first.

    One that was merged is told by the one it was merged into, in which its customers take part.
    """
    rows = Ticket.objects.for_workspace(contact.workspace_id)
    also = Participant.objects.for_workspace(contact.workspace_id).filter(contact=contact)
    # As a union each half has its index; with OR between them every ticket of the workspace would be read.
    theirs = rows.filter(requester=contact).values("pk").union(also.values("ticket_id"))
    shown: QuerySet[Ticket] = rows.live().filter(pk__in=theirs, merged_into=None)
    return shown.order_by(F("last_message_at").desc(nulls_last=True), F("number").desc())


@dataclass(frozen=True)
class Listing:
    """A page of a visitor's requests, and how many there are."""

    page: Page[Ticket]
    total: int
    in_work: int


def list_requests(*, contact: Contact, in_work: bool, page: str) -> Listing:
    """A page of the customer's requests, all or those in work; `page` as it stands in the address. Two queries."""
    theirs = requests_of(contact)
    counts = theirs.order_by().aggregate(total=Count("pk"), in_work=Count("pk", filter=Q(status__in=ACTIVE)))
    shown = theirs.filter(status__in=ACTIVE) if in_work else theirs
    light = shown.defer("description", "description_html", "folded_text", "folded_html", "custom_fields", "sla")
    pages: Paginator[Ticket] = Paginator(light, PER_PAGE)
    pages.count = counts["in_work" if in_work else "total"]  # known already
    return Listing(pages.get_page(page), counts["total"], counts["in_work"])


def similar_to(*, contact: Contact, words: str, limit: int = 3) -> list[Ticket]:
    """The customer's own requests whose subject is like what is being typed (trigrams), likest first; one query."""
    words = " ".join(words.split())[: base.SUBJECT_LENGTH]
    if len(words) < 3:
        return []
    rows = requests_of(contact).annotate(likeness=TrigramWordSimilarity(words, "subject"))
    alike = rows.filter(likeness__gte=RESEMBLES).order_by(F("likeness").desc(), F("number").desc())
    return list(alike[:limit])
