"""A mailbox's own mail server: reached at a checked address only, and by the name of its certificate."""

import smtplib
import socket
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from helpdesk import outbound, sealing
from tickets.mail.models import Mailbox

SECONDS = 30.0  # for each step of the conversation


class _Checked(smtplib.SMTP):
    """Connects to checked addresses of the host; TLS still asks for the certificate of its name."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        problem: OSError | None = None
        for address in outbound.checked_addresses(host, port):
            try:
                return socket.create_connection((str(address), port), timeout)
            except OSError as error:
                problem = error
        raise problem or outbound.OutboundError("There is no such host.")


class _CheckedTls(smtplib.SMTP_SSL, _Checked):
    """The same with TLS from the first byte (RFC 8314): wraps the checked connection."""


class MailboxBackend(EmailBackend):
    """Django's SMTP for a server that somebody has typed in."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """How to connect."""
        return _CheckedTls if self.use_ssl else _Checked


def connection(mailbox: Mailbox) -> Any:
    """A mail backend that sends by the mailbox's own server. Raises `sealing.Unopenable` for a lost key."""
    return MailboxBackend(
        host=mailbox.smtp_host,
        port=mailbox.smtp_port,
        username=mailbox.smtp_user,
        password=sealing.unseal(mailbox.smtp_secret),
        use_tls=mailbox.smtp_security == "starttls",
        use_ssl=mailbox.smtp_security == "tls",
        timeout=SECONDS,
        fail_silently=False,
    )
