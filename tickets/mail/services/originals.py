"""The messages that came, as they came: found, read from their bytes, and made safe to look at.

Nothing of a message is trusted. Its HTML passes an allow-list without `style`, scripts and forms; its links lead
to the web, to mail or to a telephone; images are fetched from nowhere unless somebody asks for them, because that
tells their sender that, when and from where the message was read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import nh3
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery

from helpdesk.errors import NotFound
from tickets.mail.models import Incoming, Undeliverable
from tickets.mail.parsing import message
from tickets.mail.parsing.html import is_affordable
from tickets.mail.parsing.message import Message, Unreadable
from tickets.models import Ticket
from tickets.services import files

GONE = "The original message is not kept any more."

# What mail clients write tables, fonts and lists with. No class, id or name: nothing of it may meet our own.
_TAGS = {
    "a", "abbr", "address", "article", "b", "big", "blockquote", "br", "caption", "center", "cite", "code", "col",
    "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp",
    "section", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "tt", "u", "ul", "var",
}  # fmt: skip
_BOX = {"align", "valign", "bgcolor", "width", "height"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"dir", "lang", "title", "align"},
    "a": {"href"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "font": {"color", "face", "size"},
    "hr": {"color", "size", "width"},
    "img": {"src", "alt", "width", "height", "border"},
    "ol": {"start", "type"},
    "table": {*_BOX, "border", "cellpadding", "cellspacing"},
    "tbody": _BOX,
    "td": {*_BOX, "colspan", "rowspan"},
    "tfoot": _BOX,
    "th": {*_BOX, "colspan", "rowspan"},
    "thead": _BOX,
    "tr": _BOX,
}
_LINKS = ("http://", "https://", "mailto:", "tel:")
# Shown inside a page of ours: pictures made of dots only, never SVG, which is a document.
RASTER = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"}


@dataclass(frozen=True)
class Shown:
    """A message made ready for a page."""

    message: Message | None  # None: its bytes cannot be read
    html: str = ""  # safe to put into a page
    remote_images: int = 0  # how many images of other servers it wants to show
    is_too_heavy: bool = False  # its HTML would take too long to make safe: only the text is shown

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Every header field, decoded, in order."""
        return self.message.headers if self.message else ()


# --- Finding ----------------------------------------------------------------------------------


def find(*, workspace_id: UUID, incoming_id: UUID, sees_everything: bool) -> Incoming:
    """A message that came to the workspace. Who does not see everything sees those of live tickets.

    Raises NotFound, also for a foreign id.
    """
    rows = Incoming.objects.for_workspace(workspace_id)
    if not sees_everything:
        rows = rows.filter(ticket__isnull=False, ticket__trashed_at=None)
    return _one(rows.filter(pk=incoming_id))


def of_comment(*, workspace_id: UUID, comment_id: UUID) -> Incoming:
    """The message that became this comment of a live ticket. Raises NotFound."""
    rows = Incoming.objects.for_workspace(workspace_id).filter(
        comment=comment_id, comment__deleted_at=None, comment__ticket__trashed_at=None, outcome="comment_added"
    )
    return _one(rows.order_by("received_at", "pk"))


def of_ticket(*, workspace_id: UUID, ticket_id: UUID) -> Incoming:
    """The message that became this live ticket. Raises NotFound."""
    rows = Incoming.objects.for_workspace(workspace_id).filter(
        ticket=ticket_id, ticket__trashed_at=None, outcome="ticket_created"
    )
    return _one(rows.order_by("received_at", "pk"))


def _one(rows: Any) -> Incoming:
    found: Incoming | None = rows.select_related("mailbox", "ticket").first()
    if found is None:
        raise NotFound(GONE)
    return found


def raw_of(incoming: Incoming) -> bytes:
    """The bytes as they came. Raises NotFound when they are not kept any more."""
    try:
        with incoming.raw.open("rb") as kept:
            content: bytes = kept.read()
    except (OSError, ValueError):  # a row without a file has no name to open
        raise NotFound(GONE) from None
    return content


# --- Showing ----------------------------------------------------------------------------------


