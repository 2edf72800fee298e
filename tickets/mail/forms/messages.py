"""What agents choose about single mails and about their notices."""

from typing import Any

from django import forms

from tickets.forms import DomainForm
from tickets.mail.services.not_a_ticket import pattern_of
from tickets.mail.services.preferences import TOPICS
from tickets.models import Ticket


class NotATicketForm(DomainForm):
    """Whose mail is ignored from now on."""

    block = forms.ChoiceField(widget=forms.RadioSelect, initial="address", label="Ignore mail from")
    # The names that the service gives to what it refuses.
    _places = {"whole_domain": "block", "requester": "block"}

    def __init__(self, *args: Any, ticket: Ticket, **kwargs: Any) -> None:
        address, domain = pattern_of(ticket, whole_domain=False), pattern_of(ticket, whole_domain=True)
        choices = [("address", f"Only {address}"), ("domain", f"Everybody at {domain}")]
        super().__init__(*args, choices={"block": choices}, **kwargs)

    def refuse(self, error: Any) -> None:
        """Show a refusal beside the choice it is about."""
        for name, texts in (error.errors or {"": [error.detail]}).items():
            for text in texts:
                self.add_error(self._places.get(name), text)


class NoticesForm(DomainForm):
    """Which mails somebody wants."""

    assigned = forms.BooleanField(required=False, label="A ticket is assigned to me")
    mentioned = forms.BooleanField(required=False, label="Somebody mentions me with @ in a note")
    replied = forms.BooleanField(required=False, label="A customer writes on a ticket assigned to me")
    watched = forms.BooleanField(required=False, label="Somebody writes on a ticket that I watch")

    def wanted(self) -> dict[str, bool]:
        """The four choices."""
        return {topic: bool(self.cleaned_data[topic]) for topic in TOPICS}
