"""Forms of sign-in, profile, members, teams and the workspace."""

import zoneinfo
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, PasswordResetForm

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.roles import SCOPES, Permission, Role
from helpdesk.accounts.services import MAX_CAPACITY
from helpdesk.errors import DomainError

ROLES: list[tuple[str, str]] = [
    (Role.LIGHT.value, "Light agent"),
    (Role.AGENT.value, "Agent"),
    (Role.ADMIN.value, "Admin"),
    (Role.OWNER.value, "Owner"),
]
SCOPE_WORDS = {"read": "Read", "write": "Read and change tickets", "admin": "Everything that you may do"}


def show_errors(form: forms.BaseForm, error: DomainError) -> None:
    """Put what a service refused where the person can see it: at its field, or above the form."""
    for field, texts in error.errors.items():
        form.add_error(field if field in form.fields else None, texts)
    if not error.errors:
        form.add_error(None, error.detail)


def roles_for(by: Membership) -> list[tuple[str, str]]:
    """The roles that a member may give, lowest first."""
    return [(value, words) for value, words in ROLES if value != Role.OWNER or by.may(Permission.OWN)]


class TimezoneField(forms.ChoiceField):
    """One of the time zones that this machine knows."""

    def __init__(self, **kwargs: Any) -> None:
        names = sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")
        super().__init__(choices=[(name, name.replace("_", " ")) for name in names], label="Time zone", **kwargs)


class SignInForm(AuthenticationForm):
    """E-mail and password; the address is compared in lower case, and so are its failures counted."""

    username: Any = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username", "autocapitalize": "none"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,  # hashing costs time in proportion
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    error_messages = {
        "invalid_login": "This e-mail and this password do not belong together.",
        "inactive": "This e-mail and this password do not belong together.",
    }

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).lower()


class ResetForm(PasswordResetForm):
    """Only asks for the address: the mail is sent by a task."""

    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True})
    )


class NewPasswordForm(PasswordChangeForm):
    """A new password on the profile page; the page does not begin in the middle."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["old_password"].widget.attrs["autofocus"]


class ProfileForm(forms.Form):
    """What a person says about themselves."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    timezone = TimezoneField()


class ApiKeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(max_length=80, help_text="Which program will use it.")
    expires_in = forms.TypedChoiceField(
        label="Works for",
        coerce=int,
        empty_value=None,
        required=False,
        initial="90",
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "Until it is revoked")],
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[(scope, SCOPE_WORDS[scope]) for scope in SCOPES],
        initial=["read"],
        widget=forms.CheckboxSelectMultiple,
    )


class InviteForm(forms.Form):
    """Somebody to invite; the roles are those that the inviting member may give."""

    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(initial=Role.AGENT.value)

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role: Any = self.fields["role"]
        role.choices = roles_for(by)


class AvailabilityForm(forms.Form):
    """Whether rules give tickets to a member, and how many open ones at most."""

    is_available = forms.TypedChoiceField(
        label="Availability",
        choices=[("1", "Available"), ("0", "Away")],
        coerce=lambda value: value == "1",
        error_messages={"required": "Say whether they are available.", "invalid_choice": "This is neither."},
    )
    capacity = forms.IntegerField(
        label="Open tickets at most",
        required=False,
        widget=forms.NumberInput(
            attrs={"min": 1, "max": MAX_CAPACITY, "inputmode": "numeric", "placeholder": "No limit"}
        ),
    )

    @classmethod
    def of(cls, member: Membership, data: Any = None) -> "AvailabilityForm":
        """The form as the member stands, on a page that shows one for each."""
        initial = {"is_available": "1" if member.is_available else "0", "capacity": member.capacity}
        return cls(data, initial=initial, auto_id=f"%s-{member.pk}")


class JoinForm(forms.Form):
    """For a new person who accepts an invitation."""

    name = forms.CharField(label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label="Choose a password",
        strip=False,
        max_length=1000,
        help_text="At least 10 characters; a few unrelated words are easy to keep.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class ProveForm(forms.Form):
    """For somebody who has an account and accepts an invitation without being signed in."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        max_length=1000,
        help_text="There is an account with this address: sign in to it and join.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class WorkspaceForm(forms.Form):
    """A workspace's settings."""

    name = forms.CharField(max_length=120)
    timezone = TimezoneField()
    auto_close_days = forms.IntegerField(
        label="Close resolved tickets after",
        min_value=0,
        max_value=365,
        help_text="Days. 0 leaves them resolved until somebody closes them.",
    )
    reopen_window_days = forms.IntegerField(
        label="Customers can reopen for",
        min_value=0,
        max_value=365,
        help_text="Days after a ticket was closed. Later answers become a new ticket.",
    )
    signature = forms.CharField(
        required=False,
        max_length=2000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Stands below answers that are mailed to customers.",
    )

    @classmethod
    def of(cls, workspace: Workspace) -> "WorkspaceForm":
        """The form as the workspace stands."""
        return cls(initial={name: getattr(workspace, name) for name in cls.base_fields})


class TeamForm(forms.Form):
    """A team: its name, who is in it, and who leads it."""

    name = forms.CharField(max_length=80)
    members: Any = forms.ModelMultipleChoiceField(queryset=None, required=False, widget=forms.CheckboxSelectMultiple)
    lead: Any = forms.TypedChoiceField(
        coerce=UUID,
        empty_value=None,
        required=False,
        help_text="One of the members. Hears of the team’s tickets that are escalated.",
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members: Any = self.fields["members"]
        members.queryset = (
            Membership.objects.for_workspace(workspace)
            .filter(is_active=True)
            .select_related("user")
            .order_by("user__name", "user__email")
        )
        people = list(members.queryset)  # asked for once, for both
        members.choices = [(one.pk, str(one)) for one in people]
        lead: Any = self.fields["lead"]
        lead.choices = [("", "Nobody"), *((str(one.pk), str(one.user)) for one in people)]
