"""The template filters for people and moments, and the component that shows a form's field."""

import datetime as dt

import pytest
from django import forms
from django.template.loader import render_to_string

from helpdesk.accounts.templatetags.people import ago, initials

NOW = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Maria Rossi", "MR"),
        ("jane@acme.example", "J"),
        ("R. van den Adeyemi", "RA"),
        ("  ", "?"),
        (None, "?"),
        ("Élodie", "É"),
        ("(test) Sam", "S"),
    ],
)
def test_initials_stand_for_a_person(name: str | None, letters: str) -> None:
    assert initials(name) == letters


@pytest.mark.parametrize(
    ("before_now", "words"),
    [
        (dt.timedelta(seconds=20), "just now"),
        (dt.timedelta(minutes=5, seconds=59), "5 min"),
        (dt.timedelta(hours=2), "2 h"),
        (dt.timedelta(days=3, hours=23), "3 d"),
        (dt.timedelta(days=31), "7 Feb"),
        (dt.timedelta(days=365), "10 Mar 2025"),
        (-dt.timedelta(hours=2), "in 2 h"),
        (-dt.timedelta(seconds=5), "in a moment"),
    ],
)
def test_a_moment_is_said_by_its_distance_and_a_far_one_by_its_date(before_now: dt.timedelta, words: str) -> None:
    assert ago(NOW - before_now, NOW) == words


def test_no_moment_is_no_words() -> None:
    assert ago(None, NOW) == ""


class _Form(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="We answer there.")
    note = forms.CharField(required=False)
    agreed = forms.BooleanField(label="I agree")
    scopes = forms.MultipleChoiceField(choices=[("read", "Read")], widget=forms.CheckboxSelectMultiple)


class TestTheFieldComponent:
    def test_ties_help_and_errors_to_the_control(self) -> None:
        page = render_to_string("components/field.html", {"field": _Form({"email": "<b>"})["email"]})
        assert 'aria-invalid="true"' in page
        assert 'aria-describedby="id_email_help id_email_error"' in page
        assert 'id="id_email_help"' in page and 'id="id_email_error"' in page
        assert "&lt;b&gt;" in page and "<b>" not in page

    def test_says_which_fields_are_optional(self) -> None:
        assert "(optional)" in render_to_string("components/field.html", {"field": _Form()["note"]})
        assert "(optional)" not in render_to_string("components/field.html", {"field": _Form()["email"]})

    @pytest.mark.parametrize("name", ["agreed", "scopes"])
    def test_shows_choices_with_their_words(self, name: str) -> None:
        assert 'class="choice"' in render_to_string("components/field.html", {"field": _Form()[name]})


@pytest.mark.parametrize("page", ["400.html", "403.html", "404.html", "500.html"])
def test_an_error_page_needs_no_context_and_has_nothing_inline(page: str) -> None:
    html = render_to_string(page)
    assert "<h1>" in html
    assert "style=" not in html and "<style" not in html and "onclick" not in html
