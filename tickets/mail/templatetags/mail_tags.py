"""What the console's pages tell of mail."""

from typing import Any

from django import template

from tickets.mail.services import originals
from tickets.mail.services.originals import MailFacts

register = template.Library()


@register.simple_tag
def mail_facts(ticket: Any) -> MailFacts:
    """What a ticket's mails say besides its conversation; one query."""
    return originals.facts_of(ticket)
