"""Signed Message-IDs and reply addresses: only those that we made name a ticket."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.mail import tokens

OLD, NEW = "old-secret-" * 8, "new-secret-" * 8


def made(kind: str = "reply") -> str:
    return tokens.message_id(kind=kind, ticket_id=uuid4(), outgoing_id=uuid4(), domain="help.example")


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_a_message_id_of_ours_names_its_ticket_row_and_kind(kind):
    ticket, row = uuid4(), uuid4()
    value = tokens.message_id(kind=kind, ticket_id=ticket, outgoing_id=row, domain="help.example")
    for written in (value, f"<{value}>", f" <{value.upper()}> "):
        assert tokens.read_message_id(written) == tokens.Signed(kind, ticket, row)
    assert tokens.message_id(kind=kind, ticket_id=ticket, outgoing_id=row, domain="help.example") == value


def test_any_other_ticket_row_kind_or_mac_under_the_same_signature_is_not_ours():
    letter, ticket, row, mac = made().partition("@")[0].split(".")
    other = made("notice").partition("@")[0].split(".")
    for parts in (
        [other[0], ticket, row, mac],
        [letter, other[1], row, mac],
        [letter, ticket, other[2], mac],
        [letter, ticket, row, other[3]],
        ["hdz", ticket, row, mac],
    ):
        value = ".".join(parts) + "@help.example"
        assert tokens.read_message_id(value) is None
    assert tokens.looks_ours(f"{letter}.{ticket}.{row}.{other[3]}@help.example")


def test_a_reply_address_names_its_ticket_in_any_case():
    ticket = uuid4()
    address = tokens.reply_address(ticket_id=ticket, address="support@acme.example")
    assert tokens.read_address(address) == ticket == tokens.read_address(address.upper())
    assert tokens.without_token(address) == "support@acme.example"
    assert len(address.partition("@")[0]) <= 64


def test_an_address_too_long_for_a_token_stays_as_it_is():
    address = "x" * 30 + "@acme.example"
    assert tokens.reply_address(ticket_id=uuid4(), address=address) == address


def test_a_mac_of_a_message_id_does_not_sign_an_address():
    ticket = uuid4()
    mac = tokens.message_id(kind="reply", ticket_id=ticket, outgoing_id=ticket, domain="x").split(".")[3][:16]
    named = tokens.reply_address(ticket_id=ticket, address="a@b.example").split("+t")[1].partition(".")[0]
    assert tokens.read_address(f"a+t{named}.{mac}@b.example") is None


def test_what_an_older_key_signed_is_ours_while_it_is_a_fallback(settings):
    settings.SECRET_KEY = OLD
    value, address = made(), tokens.reply_address(ticket_id=uuid4(), address="a@b.example")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert tokens.read_message_id(value) and tokens.read_address(address)
    settings.SECRET_KEY_FALLBACKS = []
    assert tokens.read_message_id(value) is None and tokens.read_address(address) is None


@given(st.text())
def test_no_other_text_is_ours(text):
    assert tokens.read_message_id(text) is None
    assert tokens.read_address(text) is None


@given(st.integers(0, 200), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_changed_character_is_noticed(place, letter):
    value = made()
    place %= value.index("@")
    changed = value[:place] + letter + value[place + 1 :]
    assert changed == value or tokens.read_message_id(changed) is None
