"""How a portal looks and who may use it, as admins fill it in. What a value must be is said by the service."""

from typing import Any

from django import forms
from django.conf import settings

from portal.forms.requests import PlainForm
from portal.models import PortalSettings
from portal.services.portals import LOGO_TYPES, MOST_PER_HOUR, TITLE_LENGTH, WELCOME_LENGTH
from tickets.forms import LinesField


class PortalSettingsForm(PlainForm):
    """Settings → Portal."""

    welcome_title = forms.CharField(
        label="Title",
        required=False,
        max_length=TITLE_LENGTH,
        widget=forms.TextInput(attrs={"placeholder": "How can we help?"}),
    )
    welcome_text = forms.CharField(
        label="Text below it", required=False, max_length=WELCOME_LENGTH, widget=forms.Textarea(attrs={"rows": 2})
    )
    accent = forms.CharField(
        label="Accent",
        required=False,
        max_length=20,
        widget=forms.TextInput(
            attrs={"placeholder": "#3b5bdb", "autocomplete": "off", "spellcheck": "false", "data-colour": ""}
        ),
    )
    logo = forms.FileField(
        label="Logo",
        required=False,
        help_text="PNG, JPEG, WebP or GIF, up to 512 KB. It is shown 32 pixels high.",
        widget=forms.FileInput(attrs={"accept": ",".join(LOGO_TYPES)}),
        error_messages={"empty": "The file is empty."},
    )
    removes_logo = forms.BooleanField(label="Take the logo away", required=False)
    language = forms.ChoiceField(
        label="Language",
        required=False,
        choices=[("", "The one each visitor’s browser asks for"), *settings.LANGUAGES],
        help_text="With one language for everybody, visitors are not offered the others.",
    )
    allowed_origins = LinesField(
        label="Sites that may call the public API from a browser",
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "https://www.example.com"}),
        help_text="One address on each line, without anything after the name: your own site with its own form, or with "
        "the widget.",
    )
    asks_proof = forms.BooleanField(
        label="Ask for a small puzzle before a request is sent",
        required=False,
        help_text="Browsers solve a small puzzle before they send a request. In a browser without scripts the portal’s "
        "form goes without, and only a hidden field keeps machines out. Require the key for chatbots, too.",
    )
    requests_per_hour = forms.IntegerField(
        label="Requests in an hour, at most",
        min_value=1,
        max_value=MOST_PER_HOUR,
        help_text="From everybody together. More are refused until the hour has passed.",
    )

    @classmethod
    def of(cls, kept: PortalSettings) -> "PortalSettingsForm":
        """The form as the workspace has filled it in."""
        names = [name for name in cls.base_fields if name not in ("logo", "removes_logo")]
        return cls(initial={name: getattr(kept, name) for name in names})

    def changes(self) -> dict[str, Any]:
        """What the service is to change; the logo only where one was chosen, or is to go."""
        given = dict(self.cleaned_data)
        upload, goes = given.pop("logo"), given.pop("removes_logo")
        return given | ({"logo": upload} if upload else {"logo": None} if goes else {})
