"""Secrets that must be read again stand in the database sealed."""

import pytest

from helpdesk.sealing import Unopenable, seal, unseal

OLD, NEW = "old-secret-" * 8, "new-secret-" * 8


def test_a_sealed_secret_can_be_read_again_and_says_nothing_itself():
    sealed = seal("pa55 wörd")
    assert "pa55" not in sealed and unseal(sealed) == "pa55 wörd"
    assert seal("pa55 wörd") != sealed  # equal secrets do not look equal


def test_no_secret_is_no_secret():
    assert seal("") == "" and unseal("") == ""


def test_after_the_key_is_rotated_old_secrets_open_still(settings):
    settings.SECRET_KEY = OLD
    sealed = seal("secret")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert unseal(sealed) == "secret"


def test_under_another_key_nothing_opens(settings):
    settings.SECRET_KEY = OLD
    sealed = seal("secret")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, []
    with pytest.raises(Unopenable):
        unseal(sealed)


def test_what_was_altered_does_not_open():
    sealed = seal("secret")
    with pytest.raises(Unopenable):
        unseal(sealed[:-4] + "AAA=")
