"""Rows of mail: where it comes in, every message that came, and every mail that goes out."""

from tickets.mail.models.incoming import BlockedSender, Incoming
from tickets.mail.models.mailboxes import Mailbox, MailSettings, ParsingRule
from tickets.mail.models.outgoing import NoticePreference, Outgoing, Undeliverable

__all__ = [
    "BlockedSender",
    "Incoming",
    "MailSettings",
    "Mailbox",
    "NoticePreference",
    "Outgoing",
    "ParsingRule",
    "Undeliverable",
]
