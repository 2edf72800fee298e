"""Customers end their request, or take it up again. What is possible is decided here; the lifecycle is the law.

A customer's "this solved it" makes a request resolved, as an agent's would: it can be rated, opens again by an answer,
and closes by itself later. Who is told by mail is decided as for any resolution: whoever says it themselves is not.
"""

import datetime as dt
from collections.abc import Sequence

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext

from helpdesk.accounts.models import Contact
from helpdesk.errors import Conflict, InvalidInput, NotAllowed, NotFound
from portal.services import requests
from tickets import access
from tickets.lifecycle import ACTIVE, Status
from tickets.models import Ticket
from tickets.services import base, conversation, status


def can_close(*, ticket: Ticket, contact: Contact) -> bool:
    """Whether this customer can say now that the request is solved."""
    return ticket.merged_into_id is None and ticket.status in ACTIVE and ticket.requester_id == contact.pk


def can_reopen(*, ticket: Ticket, now: dt.datetime) -> bool:
    """Whether a customer can take the request up again: it is finished, and not closed for too long."""
    is_finished = ticket.merged_into_id is None and ticket.status not in ACTIVE
    return is_finished and conversation.can_reopen(ticket, now)


def reopens_until(ticket: Ticket) -> dt.datetime | None:
    """Until when a closed request can be reopened; None for one that is not closed."""
    if ticket.status != Status.CLOSED.value or ticket.closed_at is None:
        return None
    return ticket.closed_at + dt.timedelta(days=ticket.workspace.reopen_window_days)


@transaction.atomic
def close_request(*, ticket: Ticket, contact: Contact, now: dt.datetime) -> Ticket:
    """The customer who asked says that it is solved: an open or pending request becomes resolved, by them.

    Raises NotFound when they do not take part, NotAllowed for somebody who is only in copy, Conflict when it is
    resolved or closed already, or was merged into another one.
    """
    fresh = base.lock(ticket)
    if not access.takes_part(ticket=fresh, contact=contact):
        raise NotFound("There is no such ticket.")
    if fresh.requester_id != contact.pk:
        raise NotAllowed(gettext("Only who asked can say that it is solved."))
    if fresh.status not in ACTIVE:
        raise Conflict(gettext("This request is resolved already."), code="already_resolved")
    status.move_locked(fresh, Status.RESOLVED.value, actor=base.customer(contact), now=now)
    return fresh


@transaction.atomic
def reopen_request(
    *,
    ticket: Ticket,
    contact: Contact,
    now: dt.datetime,
    body: str = "",
    uploads: Sequence[UploadedFile] = (),
) -> requests.Answered:
    """A customer takes a finished request up again, with words or without.

    With words it is an answer like any other (see `requests.answer_request`). Raises NotFound when they do not take
    part, Conflict when it is in work already, was merged, or was closed for too long, InvalidInput naming the field
    (`body`, `files`).
    """
    fresh = base.lock(ticket)
    if not access.takes_part(ticket=fresh, contact=contact):
        raise NotFound("There is no such ticket.")
    if fresh.status in ACTIVE:
        raise Conflict(gettext("This request is open already."), code="already_open")
    if not conversation.can_reopen(fresh, now):
        raise Conflict(gettext("This request was closed too long ago to be reopened."), code="too_late")
    if body.strip():
        return requests.answer_request(
            ticket=fresh, contact=contact, body=body, uploads=uploads, channel="portal", now=now
        )
    if uploads:
        raise InvalidInput.of("body", gettext("Please write a line to go with your files."))
    reopened = status.reopen(ticket=fresh, actor=base.customer(contact), now=now)
    return requests.Answered(reopened, None)
