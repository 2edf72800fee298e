"""`manage.py bench_slas`: deadlines a second, the sweep as clocks grow, deriving very many tickets anew."""

import datetime as dt
import statistics
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts.models import Workspace
from helpdesk.celery import app as celery_app
from slas.management import bench_calendar
from slas.models import Clock
from slas.services import jobs, setup, sweep, what_if
from tickets.management import scratch
from tickets.management.commands.demo import refuse_in_the_open
from tickets.models import Ticket

DUE = 100
SWEEP_GROWTH = 2.0
DERIVED_PER_SECOND = 5000
ROUNDS = 15


class Command(BaseCommand):
    help = (
        "Measure the service levels in a scratch database of its own: deadlines beside other calendar libraries, "
        "the sweep with few and very many open clocks, and deriving the clocks of tickets in work anew."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tickets", type=int, default=100_000, help="tickets in work that are derived (100000)")
        parser.add_argument("--clocks", type=int, default=1_000_000, help="open clocks that are swept (1000000)")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_the_open()
        good = bench_calendar.report(self.stdout.write)
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as folder:
            Path(folder).chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            try:
                with scratch.servers(Path(folder)) as redis_url, scratch.database("slas"):
                    celery_app.conf.update(broker_url=embedded.broker_url(redis_url))
                    good &= self._measure(options["tickets"], options["clocks"])
            except embedded.EmbeddedError as problem:
                raise CommandError(str(problem)) from None
        self.stdout.write("\nEvery mark is kept." if good else "\nNot every mark is kept.")

    def _measure(self, tickets: int, clocks: int) -> bool:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        call_command("demo", tickets=300, stdout=self.stdout)
        workspace = Workspace.objects.get(slug="demo")
        call_command("demo", tickets=tickets, seed=1, stdout=self.stdout)
        return self._derive(workspace, tickets) & self._sweep(workspace, clocks)

    # --- Deriving -----------------------------------------------------------------------------

    def _derive(self, workspace: Workspace, tickets: int) -> bool:
        """All tickets in work again, with the whole past that they had; then another target for each."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE tickets SET status = 'open', resolved_at = NULL, closed_at = NULL "
                "WHERE workspace_id = %s AND merged_into_id IS NULL",
                [workspace.pk],
            )
            cursor.execute("VACUUM (ANALYZE) tickets, ticket_activities, ticket_comments, sla_clocks")
        count = Ticket.objects.for_workspace(workspace).active().count()
        self.stdout.write(f"\nDeriving {count} tickets in work anew")
        policy = setup.policies(workspace.pk)[-1]
        good = True
        for name, changes in (
            ("after the other way of counting", {"business_hours_only": True}),
            ("when nothing moves", {}),
        ):
            setup.save_policy(workspace=workspace, policy=policy, changes=changes, now=timezone.now())
            sweep.sweep_all(now=timezone.now())  # as in life: what is due was recorded before
            job = jobs.take(job_id=jobs.latest(workspace.pk, "derive").pk, now=timezone.now())  # type: ignore[union-attr]
            if job is None:
                raise CommandError("Somebody else took the job.")
            began = time.monotonic()
            jobs.derive(job, clock=timezone.now)
            seconds = time.monotonic() - began
            job.refresh_from_db()
            result: dict[str, int] = job.result or {}
            rate = result["tickets"] / seconds
            good &= rate >= DERIVED_PER_SECOND
            verdict = f"{'pass' if rate >= DERIVED_PER_SECOND else 'FAIL'} (≥ {DERIVED_PER_SECOND}/s)"
            self.stdout.write(
                f"  {name:32}{rate:9.0f} tickets/s  {result['moved']:>7} moved  {seconds:6.1f} s  {verdict}"
            )
        began = time.monotonic()
        draft = what_if.Draft(policy_id=policy.pk, changes={"resolution_hours": 12}, days=90)
        told = what_if.replay(workspace=workspace, draft=draft, now=timezone.now())
        seconds = time.monotonic() - began
        self.stdout.write(
            f"  {'what if, the last 90 days':32}{told['tickets'] / seconds:9.0f} tickets/s  {seconds:17.1f} s"
        )
        return good

    # --- Sweeping -----------------------------------------------------------------------------

    def _sweep(self, workspace: Workspace, clocks: int) -> bool:
        """The same hundred due clocks, among ten thousand open ones and among very many, in turns."""
        sizes = (10_000, clocks)
        medians: dict[int, float] = {}
        now = timezone.now()
        self.stdout.write(f"\nSweeping {DUE} due clocks")
        for size in sizes:
            self._open_clocks(workspace, size, now)
            times = [self._timed(lambda: self._sweep_once(now)) for _ in range(ROUNDS)]
            medians[size] = statistics.median(times)
            self.stdout.write(f"  among {size:>9} open clocks{medians[size]:10.1f} ms")
        growth = medians[sizes[1]] / medians[sizes[0]]
        verdict = f"{'pass' if growth <= SWEEP_GROWTH else 'FAIL'} (≤ {SWEEP_GROWTH:g}×)"
        self.stdout.write(f"  growth {growth:.2f}×  {verdict}")
        return growth <= SWEEP_GROWTH

    def _open_clocks(self, workspace: Workspace, size: int, now: Any) -> None:
        """So many open clocks, all in the future but a hundred; a ticket has many of them, as cycles."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE sla_clocks SET sweep_at = NULL WHERE sweep_at IS NOT NULL")
            there = Clock.objects.for_workspace(workspace).filter(sweep_at__isnull=False).count()
            cursor.execute(
                """
                INSERT INTO sla_clocks (id, workspace_id, ticket_id, policy_id, terms_id, goal, cycle, run, target,
                    used, started_at, as_of, due_at, deadline_set_at, sweep_at)
                SELECT gen_random_uuid(), c.workspace_id, c.ticket_id, c.policy_id, c.terms_id, 'next_response',
                    1000000 + n, 'running', c.target, c.used, c.started_at, c.as_of, later, c.started_at, later
                FROM (SELECT *, row_number() OVER () AS place FROM sla_clocks WHERE goal = 'resolution' LIMIT 10000) c,
                     generate_series(1, %(each)s) n, LATERAL (SELECT %(now)s + n * interval '1 second') l (later)
                WHERE place <= %(tickets)s
                ON CONFLICT (ticket_id, goal, cycle) DO UPDATE SET sweep_at = EXCLUDED.sweep_at
                """,
                {"now": now, "each": max(1, (size - there) // 10_000), "tickets": 10_000},
            )
            cursor.execute("VACUUM (ANALYZE) sla_clocks")

    def _sweep_once(self, now: Any) -> None:
        if sweep.sweep(now=now, limit=500) != DUE:
            raise CommandError("The sweep did not find the clocks that are due.")

    def _timed(self, do: Callable[[], None]) -> float:
        """Milliseconds; what was done is taken back, so that it can be done again."""
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE sla_clocks SET sweep_at = %(past)s, due_at = %(past)s WHERE id IN "
                    "(SELECT id FROM sla_clocks WHERE sweep_at IS NOT NULL ORDER BY sweep_at LIMIT %(due)s)",
                    {"past": timezone.now() - dt.timedelta(hours=1), "due": DUE},
                )
            began = time.perf_counter()
            do()
            took = (time.perf_counter() - began) * 1000
            transaction.set_rollback(True)
        return took
