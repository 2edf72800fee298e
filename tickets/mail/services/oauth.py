"""Access tokens of mail providers that want OAuth 2 (RFC 6749): made from the refresh token of a mailbox."""

import json
import re
from urllib.parse import urlencode

from helpdesk import outbound, sealing
from tickets.mail.models import Mailbox

_CODE = re.compile(r"[a-z_]{1,60}")  # of an error, RFC 6749, 5.2


class TokenRefused(Exception):
    """There is no access token to be had; the text says why, without anything secret."""


def access_token(mailbox: Mailbox) -> str:
    """A fresh access token (RFC 6749, 6). A refresh token that came with it takes the place of ours.

    Raises TokenRefused, outbound.OutboundError and sealing.Unopenable.
    """
    if not mailbox.oauth_token_url.startswith("https://"):
        raise TokenRefused("The address for tokens must begin with https://.")
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": sealing.unseal(mailbox.imap_secret),
        "client_id": mailbox.oauth_client_id,
        "client_secret": sealing.unseal(mailbox.oauth_client_secret),
    }
    answer = outbound.post(
        mailbox.oauth_token_url,
        body=urlencode({name: value for name, value in asked.items() if value}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
    )
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise TokenRefused(f"The address for tokens answered with status {answer.status} and no JSON.")
    token, error = said.get("access_token"), said.get("error")
    if not answer.is_success or not isinstance(token, str) or not token:
        word = error if isinstance(error, str) and _CODE.fullmatch(error) else f"status {answer.status}"
        raise TokenRefused(f"The provider gives no token ({word}): connect the mailbox again.")
    renewed = said.get("refresh_token")
    if isinstance(renewed, str) and renewed and renewed != asked["refresh_token"]:
        mailbox.imap_secret = sealing.seal(renewed)
        if not mailbox._state.adding:
            Mailbox.objects.for_workspace(mailbox.workspace_id).filter(pk=mailbox.pk).update(
                imap_secret=mailbox.imap_secret
            )
    return token
