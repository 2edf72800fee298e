"""What visitors of help articles fill in."""

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms.requests import PlainForm
from portal.services.reading import COMMENT_LENGTH


class HelpfulForm(PlainForm):
    """Whether an article helped; where it did not, what was missing."""

    helpful = forms.ChoiceField(
        choices=[("yes", _("Yes")), ("no", _("No"))],
        error_messages={"required": _("Please choose yes or no."), "invalid_choice": _("Please choose yes or no.")},
    )
    comment = forms.CharField(
        label=_("What was missing or wrong?"),
        required=False,
        max_length=COMMENT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        error_messages={"max_length": _("This is too long: 1,000 characters are possible.")},
    )

    names = {"is_helpful": "helpful"}
