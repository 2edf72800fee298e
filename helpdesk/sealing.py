"""Secrets that must be read again (passwords of mailboxes): encrypted in the database with the server's key.

Fernet (AES-128-CBC with HMAC-SHA256) under a key derived from SECRET_KEY; what was sealed under one of
SECRET_KEY_FALLBACKS can still be opened.
"""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unopenable(Exception):
    """This was sealed with a key that is no longer configured, or was altered."""


def _keys() -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"helpdesk sealed secret:" + secret.encode()).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def seal(secret: str) -> str:
    """A text that only this server can open; empty for an empty secret."""
    return _keys().encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str) -> str:
    """The secret again. Raises Unopenable."""
    if not sealed:
        return ""
    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unopenable("The stored secret cannot be opened with the configured SECRET_KEY.") from None
