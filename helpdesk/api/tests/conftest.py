"""Clients that hold a token. Django is not set up yet when this file is read: imports stand inside."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def client_of() -> Callable[[Any], Any]:
    """A client that holds a fresh access token of the member."""
    from django.utils import timezone
    from rest_framework.test import APIClient

    from helpdesk.accounts import tokens

    def signed_in(membership: Any) -> APIClient:
        client = APIClient()
        pair = tokens.issue(membership=membership, now=timezone.now())
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
        return client

    return signed_in
