"""What people type into the console, translated for the services: shapes are checked here, rules there."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.core.files.uploadedfile import UploadedFile

from helpdesk.errors import DomainError
from tickets.lifecycle import Priority, Status
from tickets.models import ChatSettings, Field
from tickets.models.setup import FIELD_KINDS

Choice = tuple[str, str]

PRIORITIES: list[Choice] = [(priority.value, priority.value.capitalize()) for priority in Priority]
STATUSES: list[Choice] = [(status.value, status.value.capitalize()) for status in Status]
LINKS: list[Choice] = [("related", "Related to"), ("parent", "Parent of"), ("follow_up", "Followed up by")]


def words(text: str) -> list[str]:
    """What stands between commas or lines, without empty ones."""
    return [part.strip() for part in text.replace("\n", ",").replace(";", ",").split(",") if part.strip()]


class WordsField(forms.CharField):
    """Several words or addresses in one line, separated by commas; cleans to a list."""

    def clean(self, value: Any) -> Any:
        return words(str(super().clean(value) or ""))

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value


class LinesField(forms.CharField):
    """Several words, one on each line; cleans to a list."""

    widget = forms.Textarea

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in str(super().clean(value) or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value


class NumberField(forms.FloatField):
    """A number; a whole one stays whole."""

    widget = forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})

    def clean(self, value: Any) -> Any:
        number = super().clean(value)
        return int(number) if number is not None and number.is_integer() else number


class DayField(forms.DateField):
    """A date; cleans to YYYY-MM-DD."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], **kwargs)

    def clean(self, value: Any) -> Any:
        day: dt.date | None = super().clean(value)
        return day.isoformat() if day else None


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of uploaded files; cleans to a list."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> Any:
        uploads: list[UploadedFile] = []
        for upload in data if isinstance(data, list | tuple) else [data]:
            cleaned = super().clean(upload, initial)
            if cleaned:
                uploads.append(cleaned)
        return uploads


