"""`manage.py bench_mail_out`: how many answers a second are written with their mail, how many mails a second leave."""

import collections
import email
import itertools
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from aiosmtpd.controller import Controller
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts.models import Membership
from helpdesk.celery import app as celery_app
from helpdesk.management.commands import start
from tickets.events import SYSTEM
from tickets.mail.management.commands import bench_mail
from tickets.mail.models import MailSettings, Outgoing
from tickets.management import bench_run, scratch
from tickets.management.commands.demo import refuse_in_the_open
from tickets.models import Ticket
from tickets.services import conversation, opening

PER_SECOND = 20  # mails by a worker with two processes: what a hundred agents write in their busiest minute
GROWTH = 1.15  # of a worker's memory from the first tenth to the end
PATIENCE = 1800.0  # seconds until the worker must be through
SENTENCE = "Thank you for your message. We have looked into it, and this is what we found: "


class Sink:
    """A mail server that takes everything and keeps the Message-IDs."""

    def __init__(self) -> None:
        self.taken: collections.Counter[str] = collections.Counter()
        self.sizes: list[int] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """A mail was sent."""
        self.taken[email.message_from_bytes(envelope.content)["Message-ID"].strip("<>")] += 1
        self.sizes.append(len(envelope.content))
        return "250 OK"


class Command(BaseCommand):
    help = (
        "Measure mail that goes out in a scratch database of its own: answers are written, a real worker with two "
        "processes sends them to a mail server on this machine."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--mails", type=int, default=3000, help="answers that are sent (3000)")

    def handle(self, *args: object, mails: int, **options: object) -> None:
        """Measure. Raises CommandError when that is not possible."""
        refuse_in_the_open()
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as name:
            folder = Path(name)
            folder.chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            try:
                with scratch.servers(folder) as redis_url, scratch.database("mail_out") as database_url:
                    celery_app.conf.update(broker_url=embedded.broker_url(redis_url))
                    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
                    call_command("demo", tickets=50, stdout=self.stdout)
                    environment = bench_run.environment_for(database_url, redis_url, folder)
                    good = self._go_out(mails, environment, redis_url)
            except embedded.EmbeddedError as problem:
                raise CommandError(str(problem)) from None
        self.stdout.write("\nEvery mark is kept." if good else "\nNot every mark is kept.")

    def _go_out(self, count: int, environment: dict[str, str], redis_url: str) -> bool:
        agent = Membership.unscoped.select_related("user", "workspace").get(user__email=bench_run.AGENT)
        MailSettings.unscoped.update_or_create(workspace=agent.workspace, defaults={"undo_seconds": 0})
        tickets = self._tickets(agent, count)
        broker = redis.Redis.from_url(redis_url)
        # What opening them has asked for is not measured.
        broker.delete(settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] + "celery")
        began, times = timezone.now(), []
        for ticket, length in zip(tickets, itertools.cycle(range(2, 12)), strict=False):
            body = "\n\n".join([SENTENCE * length] * 3)
            started = time.perf_counter()
            conversation.agent_reply(ticket=ticket, author=agent, body=body, internal=False, now=timezone.now())
            times.append(time.perf_counter() - started)
        self.stdout.write(
            f"\n{count} answers, written and queued one after the other{1 / statistics.fmean(times):7.0f}/s, "
            f"median {statistics.median(times) * 1000:.1f} ms"
        )
        sink = Sink()
        server = Controller(sink, hostname="127.0.0.1", port=_free_port())
        server.start()
        environment = environment | {"EMAIL_URL": f"smtp://127.0.0.1:{server.port}"}
        worker = subprocess.Popen(start.commands()["worker"], env=environment, cwd=settings.BASE_DIR)  # noqa: S603
        try:
            seconds, (first, last) = self._time_draining(began, count, worker)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(timeout=60)
            server.stop()
        sent = set(Outgoing.unscoped.filter(kind="reply", created_at__gte=began).values_list("message_id", flat=True))
        is_each_once = {sink.taken[one] for one in sent} == {1}
        rate = count / seconds
        is_quick, is_flat = rate >= PER_SECOND, last <= first * GROWTH
        verdict = bench_mail._verdict
        self.stdout.write(
            f"  mails of {statistics.fmean(sink.sizes) / 1000:.1f} kB, each arrived once: {verdict(is_each_once)}"
        )
        self.stdout.write(f"  by a worker with two processes{rate:19.0f}/s  {verdict(is_quick)} (≥ {PER_SECOND}/s)")
        self.stdout.write(
            f"  its largest process, after a tenth and in the end{first:6.0f} and {last:.0f} MB  {verdict(is_flat)} "
            f"(≤ {GROWTH:g}×)"
        )
        return is_each_once and is_quick and is_flat

    @staticmethod
    def _tickets(agent: Membership, count: int) -> list[Ticket]:
        """One for each customer: of many answers to one the later ones would wait."""
        return [
            opening.open_ticket(
                workspace=agent.workspace,
                subject=f"Question {number}",
                description="How does this work? " * 10,
                requester_email=f"customer{number}@bench.example",
                channel="web",
                actor=SYSTEM,
                now=timezone.now(),
            )
            for number in range(count)
        ]

    @staticmethod
    def _time_draining(
        began: datetime, count: int, worker: "subprocess.Popen[bytes]"
    ) -> tuple[float, tuple[float, float]]:
        """Seconds for all from the first mail that is sent to the last, and the memory of a process then and in the
        end.
        """
        waiting = Outgoing.unscoped.filter(kind="reply", created_at__gte=began, status="waiting")
        start_at, first, until, before = 0.0, 0.0, time.monotonic() + PATIENCE, count
        while time.monotonic() < until:
            if worker.poll() is not None:
                raise CommandError("The worker has ended.")
            left = waiting.count()
            if not start_at and left < count:
                start_at, before = time.monotonic(), left
            if not first and left <= count * 0.9:
                first = bench_mail._memory_below(worker.pid)
            if not left:
                seconds = (time.monotonic() - start_at) * count / max(before, 1)
                return seconds, (first, bench_mail._memory_below(worker.pid))
            time.sleep(0.2)
        raise CommandError(f"The worker was not through after {PATIENCE:.0f} seconds.")


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
