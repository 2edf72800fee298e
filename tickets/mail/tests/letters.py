"""Letters that tests send to the helpdesk, written here."""

import datetime as dt
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from tickets.mail.models import Incoming, Mailbox
from tickets.mail.services import receiving

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
_numbers = iter(range(1, 10**9))


def letter(body: str = "The printer on the second floor is on fire.", **fields: Any) -> bytes:
    """A plain letter. Fields are header fields (`in_reply_to="<…>"`), None takes one away; `files`: (name, bytes)."""
    html, attached = fields.pop("html", ""), fields.pop("files", ())
    given: dict[str, Any] = {
        "From": "Jane Smith <jane@customers.example>",
        "To": "support@acme.example",
        "Subject": "Printer on fire",
        "Date": format_datetime(NOW),
        "Message-ID": f"<letter-{next(_numbers)}@customers.example>",
    }
    given |= {name.replace("_", "-").title().replace("-Id", "-ID"): value for name, value in fields.items()}
    mail = EmailMessage()
    for name, value in given.items():
        if value is not None:
            mail[name] = value
    mail.set_content(body)
    if html:
        mail.add_alternative(html, subtype="html")
    for name, content in attached:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def receive(mailbox: Mailbox, raw: bytes | None = None, now: dt.datetime = NOW, **fields: Any) -> Incoming:
    """Accept and work through a message; the row as it then stands in the database."""
    envelope = {name: fields.pop(name, default) for name, default in (("envelope_from", None), ("envelope_to", ""))}
    raw = letter(**fields) if raw is None else raw
    incoming = receiving.accept(raw=raw, mailbox=mailbox, way="smtp", now=now, is_queued=False, **envelope)
    receiving.process(incoming_id=incoming.pk, now=now)
    return Incoming.unscoped.select_related("ticket", "comment").get(pk=incoming.pk)


def steps(incoming: Incoming) -> dict[str, str]:
    """The result of each step of the trace; of one that is there twice the last."""
    return {step["step"]: step["result"] for step in incoming.trace}