class IdField(forms.TypedChoiceField):
    """One of the rows that the workspace has, by id; nothing cleans to None."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(coerce=UUID, empty_value=None, required=False, **kwargs)


class DomainForm(forms.Form):
    """A form that can also show what a service refused."""

    def __init__(self, *args: Any, choices: Mapping[str, Iterable[Choice]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, options in (choices or {}).items():
            field: Any = self.fields[name]
            field.choices = list(options)

    def refuse(self, error: DomainError) -> None:
        """Show the errors of a service beside the fields they name, and the others above the form."""
        said = False
        for name, texts in error.errors.items():
            for text in texts:
                self.add_error(name if name in self.fields else None, text)
                said = True
        if not said:
            self.add_error(None, error.detail)


CUSTOM = "custom_fields."  # before the key: the name that services give their errors


def control_of(asked: Field) -> forms.Field:
    """The control that asks for a custom field; what it cleans to is what JSON keeps, None for no answer."""
    common: dict[str, Any] = {"label": asked.label, "required": asked.is_required}
    if asked.kind == "number":
        return NumberField(**common)
    if asked.kind == "choice":
        choices = [("", "–"), *((option, option) for option in asked.options)]
        return forms.TypedChoiceField(choices=choices, empty_value=None, **common)  # type: ignore[arg-type]
    if asked.kind == "checkbox":
        return forms.BooleanField(label=asked.label, required=False)  # no is an answer, too
    if asked.kind == "date":
        return DayField(**common)
    return forms.CharField(max_length=1000, empty_value=None, **common)  # type: ignore[arg-type]


class CustomFieldsForm(DomainForm):
    """A form that also asks for the workspace's custom fields."""

    def __init__(self, *args: Any, custom: Sequence[Field] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = [CUSTOM + field.key for field in custom]
        self.fields.update(zip(self.asked, map(control_of, custom), strict=True))

    @property
    def custom_controls(self) -> list[forms.BoundField]:
        """The controls of the custom fields, in their order."""
        return [self[name] for name in self.asked]

    def take_answers(self) -> dict[str, Any]:
        """The answers by key, taken out of what was cleaned."""
        return {name.removeprefix(CUSTOM): self.cleaned_data.pop(name) for name in self.asked}


class NewTicketForm(CustomFieldsForm):
    """A ticket that an agent opens for a customer."""

    subject = forms.CharField(max_length=255, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(
        max_length=200_000, widget=forms.Textarea(attrs={"rows": 7}), help_text="Markdown works here."
    )
    requester_email = forms.EmailField(
        label="Requester’s e-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    requester_name = forms.CharField(
        label="Requester’s name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    priority = forms.ChoiceField(choices=PRIORITIES, initial=Priority.MEDIUM.value)
    category_id = IdField(label="Category")
    assignee_id = IdField(label="Assignee")
    tags = WordsField(required=False, max_length=1000, help_text="Separate words with commas.")
    cc = WordsField(
        label="Cc",
        required=False,
        max_length=4000,
        help_text="E-mail addresses of others who take part, separated by commas.",
    )
    files = FilesField(required=False)  # type: ignore[assignment]  # a field, not the form's uploads


class ReplyForm(DomainForm):
    """What the composer sends: a reply to the customer or a note for the agents."""

    body = forms.CharField(max_length=200_000, error_messages={"required": "Write something first."})
    internal = forms.TypedChoiceField(
        choices=[("0", "Reply"), ("1", "Internal note")],
        coerce=lambda value: value == "1",
        empty_value=False,  # type: ignore[arg-type]  # it is what cleans to, of any type
        required=False,
    )
    then = forms.ChoiceField(choices=[("", "As it is"), *STATUSES], required=False)
    seen_until = forms.DateTimeField(
        required=False,
        widget=forms.HiddenInput,
        input_formats=["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"],
    )
    files = FilesField(required=False)  # type: ignore[assignment]  # a field, not the form's uploads


class AddressForm(DomainForm):
    """Somebody who shall take part."""

    address = forms.CharField(max_length=254)


class AssignForm(DomainForm):
    """Whom to give a ticket to; nobody takes it away."""

    assignee_id = forms.UUIDField(required=False)


class StatusForm(DomainForm):
    """Where to move a ticket; `resolve_and_close` is two moves in one."""

    to = forms.ChoiceField(choices=[*STATUSES, ("resolve_and_close", "Resolve and close")])


class PropertyForm(CustomFieldsForm):
    """Properties changed in place: only what was sent is changed (`given`)."""

    subject = forms.CharField(max_length=255, required=False)
    priority = forms.ChoiceField(choices=PRIORITIES, required=False)
    category_id = forms.UUIDField(required=False)
    team_id = forms.UUIDField(required=False)
    requester_email = forms.CharField(max_length=254, required=False)
    requester_name = forms.CharField(max_length=120, required=False)
    tags = WordsField(required=False, max_length=4000)
    cc = WordsField(required=False, max_length=20_000)

    def given(self) -> dict[str, Any]:
        """The cleaned values of the fields that were sent; a custom field that is gone is for the service to refuse."""
        given = {name: self.cleaned_data[name] for name in self.fields if name in self.data}
        answers = {name: given.pop(name, None) for name in self.data if name.startswith(CUSTOM)}
        if answers:
            given["custom_fields"] = {name.removeprefix(CUSTOM): value for name, value in answers.items()}
        return given


class OtherTicketForm(DomainForm):
    """Another ticket, by its number (#1042) or id."""

    target = forms.CharField(
        label="Ticket number",
        max_length=40,
        widget=forms.TextInput(attrs={"placeholder": "#1042", "autocomplete": "off", "inputmode": "numeric"}),
    )


class LinkForm(OtherTicketForm):
    """How two tickets belong together."""

    kind = forms.ChoiceField(choices=LINKS)


class CommentForm(DomainForm):
    """The text of a comment that is changed."""

    body = forms.CharField(
        label="Text", max_length=200_000, widget=forms.Textarea(attrs={"rows": 8}), help_text="Markdown works here."
    )


class SplitForm(DomainForm):
    """The subject of the ticket that a comment becomes."""

    subject = forms.CharField(label="Subject of the new ticket", max_length=255)


class ViewForm(DomainForm):
    """A name for the queue's filters."""

    name = forms.CharField(max_length=60)
    query = forms.CharField(max_length=1000, required=False)
    shared = forms.BooleanField(required=False)


class CategoryForm(DomainForm):
    """A category of tickets."""

    name = forms.CharField(max_length=80)
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    color = forms.CharField(
        label="Colour", max_length=7, widget=forms.TextInput(attrs={"type": "color"}), initial="#3B82F6"
    )
    parent_id = IdField(label="Below", help_text="Leave it empty for a category at the top.")


class FieldForm(DomainForm):
    """A custom field of tickets."""

    label = forms.CharField(
        max_length=60,
        help_text="What people read, like “Order number”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    key = forms.CharField(
        max_length=40,
        help_text="Its name in the API, like order_number: lower-case letters, digits and _. It cannot change later.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(choices=FIELD_KINDS, help_text="It cannot change later.")
    options = LinesField(
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="For a choice only: one on each line.",
    )
    position = forms.TypedChoiceField(label="Place", coerce=int)
    is_required = forms.BooleanField(
        label="Required",
        required=False,
        help_text="Agents must answer it when they open a ticket. A customer’s ticket is never refused for it.",
    )

    def __init__(self, *args: Any, existing: Field | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if existing is not None:
            del self.fields["key"], self.fields["kind"]
            if existing.kind != "choice":
                del self.fields["options"]
            else:
                self.fields["options"].required = True
                self.fields["options"].help_text = "One on each line. One that you take away stays on its tickets."


class CannedResponseForm(DomainForm):
    """A saved reply."""

    title = forms.CharField(max_length=120)
    shortcut = forms.CharField(
        max_length=41,
        widget=forms.TextInput(attrs={"placeholder": "thanks", "autocomplete": "off", "autocapitalize": "none"}),
        help_text="Type / and this word in a reply to insert it: lower-case letters, digits, - and _.",
    )
    category_id = IdField(label="Category")
    content = forms.CharField(max_length=20_000, widget=forms.Textarea(attrs={"rows": 9}))


class ChatModeForm(DomainForm):
    """Who may open tickets from chats."""

    requires_key = forms.ChoiceField(
        label="Who may hand conversations over",
        choices=[("0", "Anybody, as with your public form"), ("1", "Only bots with the integration key")],
        widget=forms.RadioSelect,
        help_text="Without the key, a bot hears of a conversation that has a ticket only from the network that opened "
        "it, or when it knows the customer’s e-mail address.",
    )

    @classmethod
    def of(cls, kept: ChatSettings) -> "ChatModeForm":
        """The form as the workspace has filled it in."""
        return cls(initial={"requires_key": "1" if kept.requires_key else "0"})

    def requires_key_chosen(self) -> bool:
        """What was chosen."""
        return bool(self.cleaned_data["requires_key"] == "1")