def show(*, incoming: Incoming, with_images: bool, inline_address: Callable[[int], str]) -> Shown:
    """The message, read and made safe; `inline_address` says where the page serves its nth file from.

    Raises NotFound when the bytes are not kept any more.
    """
    try:
        read = message.read(raw_of(incoming), envelope_from=incoming.envelope_from)
    except Unreadable:
        return Shown(None)
    if not is_affordable(read.html):
        return Shown(read, is_too_heavy=True)
    html, remote = clean(read, with_images=with_images, inline_address=inline_address)
    return Shown(read, html, remote)


def clean(read: Message, *, with_images: bool, inline_address: Callable[[int], str]) -> tuple[str, int]:
    """The message's HTML, safe to show, and how many images it wants to fetch from other servers.

    Those are left out unless `with_images`; the ones that came with it (`cid:`, RFC 2392) are led to where we
    serve them. Ask `is_affordable` first: hostile HTML would take minutes.
    """
    places = {file.content_id: place for place, file in enumerate(read.files) if file.content_id}
    remote = 0

    def judge(tag: str, attribute: str, value: str) -> str | None:
        nonlocal remote
        address = value.strip()
        if attribute == "href":
            return address if address.lower().startswith(_LINKS) else None
        if attribute != "src":
            return value
        scheme = address[:8].lower()
        if scheme.startswith("cid:"):
            place = places.get(unquote(address[4:]))
            return inline_address(place) if place is not None else None
        if scheme.startswith("//"):
            address = f"https:{address}"
        elif scheme.startswith("http://"):
            address = f"https://{address[7:]}"  # in the clear, everybody on the way could see and change it
        elif not scheme.startswith("https://"):
            return None
        remote += 1
        return address if with_images else None

    html = nh3.clean(
        # The sanitiser writes each as an entity, in time that grows with the square of them.
        read.html.replace("\u00a0", " "),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags={"script", "style", "title", "svg", "math", "template", "noscript", "object", "iframe"},
        attribute_filter=judge,
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        url_relative="pass_through",  # judged above, where what is ours is told from what is not
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "img": {"referrerpolicy": "no-referrer"}},
    )
    return html.strip(), remote


def inline_image(*, incoming: Incoming, place: int) -> tuple[bytes, str]:
    """The nth file of the message and its type, when it is a picture that a page may show.

    What it is, is recognised from its bytes: what the message declares could be anything. Raises NotFound.
    """
    try:
        read = message.read(raw_of(incoming), envelope_from=incoming.envelope_from)
    except Unreadable:
        raise NotFound(GONE) from None
    if not 0 <= place < len(read.files):
        raise NotFound("There is no such picture.")
    file = read.files[place]
    kind = files.content_type(file.content[:4096], "")
    if kind not in RASTER:
        raise NotFound("There is no such picture.")
    return file.content, kind


def download_name(incoming: Incoming) -> str:
    """The name under which the bytes are saved."""
    return f"{files.clean_name(incoming.subject or 'message')[:80].strip('. ') or 'message'}.eml"


# --- What a ticket's page tells of its mail ---------------------------------------------------


@dataclass(frozen=True)
class MailFacts:
    """What the ticket's mails say besides its conversation."""

    also_addressed: tuple[str, ...] = ()  # people a mail named who do not take part
    undeliverable: str | None = None  # why mail does not reach the requester; None when nothing is known


MOST_ADDRESSED = 10


def facts_of(ticket: Any) -> MailFacts:
    """What the page of a ticket tells of its mails. One query.

    `ticket` is one with `cc_addresses`, the addresses of those who take part.
    """
    named = (
        Incoming.objects.for_workspace(ticket.workspace_id)
        .filter(ticket=OuterRef("pk"))
        .exclude(cc=[])
        .order_by("-received_at", "-pk")
    )
    dead = Undeliverable.objects.for_workspace(ticket.workspace_id).filter(address=OuterRef("requester_email"))
    row = (
        Ticket.objects.for_workspace(ticket.workspace_id)
        .filter(pk=ticket.pk)
        .values_list(ArraySubquery(named.values("cc")[:20]), Subquery(dead.values("reason")[:1]))
        .first()
    )
    if row is None:
        return MailFacts()
    taking_part = {ticket.requester_email, *ticket.cc_addresses}
    addresses = dict.fromkeys(str(address).lower() for cc in row[0] for address in cc)
    return MailFacts(tuple(one for one in addresses if one not in taking_part)[:MOST_ADDRESSED], row[1])
