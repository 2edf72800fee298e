"""Messages as they come, and their rows, for the tests of what people see of mail."""

import datetime as dt
import hashlib
from email.message import EmailMessage
from typing import Any

from django.core.files.base import ContentFile

from tickets.mail.models import Incoming, Mailbox
from tickets.models import Ticket
from tickets.tests.factories import NOW

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def make_mail(
    text: str = "Hello", html: str = "", *, inline: dict[str, bytes] | None = None, **headers: str
) -> EmailMessage:
    """A message of Jane's; `inline`: pictures by Content-ID, headers by name (`_` stands for `-`)."""
    mail = EmailMessage()
    given = {"From": "Jane Smith <jane@customers.example>", "To": "help@acme.example", "Subject": "Cannot log in"}
    given |= {"Date": "Mon, 02 Mar 2026 09:00:00 +0000", "Message-ID": "<1@customers.example>"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in given.items():
        mail[name] = value
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
        for content_id, content in (inline or {}).items():
            list(mail.iter_parts())[-1].add_related(content, "image", "gif", cid=f"<{content_id}>")
    return mail


def keep(
    ticket: Ticket,
    mail: EmailMessage | bytes,
    /,
    now: dt.datetime = NOW,
    *,
    mailbox: Mailbox | None = None,
    **fields: Any,
) -> Incoming:
    """The row of a message that made the ticket, unless the fields say something else."""
    raw = mail if isinstance(mail, bytes) else mail.as_bytes()
    if mailbox is None:
        mailbox, _ = Mailbox.unscoped.get_or_create(
            workspace=ticket.workspace, address=f"help@{ticket.workspace.slug}.example", defaults={"name": "Acme"}
        )
    given: dict[str, Any] = {
        "status": "done",
        "outcome": "comment_added" if fields.get("comment") else "ticket_created",
        "size": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "way": "smtp",
        "received_at": now,
        "ticket": ticket,
        "subject": "Cannot log in",
        "from_address": "jane@customers.example",
    }
    row = Incoming(workspace=ticket.workspace, mailbox=mailbox, **(given | fields))
    row.raw.save("m.eml", ContentFile(raw))
    return row
