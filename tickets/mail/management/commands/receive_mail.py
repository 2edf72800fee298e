"""`manage.py receive_mail`: messages from files, worked through at once; one line of JSON for each."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tickets.mail.models import Mailbox
from tickets.mail.parsing import headers, message
from tickets.mail.services import addressing, receiving


class Command(BaseCommand):
    help = (
        "Take messages from files (or from standard input, -) as if they had come by mail, and say what became of "
        "each in one line of JSON. What a file's bytes are is no matter; a file that cannot be opened is an error."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("files", nargs="*", default=["-"], metavar="FILE", help="messages; - is standard input")
        parser.add_argument("--mailbox", help="the mailbox's address; otherwise the message's recipients say it")

    def handle(self, *args: Any, files: list[str], mailbox: str | None, **options: Any) -> None:
        """Take every file. Raises CommandError at the end when one could not be taken."""
        given = None
        if mailbox is not None and (given := addressing.find_mailbox(mailbox)) is None:
            raise CommandError(f"There is no active mailbox {mailbox}. Give another with --mailbox.")
        problems = []
        for name in files:
            try:
                line = _take(name, given)
            except CommandError as problem:
                problems.append(f"{name}: {problem}")
                self.stderr.write(f"{name}: {problem}")
            else:
                self.stdout.write(json.dumps(line))
        if problems:
            told = problems[0] if len(files) == 1 else f"{len(problems)} of {len(files)} files were not taken."
            raise CommandError(told)


def _take(name: str, mailbox: Mailbox | None) -> dict[str, Any]:
    """Receive one file; gives its line. Raises CommandError saying why it was not taken."""
    raw = _bytes(name)
    try:
        read = message.read(raw)
    except message.Unreadable:
        read = None
    mailbox = mailbox or _mailbox_of(read)
    incoming = receiving.accept(
        raw=raw,
        mailbox=mailbox,
        way="command",
        envelope_from=_return_path(read),
        envelope_to="",
        now=timezone.now(),
        is_queued=False,
    )
    incoming = receiving.process(incoming_id=incoming.pk, now=timezone.now())
    if incoming.status == "waiting":
        raise CommandError("It is stored, and waits: the database or the disk refused it for now.")
    return {"file": name, **receiving.told(incoming)}


def _bytes(name: str) -> bytes:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(settings.MAIL_MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(settings.MAIL_MAX_BYTES + 1)
    except OSError as problem:
        raise CommandError(f"cannot be read: {problem.strerror or problem}.") from None
    if len(raw) > settings.MAIL_MAX_BYTES:
        raise CommandError(f"is too large: up to {settings.MAIL_MAX_BYTES} bytes are taken.")
    return raw


def _mailbox_of(read: message.Message | None) -> Mailbox:
    """The mailbox a message was sent to; else the one by setting, else the only workspace's default one."""
    named = [] if read is None else [*read.delivered_to, *(each.email for each in (*read.to, *read.cc))]
    for address in [*named, settings.MAIL_DEFAULT_MAILBOX]:
        if address and (found := addressing.find_mailbox(address)):
            return found
    workspaces = Mailbox.unscoped.filter(is_active=True).values_list("workspace_id", flat=True).distinct()[:2]
    found = addressing.default_mailbox(workspaces[0]) if len(workspaces) == 1 else None
    if found is None:
        raise CommandError("It names no mailbox of ours as its recipient. Say which one with --mailbox ADDRESS.")
    return found


def _return_path(read: message.Message | None) -> str | None:
    """The envelope's sender as the delivering server noted it (RFC 5321, 4.4); None where it did not."""
    value = "" if read is None else headers.first(read.headers, "return-path")
    if not value:
        return None
    found = headers.addresses(value)
    return found[0].email if found else ""
