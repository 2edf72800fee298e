"""`manage.py bench_automation`: very many rules on one event, and events a second through a real worker."""

import datetime as dt
import itertools
import signal
import statistics
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts.models import Workspace
from helpdesk.celery import app as celery_app
from helpdesk.management.commands import start
from tickets.automation.conditions import Group
from tickets.automation.models import Due, Rule, Run
from tickets.automation.services import engine, facts, setup, timed
from tickets.automation.services.book import group_of
from tickets.automation.tasks import apply_rules
from tickets.events import Event
from tickets.management import bench_run, scratch
from tickets.management.commands.demo import refuse_in_the_open
from tickets.models import Activity

RULES = 200
EVALUATION_MS = 5.0
DRAINED_PER_SECOND = 300
DUE = 100
WAITING_RATIO = 2.0  # a hundred times as many tickets that wait
ROUNDS = 60
_PREFIX = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
QUEUE, IN_HAND = _PREFIX + "celery", _PREFIX + "unacked"
PATIENCE = 600.0  # seconds until the worker must be through


class Command(BaseCommand):
    help = (
        "Measure the automation in a scratch database of its own: how long very many active rules take for one "
        "event, what times cost that rules wait for, and how many events a second a real worker with two "
        "processes drains."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--events", type=int, default=10_000, help="events that are drained (10000)")
        parser.add_argument("--rules", type=int, default=10, help="active rules while they are drained (10)")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_the_open()
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as name:
            folder = Path(name)
            folder.chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            try:
                with scratch.servers(folder) as redis_url, scratch.database("automation") as database_url:
                    celery_app.conf.update(broker_url=embedded.broker_url(redis_url))
                    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
                    call_command("demo", tickets=300, stdout=self.stdout)
                    call_command("demo", tickets=options["events"], seed=1, stdout=self.stdout)
                    workspace = Workspace.objects.get(slug="demo")
                    good = self._evaluate(workspace)
                    good &= self._wait(workspace)
                    environment = bench_run.environment_for(database_url, redis_url, folder)
                    good &= self._drain(workspace, options["events"], options["rules"], environment, redis_url)
            except embedded.EmbeddedError as problem:
                raise CommandError(str(problem)) from None
        self.stdout.write("\nEvery mark is kept." if good else "\nNot every mark is kept.")

    # --- One event ----------------------------------------------------------------------------

    def _evaluate(self, workspace: Workspace) -> bool:
        """Rules that all must be asked, because none of them matches."""
        counts, times = [], {}
        for size in (RULES // 10, RULES):
            self._only_rules(workspace, size, matching=False)
            activities = list(_created(workspace, ROUNDS))
            engine.apply(activity_id=activities[0].pk, now=timezone.now())  # reads the conditions once
            with CaptureQueriesContext(connection) as queries:
                engine.apply(activity_id=activities[0].pk, now=timezone.now())
            counts.append(len(queries))
            times[size] = statistics.median(self._timed_apply(activity) for activity in activities)
        known = facts.facts_of(activities[0], timezone.now())
        groups = [group_of(rule) for rule in setup.rules(workspace.pk)]
        asked = statistics.median(_timed_asking(groups, known) for _ in range(ROUNDS))
        good = asked <= EVALUATION_MS and counts[0] == counts[1]
        self.stdout.write(f"\nAsking {RULES} active rules about one event")
        self.stdout.write(
            f"  their conditions{asked:26.2f} ms  {_verdict(asked <= EVALUATION_MS)} (≤ {EVALUATION_MS:g} ms)"
        )
        for size, milliseconds in times.items():
            self.stdout.write(f"  with all the queries, {size:>4} rules{milliseconds:11.2f} ms")
        same = _verdict(counts[0] == counts[1])
        self.stdout.write(f"  queries{counts[0]:>18} and {counts[1]:<8}         {same} (as many)")
        return good

    @staticmethod
    def _timed_apply(activity: Activity) -> float:
        began = time.perf_counter()
        engine.apply(activity_id=activity.pk, now=timezone.now())
        return (time.perf_counter() - began) * 1000

    # --- Rules that wait for a time -----------------------------------------------------------

    def _wait(self, workspace: Workspace) -> bool:
        """What one hundred times that come cost, among few tickets that wait and among very many."""
        Rule.objects.for_workspace(workspace).delete()
        idle = {"name": "Idle", "triggers": ["idle"], "idle_hours": 1, "actions": [{"do": "add_note", "body": "Idle."}]}
        setup.save_rule(workspace=workspace, changes=idle, now=timezone.now())
        began = time.perf_counter()
        tickets = timed.reckon_all()
        rate = tickets / (time.perf_counter() - began)
        due = Due.objects.for_workspace(workspace).order_by("due_at", "pk")
        soon, seconds = list(due.values_list("pk", "due_at")[: 2 * DUE]), {}
        due.exclude(pk__in=[pk for pk, _ in soon]).delete()
        for is_crowded in (False, True):
            if is_crowded:
                self._crowd(workspace, soon[-1][1])
            among = due.count()
            _, now = soon[-1 if is_crowded else len(soon) // 2 - 1]
            began = time.perf_counter()
            fired = engine.fire_due(now=now)
            seconds[among] = (time.perf_counter() - began) * 1000 * DUE / max(fired, 1)
        (few, quick), (many, slow) = seconds.items()
        good = slow / quick <= WAITING_RATIO
        self.stdout.write(f"\nRules that wait for a time\n  reckoned {tickets} tickets, {rate:.0f}/s")
        self.stdout.write(f"  {DUE} times that come, among {few}{quick:14.0f} ms")
        self.stdout.write(f"  {DUE} times that come, among {many}{slow:13.0f} ms")
        self.stdout.write(f"  ratio{slow / quick:24.2f}     {_verdict(good)} (≤ {WAITING_RATIO:g})")
        return good

    @staticmethod
    def _crowd(workspace: Workspace, after: dt.datetime) -> None:
        """Every other ticket of the workspace waits, too, for a time that is far away."""
        rule = Rule.objects.for_workspace(workspace).get()
        waiting = Due.objects.for_workspace(workspace).values("ticket")
        created = Activity.objects.for_workspace(workspace).filter(event=Event.CREATED).exclude(ticket__in=waiting)
        Due.unscoped.bulk_create(
            Due(
                workspace=workspace,
                rule=rule,
                ticket_id=ticket_id,
                activity_id=pk,
                trigger="idle",
                due_at=after + dt.timedelta(days=365),
            )
            for pk, ticket_id in created.values_list("pk", "ticket")
        )
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) automation_due")

    # --- Very many events ---------------------------------------------------------------------

    def _drain(
        self, workspace: Workspace, events: int, rules: int, environment: dict[str, str], redis_url: str
    ) -> bool:
        """Everything is queued first; then a worker with two processes does it, and what follows from it."""
        self._only_rules(workspace, rules, matching=True)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (ANALYZE) tickets, ticket_activities, ticket_comments")
        broker = redis.Redis.from_url(redis_url)
        broker.delete(QUEUE)  # what making the tickets has asked for
        with celery_app.producer_pool.acquire(block=True) as producer:
            queued = 0
            for activity in _created(workspace, events):
                apply_rules.apply_async((str(activity.pk),), producer=producer)
                queued += 1
        if broker.llen(QUEUE) != queued:
            raise CommandError("Somebody else uses this queue.")
        before = Run.objects.for_workspace(workspace).count()
        worker = subprocess.Popen(start.commands()["worker"], env=environment, cwd=settings.BASE_DIR)  # noqa: S603
        try:
            seconds = self._time_draining(broker, queued, worker)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(timeout=60)
        matched = Run.objects.for_workspace(workspace).count() - before
        rate = queued / seconds
        good = rate >= DRAINED_PER_SECOND
        self.stdout.write(f"\nDraining {queued} events with {rules} active rules, by a worker with two processes")
        self.stdout.write(f"  {matched} rules matched, {seconds:.1f} s")
        self.stdout.write(f"  {rate:.0f} events/s  {_verdict(good)} (≥ {DRAINED_PER_SECOND}/s)")
        return good

    @staticmethod
    def _time_draining(broker: "redis.Redis", queued: int, worker: "subprocess.Popen[bytes]") -> float:
        """Seconds from the first event that is taken to the last that is done."""
        began, last = 0.0, time.monotonic() + PATIENCE
        while time.monotonic() < last:
            if worker.poll() is not None:
                raise CommandError("The worker has ended.")
            left, in_hand = int(broker.llen(QUEUE)), int(broker.hlen(IN_HAND))  # type: ignore[arg-type]
            if not began and left < queued:
                began = time.monotonic()
            if began and not left and not in_hand:
                return time.monotonic() - began
            time.sleep(0.02)
        raise CommandError(f"The worker was not through after {PATIENCE:.0f} seconds.")

    # --- Rules --------------------------------------------------------------------------------

    @staticmethod
    @transaction.atomic
    def _only_rules(workspace: Workspace, count: int, *, matching: bool) -> None:
        """So many active rules, of every kind of condition; where they may match, each meets some of the tickets."""
        Rule.objects.for_workspace(workspace).delete()
        for number in range(count):
            word = ("invoice", "login", "refund", "password", "delivery")[number % 5]
            words = [{"field": "subject", "contains": [word]}, {"field": "body", "contains": [f"{word} {number}"]}]
            asked: list[dict[str, Any]] = [
                {"any": words},
                {"field": "priority", "is": [("urgent", "high", "medium", "low")[number % 4]]},
                {"field": "status", "is_not": ["closed"]},
            ]
            if matching and number == 0:
                asked = [{"field": "priority", "is": ["urgent"]}]  # of the demo's tickets about one in twenty
            if not matching:
                asked.append({"field": "attribute", "name": "plan", "is": [f"nobody's plan {number}"]})
            setup.save_rule(
                workspace=workspace,
                changes={
                    "name": f"Rule {number}",
                    "triggers": ["created"],
                    "conditions": {"all": asked},
                    "actions": [{"do": "add_tags", "tags": [f"tag-{number % 7}"]}, {"do": "add_note", "body": "Seen."}],
                },
                now=timezone.now(),
            )


def _created(workspace: Workspace, count: int) -> Any:
    rows = Activity.objects.for_workspace(workspace).filter(event=Event.CREATED).select_related("ticket__requester")
    return itertools.islice(rows.order_by("-pk").iterator(chunk_size=2000), count)


def _timed_asking(groups: list[Group], known: Any) -> float:
    began = time.perf_counter()
    for group in groups:
        group.is_met(known)
    return (time.perf_counter() - began) * 1000


def _verdict(good: bool) -> str:
    return "pass" if good else "FAIL"
