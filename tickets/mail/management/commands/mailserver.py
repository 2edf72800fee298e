"""`manage.py mailserver`: the listener that mail servers forward to, over SMTP or LMTP."""

import asyncio
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tickets.mail.listener import Listener


class Command(BaseCommand):
    """Take mail for our mailboxes until SIGTERM or Ctrl-C."""

    help = "Listen for mail to our mailboxes over SMTP, and over LMTP where a port or a socket is given."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--bind", default=settings.MAIL_BIND, help="Address (default: MAIL_BIND).")
        parser.add_argument("--port", type=int, default=settings.MAIL_PORT, help="SMTP; 0: none (default: MAIL_PORT).")
        parser.add_argument("--lmtp-port", type=int, default=0, help="LMTP besides, on the same address.")
        parser.add_argument("--lmtp-socket", type=Path, help="LMTP besides, on a Unix socket.")

    def handle(
        self, *args: Any, bind: str, port: int, lmtp_port: int, lmtp_socket: Path | None, **options: Any
    ) -> None:
        """Run. Raises CommandError when it cannot listen."""
        if not (port or lmtp_port or lmtp_socket):
            raise CommandError("There is nothing to listen to: give --port, --lmtp-port or --lmtp-socket.")
        host = bind.strip("[]")
        try:
            asyncio.run(
                self._run(
                    smtp=(host, port) if port else None,
                    lmtp=(host, lmtp_port) if lmtp_port else None,
                    socket=lmtp_socket,
                    is_talking=options["verbosity"] > 0,
                )
            )
        except OSError as problem:
            raise CommandError(f"Cannot listen for mail on {host}: {problem.strerror or problem}.") from None

    async def _run(self, *, is_talking: bool, **where: Any) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        listener = Listener(**where)
        await listener.start()
        if is_talking:
            self.stdout.write(f"Listening for mail on {', '.join(map(str, listener.ports)) or where['socket']}.")
            self.stdout.flush()
        await stopping.wait()
        await listener.stop()
