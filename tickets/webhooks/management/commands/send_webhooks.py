"""`manage.py send_webhooks`: the process that sends webhooks."""

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tickets.webhooks.services.sender import Sender


class Command(BaseCommand):
    """Send webhooks until SIGTERM or Ctrl-C."""

    help = "Send webhooks: one process is enough, several share the work."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--until-empty", action="store_true", help="End when nothing is due and nothing under way.")
        parser.add_argument("--seconds", type=float, help="End after so many seconds.")

    def handle(self, *args: Any, until_empty: bool, seconds: float | None, **options: Any) -> None:
        """Run."""
        asyncio.run(self._run(until_empty=until_empty, seconds=seconds))

    async def _run(self, **limits: Any) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        await Sender().run(stopping, **limits)
