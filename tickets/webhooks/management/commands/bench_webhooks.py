"""`manage.py bench_webhooks`: how quickly webhooks arrive, how many a second, and beside one that hangs."""

import contextlib
import itertools
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts.models import Membership
from helpdesk.celery import app as celery_app
from helpdesk.management.commands import start
from tickets.events import SYSTEM
from tickets.management import bench_run, scratch
from tickets.management.commands.demo import refuse_in_the_open
from tickets.models import Activity, Ticket
from tickets.services import assignment
from tickets.webhooks.management import receiver
from tickets.webhooks.models import Delivery, Endpoint
from tickets.webhooks.services import endpoints

PER_SECOND = 150  # deliveries on two cores
IDLE_SECONDS = 0.3  # from an event to its arrival, the median of single ones
OTHERS_SECONDS = 5.0  # the same beside an endpoint that hangs, the 95th percentile
EVENTS = ("ticket.assigned", "ticket.unassigned")
PATIENCE = 300.0


class Command(BaseCommand):
    help = (
        "Measure webhooks in a scratch database of its own: a real sender process, a receiver on this machine that is "
        "quick, hangs or fails."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--events", type=int, default=1500, help="events at once, each for two endpoints (1500)")
        parser.add_argument("--single", type=int, default=60, help="events of which each finds the sender idle (60)")
        parser.add_argument(
            "--seconds", type=int, default=30, help="how long 50 events a second go to ten endpoints (30)"
        )

    def handle(self, *args: object, events: int, single: int, seconds: int, **options: object) -> None:
        """Measure. Raises CommandError when that is not possible."""
        refuse_in_the_open()
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as name:
            folder = Path(name)
            folder.chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
            try:
                with scratch.servers(folder) as redis_url, scratch.database("webhooks") as database_url:
                    celery_app.conf.update(broker_url=embedded.broker_url(redis_url))
                    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
                    call_command("demo", tickets=50, stdout=self.stdout)
                    self.environment = bench_run.environment_for(database_url, redis_url, folder) | {
                        "OUTBOUND_ALLOW": "127.0.0.0/8"
                    }
                    self.agent = Membership.unscoped.select_related("user", "workspace").get(
                        user__email=bench_run.AGENT
                    )
                    self.changes = self._changes()
                    next(self.changes)
                    with _receiving(folder) as (self.url, self.log):
                        good = [self._idle(single), self._at_once(events), self._beside_others(seconds)]
            except embedded.EmbeddedError as problem:
                raise CommandError(str(problem)) from None
        self.stdout.write("\nEvery mark is kept." if all(good) else "\nNot every mark is kept.")

    # --- What is measured -----------------------------------------------------------------------

    def _idle(self, count: int) -> bool:
        """Events one at a time, so far apart that the sender has nothing else to do."""
        self._endpoints("/idle")
        began = timezone.now()
        with self._sending():
            time.sleep(3)  # until it has begun
            for _ in range(count):
                next(self.changes)
                time.sleep(0.25)
            self._wait_for(count)
        times = self._times(began, "/idle")
        median, late = statistics.median(times), max(times)
        is_quick = len(times) == count and median < IDLE_SECONDS
        self.stdout.write(
            f"\n{count} events, one at a time\n  from event to arrival, median{median * 1000:24.0f} ms  "
            f"{_verdict(is_quick)} (< {IDLE_SECONDS * 1000:.0f} ms), slowest {late * 1000:.0f} ms"
        )
        return is_quick

    def _at_once(self, count: int) -> bool:
        """Many events are there when the sender begins."""
        self._endpoints("/first", "/second")
        for _ in range(count):
            next(self.changes)
        wanted = count * 2
        with self._sending():
            self._wait_for(wanted)
        arrived = [line for line in self._lines() if line[2] in ("/first", "/second")]
        first, last = arrived[0][0], arrived[-1][0]
        rate = (len(arrived) - 1) / (last - first)
        is_whole = len({(which, path) for _, which, path in arrived}) == wanted
        is_quick = rate >= PER_SECOND
        self.stdout.write(
            f"\n{count} events for two endpoints, {wanted} deliveries, each arrived: {_verdict(is_whole)}"
        )
        self.stdout.write(f"  by one sender{rate:39.0f}/s  {_verdict(is_quick)} (≥ {PER_SECOND}/s)")
        return is_whole and is_quick

    def _beside_others(self, seconds: int) -> bool:
        """50 events a second for ten endpoints, of which one hangs and one fails."""
        well = [f"/well-{number}" for number in range(8)]
        self._endpoints(*well, "/hang", "/fail")
        began, events = timezone.now(), seconds * 50
        with self._sending():
            time.sleep(3)
            start_at = time.monotonic()
            for number in range(events):
                next(self.changes)
                time.sleep(max(0.0, start_at + (number + 1) / 50 - time.monotonic()))
            took = time.monotonic() - start_at
            self._wait_for(events * len(well))
        times = [each for path in well for each in self._times(began, path)]
        worst = statistics.quantiles(times, n=20)[-1]
        is_whole, is_quick = len(times) == events * len(well), worst < OTHERS_SECONDS
        self.stdout.write(
            f"\n{events} events in {took:.0f} s ({events / took:.0f}/s) for ten endpoints, one hangs, one fails\n"
            f"  every message of the other eight arrived: {_verdict(is_whole)}\n"
            f"  from event to arrival, 95th percentile{worst:16.2f} s  {_verdict(is_quick)} (< {OTHERS_SECONDS:g} s), "
            f"median {statistics.median(times):.2f} s"
        )
        return is_whole and is_quick

    # --- Its parts ------------------------------------------------------------------------------

    def _endpoints(self, *paths: str) -> None:
        """These endpoints instead of those before."""
        Endpoint.unscoped.all().delete()
        for path in paths:
            endpoints.create(
                workspace=self.agent.workspace,
                url=self.url + path,
                events=list(EVENTS),
                by=self.agent,
                now=timezone.now(),
            )

    def _changes(self) -> Iterator[None]:
        """An endless row of changes, each of which is one event that the endpoints want."""
        tickets = list(Ticket.objects.for_workspace(self.agent.workspace).live().filter(status="open")[:20])
        for ticket in tickets:
            assignment.unassign(ticket=ticket, actor=SYSTEM, now=timezone.now())
        for ticket in itertools.cycle(tickets):
            assignment.assign(ticket=ticket, assignee_id=self.agent.user_id, actor=SYSTEM, now=timezone.now())
            yield
            assignment.unassign(ticket=ticket, actor=SYSTEM, now=timezone.now())
            yield

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        """A sender, as `make run` starts it."""
        self.log.write_text("")
        sender = subprocess.Popen(start.commands()["webhooks"], env=self.environment, cwd=settings.BASE_DIR)  # noqa: S603
        try:
            yield
        finally:
            sender.send_signal(signal.SIGTERM)
            sender.wait(timeout=60)

    def _wait_for(self, count: int) -> None:
        """Until so many messages were delivered to the endpoints that there are."""
        delivered = Delivery.unscoped.filter(status="delivered")
        until = time.monotonic() + PATIENCE
        while delivered.count() < count:
            if time.monotonic() > until:
                raise CommandError(f"Only {delivered.count()} of {count} messages were delivered.")
            time.sleep(0.2)

    def _lines(self) -> list[tuple[float, str, str]]:
        """What arrived: when, under which id, where."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [(float(at), which, path) for at, which, path in lines]

    def _times(self, began: object, path: str) -> list[float]:
        """Seconds from each event since `began` to its first arrival at a path."""
        arrived: dict[UUID, float] = {}
        for at, which, where in self._lines():
            if where == path:
                arrived.setdefault(UUID(which), at)
        rows = Activity.objects.for_workspace(self.agent.workspace).filter(recorded_at__gte=began, event__in=EVENTS)
        happened = dict(rows.values_list("pk", "recorded_at"))
        return [arrived[pk] - at.timestamp() for pk, at in happened.items() if pk in arrived]


@contextlib.contextmanager
def _receiving(folder: Path) -> Iterator[tuple[str, Path]]:
    """A receiver in a process of its own: its address, and the file that it writes."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = int(trial.getsockname()[1])
    log = folder / "arrived"
    log.touch()
    process = subprocess.Popen([sys.executable, receiver.__file__, str(port), str(log)])  # noqa: S603
    try:
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise CommandError("The receiver does not begin.") from None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(10)


def _verdict(is_kept: bool) -> str:
    return "pass" if is_kept else "FAIL"
