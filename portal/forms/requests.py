"""The forms that customers fill in. What a value must be is said by the services; here are words and widgets."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from helpdesk.errors import DomainError
from portal.services.requests import FEEDBACK_LENGTH
from tickets.services.base import NAME_LENGTH, SUBJECT_LENGTH, TEXT_LENGTH


class FilesInput(forms.ClearableFileInput):
    """A file control that takes several files."""

    allow_multiple_selected = True


class TrapInput(forms.TextInput):
    """A text control that comes back empty."""

    def format_value(self, value: Any) -> None:
        """Nothing, so that a person whose browser filled it in can send the form again."""
        return


class ProofInput(forms.HiddenInput):
    """A hidden control that comes back empty: a solution is good for one request."""

    def format_value(self, value: Any) -> None:
        """Nothing; the page solves another puzzle."""
        return


class FilesField(forms.FileField):
    """Any number of files, as a list; the services check each of them."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("widget", FilesInput(attrs={"data-max-bytes": settings.ATTACHMENT_MAX_BYTES}))
        super().__init__(required=False, **options)

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        """The files that were chosen; an empty one is left for the service to name."""
        given = data if isinstance(data, list | tuple) else [data]
        return [upload for upload in given if upload]


class PlainForm(forms.Form):
    """How a refusal of the domain comes back to its field."""

    # The names of the domain and of this form, where they differ.
    names: Mapping[str, str] = {}

    def refuse(self, error: DomainError) -> None:
        """Show the refusal at the field it is about."""
        for name, messages in (error.errors or {"": [error.detail]}).items():
            field = self.names.get(name, name)
            self.add_error(field if field in self.fields else None, list(messages))

    @property
    def marked(self) -> int:
        """How many fields have something wrong; the first of them gets the cursor."""
        wrong = [name for name in self.fields if name in self.errors]
        if wrong:
            self.fields[wrong[0]].widget.attrs["autofocus"] = True
        return len(wrong)


class CustomerForm(PlainForm):
    """What both forms for messages share: files."""

    files = FilesField(label=_("Files"))  # type: ignore[assignment]  # Django takes it off the class

    choose_again = _("Your files could not be kept with the form: please choose them again.")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.files_limit = f"{settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)} MB"

    @property
    def lost_files(self) -> bool:
        """Whether files were chosen that the browser cannot put back into the form."""
        chosen: Sequence[Any] = self.files.getlist("files") if hasattr(self.files, "getlist") else []
        return bool(self.errors and chosen)


class RequestForm(CustomerForm):
    """Submit a request."""

    subject = forms.CharField(
        label=_("What is it about?"),
        max_length=SUBJECT_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off", "enterkeyhint": "next"}),
        error_messages={"required": _("Please say in a few words what it is about.")},
    )
    description = forms.CharField(
        label=_("What happened?"),
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 6, "placeholder": _("What you did, what you expected, what you saw")}),
        error_messages={"required": _("Please tell us what happened.")},
    )
    name = forms.CharField(
        label=_("Your name"),
        required=False,
        max_length=NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "name", "autocapitalize": "words"}),
    )
    email = forms.EmailField(
        label=_("Your e-mail"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}),
        error_messages={
            "required": _("Please give the address that we can answer to."),
            "invalid": _("This address is not complete, for example jane@example.com."),
        },
    )
    # People do not see it; machines fill in everything.
    website = forms.CharField(
        label=_("Leave this empty"),
        required=False,
        widget=TrapInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )

    # Filled in by portal.js, where the workspace asks for a puzzle.
    proof = forms.CharField(required=False, max_length=4000, widget=ProofInput())

    field_order = ["subject", "description", "name", "email", "files", "website", "proof"]
    names = {"requester_name": "name", "requester_email": "email", "proof": ""}  # a hidden field shows no errors

    def ask_for_proof(self, challenge: str) -> None:
        """Name the address of the puzzle, which the page solves where it has scripts."""
        self.fields["proof"].widget.attrs["data-challenge"] = challenge

    def clean(self) -> dict[str, Any]:
        """Refuse what only machines send, in words that help a person whose browser filled it in."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("website"):
            self.add_error(None, _("This looked as if a machine had sent it. If you are not one, just send it again."))
        return given


class AnswerForm(CustomerForm):
    """Answer on a request."""

    body = forms.CharField(
        label=_("Your answer"),
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={"required": _("Please write your answer first.")},
    )

    field_order = ["body", "files"]


# What the numbers mean, for those who do not see the order.
RATINGS = [(1, _("Very bad")), (2, _("Bad")), (3, _("Okay")), (4, _("Good")), (5, _("Very good"))]


class RatingForm(PlainForm):
    """Rate how a request was resolved."""

    rating = forms.TypedChoiceField(
        label=_("How was our help?"),
        choices=RATINGS,
        coerce=int,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Please choose one of the five first."),
            "invalid_choice": _("Please choose one of the five."),
        },
    )
    feedback = forms.CharField(
        label=_("What could we do better?"),
        required=False,
        max_length=FEEDBACK_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
