"""Forms of Settings → Privacy."""

from django import forms


class AddressForm(forms.Form):
    """Whom it is about."""

    address = forms.CharField(
        label="E-mail address of the customer",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class ErasureForm(forms.Form):
    """The address once more, typed: there is no way back."""

    address = forms.CharField(max_length=254, widget=forms.HiddenInput)
    typed = forms.CharField(
        label="Type the address to confirm",
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "inputmode": "email"}),
    )
