"""The form that asks for a link to one's requests."""

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms.requests import CustomerForm, PlainForm
from tickets.services.base import TEXT_LENGTH


class FindForm(PlainForm):
    """Find my requests: the address that the link is mailed to."""

    email = forms.EmailField(
        label=_("Your e-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}),
        error_messages={
            "required": _("Please give the address that you wrote to us from."),
            "invalid": _("This address is not complete, for example jane@example.com."),
        },
    )


class ReopenForm(CustomerForm):
    """Take a finished request up again."""

    body = forms.CharField(
        label=_("What is still open?"),
        required=False,
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    field_order = ["body", "files"]
