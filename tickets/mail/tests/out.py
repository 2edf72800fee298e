"""What the tests of mail that goes out share."""

import datetime as dt
import hashlib
from typing import Any

from helpdesk.accounts.models import Contact, Workspace
from tickets.mail.models import Incoming, Mailbox, Outgoing
from tickets.services import base
from tickets.tests.factories import NOW, make_ticket


def queued(**fields: Any) -> list[Outgoing]:
    """The mails there are, in their order."""
    return list(Outgoing.unscoped.filter(**fields).order_by("created_at", "pk"))


def ticket_of_a_customer(workspace: Workspace, now: dt.datetime = NOW, **fields: Any):
    """A ticket that a customer opened themselves."""
    email = fields.setdefault("requester_email", "jane@customers.example")
    contact, _ = Contact.unscoped.get_or_create(workspace=workspace, email=email)
    return make_ticket(workspace, now, **({"channel": "portal", "actor": base.customer(contact)} | fields))


def make_incoming(mailbox: Mailbox, **fields: Any) -> Incoming:
    """A message that came in and was worked through."""
    number = Incoming.unscoped.count()
    given: dict[str, Any] = {
        "raw": "none.eml",
        "size": 1,
        "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "way": "smtp",
        "received_at": NOW,
        "status": "done",
        "outcome": "ticket_created",
        "message_id": f"came{number}@customers.example",
        "from_address": "jane@customers.example",
    }
    return Incoming.unscoped.create(workspace=mailbox.workspace, mailbox=mailbox, **(given | fields))
