"""A mailbox, and how a workspace writes, as people type it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from tickets.forms import PRIORITIES, Choice, DomainForm, IdField
from tickets.mail.models import Mailbox, MailSettings
from tickets.mail.models.mailboxes import SECURITY
from tickets.mail.services import mailboxes

_OFF = {"autocomplete": "off", "spellcheck": "false"}
_MEGABYTE = 1024 * 1024
KEPT = "•••••••• (kept; type to replace it)"


def _line(label: str, longest: int, *, required: bool = False, hint: str = "", help_text: str = "") -> forms.CharField:
    widget = forms.TextInput(attrs={**_OFF, "placeholder": hint} if hint else _OFF)
    return forms.CharField(label=label, max_length=longest, required=required, widget=widget, help_text=help_text)


def _port() -> forms.IntegerField:
    widget = forms.NumberInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return forms.IntegerField(label="Port", min_value=1, max_value=65535, widget=widget)


def _secret(label: str, help_text: str = "") -> forms.CharField:
    """A password: what is stored never goes back to the page, and white space may belong to it."""
    widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"})
    return forms.CharField(
        label=label, required=False, strip=False, max_length=4000, widget=widget, help_text=help_text
    )


class MailboxForm(DomainForm):
    """A mailbox: its address, what its tickets get, the ways in and the way out."""

    address = forms.CharField(
        label="Address",
        max_length=254,
        help_text="What your customers write to.",
        widget=forms.EmailInput(attrs={**_OFF, "placeholder": "support@example.com", "inputmode": "email"}),
    )
    name = _line("Name", 120, hint="Example Support", help_text="Stands beside the address in the mails you send.")

    team_id = IdField(label="Team")
    category_id = IdField(label="Category")
    priority = forms.ChoiceField(choices=PRIORITIES)

    adds_cc = forms.ChoiceField(
        label="Do people in Cc take part in the ticket?",
        choices=[
            ("verified", "When the sender is verified"),
            ("always", "Always"),
            ("never", "Never"),
        ],
        widget=forms.RadioSelect,
        help_text="Who takes part gets every answer. A mail can claim any sender, so strangers who copy themselves in "
        "could read along. “When verified” lets people in only if your own mail server vouches for the sender.",
    )
    trusted_host = _line(
        "Mail server that verifies senders",
        253,
        hint="mx.example.com",
        help_text="The name that your mail server writes at the start of Authentication-Results, a header of every "
        "mail it takes (RFC 8601). Only what this one says is believed. Empty: no sender counts as verified.",
    )

    imap_host = _line("Server", 253, hint="imap.example.com", help_text="Empty: mail is not fetched.")
    imap_port = _port()
    imap_security = forms.ChoiceField(label="Security", choices=SECURITY)
    imap_user = _line("User", 254, hint="support@example.com")
    imap_auth = forms.ChoiceField(
        label="Sign in with", choices=[("password", "A password"), ("oauth2", "OAuth 2 (a refresh token)")]
    )
    imap_secret = _secret("Password or refresh token")
    imap_folder = _line("Folder", 120, required=True)
    imap_after = forms.ChoiceField(
        label="Then",
        choices=[("seen", "Mark it as read"), ("move", "Move it to a folder"), ("delete", "Delete it there")],
        help_text="Only after the message is stored here.",
    )
    imap_move_to = _line("Move it to", 120, hint="Helpdesk")
    oauth_token_url = _line("Token address", 500, hint="https://oauth2.example.com/token")
    oauth_client_id = _line("Client id", 300)
    oauth_client_secret = _secret("Client secret")

    smtp_host = _line("Server", 253, hint="smtp.example.com", help_text="Empty: this server’s own way of sending.")
    smtp_port = _port()
    smtp_security = forms.ChoiceField(label="Security", choices=SECURITY)
    smtp_user = _line("User", 254)
    smtp_secret = _secret("Password")
    uses_plus_address = forms.BooleanField(
        label="Ask for answers at an address with a plus",
        required=False,
        help_text="Answers then find their ticket even from mail programs that lose its thread. Your server must "
        "deliver support+anything@ to support@; most do. If customers’ answers come back as undeliverable, switch it "
        "off.",
    )

    def __init__(
        self, *args: Any, mailbox: Mailbox | None = None, choices: Mapping[str, Iterable[Choice]], **kwargs: Any
    ) -> None:
        row = mailbox or Mailbox()
        initial = {name: getattr(row, name) for name in mailboxes.CHANGES if not name.endswith("_secret")}
        super().__init__(*args, initial=initial, choices=choices, **kwargs)
        for name in ("imap_secret", "smtp_secret", "oauth_client_secret"):
            if getattr(row, name):
                self.fields[name].widget.attrs["placeholder"] = KEPT
                self.fields[name].help_text = "Kept. Leave it empty to go on with it."

    @property
    def imap_errors(self) -> bool:
        """Whether something is wrong with how mail is fetched."""
        return any(name.startswith(("imap_", "oauth_")) for name in self.errors)

    @property
    def smtp_errors(self) -> bool:
        """Whether something is wrong with the server that sends."""
        return any(name.startswith("smtp_") for name in self.errors)

    def changes(self) -> dict[str, Any]:
        """What the service is told."""
        return dict(self.cleaned_data)


class WritingForm(DomainForm):
    """How the workspace writes to people."""

    undo_seconds = forms.IntegerField(
        label="Answers can be taken back for",
        min_value=0,
        max_value=mailboxes.LONGEST_UNDO,
        help_text="Seconds, up to 120. A mail leaves only then; 0 sends it at once.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
    acknowledges = forms.BooleanField(
        label="Say that a request has come",
        required=False,
        help_text="Customers get a short mail with the number of their new ticket. Machines and lists get none.",
    )
    tells_resolution = forms.BooleanField(
        label="Say when a ticket is resolved",
        required=False,
        help_text="With a link where the customer can rate your help.",
    )
    history = forms.ChoiceField(
        label="Below an answer stands",
        choices=[
            ("none", "Nothing"),
            ("last", "The message before it"),
            ("all", "The whole conversation"),
        ],
        widget=forms.RadioSelect,
    )
    link_files_over = forms.DecimalField(
        label="Send files as links from",
        min_value=0,
        max_value=mailboxes.LARGEST_INLINE // _MEGABYTE,
        max_digits=6,
        decimal_places=1,
        help_text="MB, up to 25: what all files of a mail have together. Many servers refuse mails that are larger.",
        widget=forms.NumberInput(attrs={"inputmode": "decimal", "step": "0.5"}),
    )
    signature = forms.CharField(
        required=False,
        max_length=2000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Stands below every answer. It is the workspace’s: Settings, Workspace shows the same.",
    )

    @classmethod
    def of(cls, kept: MailSettings, signature: str) -> "WritingForm":
        """The form as things stand."""
        initial = {
            name: getattr(kept, name) for name in ("undo_seconds", "acknowledges", "tells_resolution", "history")
        }
        megabytes = f"{kept.link_files_over / _MEGABYTE:.1f}".removesuffix(".0")
        return cls(initial={**initial, "link_files_over": megabytes, "signature": signature})

    def changes(self) -> dict[str, Any]:
        """What the service is told."""
        given = dict(self.cleaned_data)
        return {**given, "link_files_over": int(given["link_files_over"] * _MEGABYTE)}
