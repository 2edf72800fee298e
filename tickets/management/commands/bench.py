"""`manage.py bench`: how fast it is, beside a minimal DRF view and bare SQL in the same run."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from helpdesk import embedded
from helpdesk.accounts.models import Workspace
from tickets.management import bench_run, scratch
from tickets.management.bench_run import Bench, BenchError, Client, Timing
from tickets.management.commands.demo import refuse_in_the_open

CONVERSATIONS = 300
GROWTH = 1.3


class Command(BaseCommand):
    help = (
        "Fill a scratch database of its own, start servers of its own on 127.0.0.1, and time the same requests "
        "against the product, a minimal DRF view and bare SQL, in turns. Everything is removed at the end."
    )
    requires_system_checks = []  # the servers that it starts are what is checked

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tickets", default="10000,100000", help="sizes to measure at, rising (10000,100000)")
        parser.add_argument("--requests", type=int, default=100, help="requests per figure (100)")
        parser.add_argument("--explain", action="store_true", help="also print how the database finds each page")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_the_open()
        try:
            sizes = sorted({int(size) for size in options["tickets"].split(",")})
        except ValueError:
            raise CommandError("--tickets wants whole numbers, like 10000,100000.") from None
        if sizes[0] < 1000 or options["requests"] < 10:
            raise CommandError("Measure with 1000 tickets and 10 requests or more.")
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as folder:
            Path(folder).chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            try:
                with scratch.servers(Path(folder)) as redis_url:
                    self._measure(sizes, options["requests"], redis_url, Path(folder), explain=options["explain"])
            except (BenchError, embedded.EmbeddedError) as problem:
                raise CommandError(str(problem)) from None

    # --- The measurement ----------------------------------------------------------------------

    def _measure(self, sizes: list[int], count: int, redis_url: str, folder: Path, *, explain: bool) -> None:
        good = True
        benches: dict[int, Bench] = {}
        with contextlib.ExitStack() as until_the_end:
            for size in sizes:
                began = time.monotonic()
                url = until_the_end.enter_context(scratch.database(str(size)))
                environment = bench_run.environment_for(url, redis_url, folder)
                self._fill(size, environment, first=not benches)
                self.stdout.write(f"\n{size} tickets (made in {time.monotonic() - began:.0f} s)")
                ours = until_the_end.enter_context(
                    bench_run.serving("helpdesk.wsgi", environment, folder / f"ours-{size}.log")
                )
                yardstick = "tickets.management.bench_wsgi"
                with bench_run.serving(yardstick, environment, folder / f"minimal-{size}.log") as minimal:
                    benches[size] = self._sign_in(ours, minimal, count)
                    good &= self._table(benches[size])
                if explain:
                    self._explain(benches[size])
            good &= self._growth(benches, count)
        self.stdout.write("\nEvery mark is kept." if good else "\nNot every mark is kept.")

    def _fill(self, size: int, environment: dict[str, str], *, first: bool) -> None:
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        if first:
            collect = [sys.executable, str(settings.BASE_DIR / "manage.py"), "collectstatic", "--noinput", "-v0"]
            subprocess.run(collect, env=environment, check=True)  # noqa: S603  our own command
            with connection.cursor() as cursor:
                cursor.execute("SHOW server_version")
                version = cursor.fetchone()[0].split()[0]
            self.stdout.write(f"{os.cpu_count()} cores, PostgreSQL {version}, Python {sys.version.split()[0]}")
        call_command("demo", tickets=CONVERSATIONS, stdout=self.stdout)
        call_command("demo", tickets=size - CONVERSATIONS, seed=size, stdout=self.stdout)

    def _sign_in(self, ours: int, minimal: int, count: int) -> Bench:
        api, page = Client(ours), Client(ours)
        api.sign_in_to_api(bench_run.AGENT)
        page.sign_in_to_console(bench_run.AGENT)
        return Bench(api, page, Client(minimal), Workspace.objects.get(slug="demo").pk, count)

    def _table(self, bench: Bench) -> bool:
        heading = (
            f"{'':22}{'ours ms':>9}{'p90':>8}{'req/s':>8}{'DRF ms':>9}{'p90':>8}{'req/s':>8}{'SQL ms':>9}{'ratio':>8}"
        )
        self.stdout.write(heading)
        good = True
        for line in bench.lines():
            good &= "FAIL" not in line.verdict
            figures = "".join(f"{t.median:9.2f}{t.p90:8.2f}{t.rate:8.0f}" for t in (line.ours, line.minimal))
            self.stdout.write(f"{line.name:22}{figures}{line.sql.median:9.2f}{line.ratio:7.2f}×  {line.verdict}")
        return good

    def _growth(self, benches: dict[int, Bench], count: int) -> bool:
        """Ask every size in turns, so that the machine's mood is the same for all."""
        sizes = sorted(benches)
        self.stdout.write("\nFirst page of each view, total included: median ms")
        self.stdout.write(
            f"{'':26}" + "".join(f"{size:>11}" for size in sizes) + ("     growth" if len(sizes) > 1 else "")
        )
        good = True
        for bench in benches.values():
            bench.api.sign_in_to_api(bench_run.AGENT)  # filling a big database takes longer than a token lives
        pages = {size: bench.first_pages() for size, bench in benches.items()}
        for name in pages[sizes[0]]:
            timings: list[Timing] = bench_run.measure(count, *(pages[size][name] for size in sizes))
            line = f"{name:26}" + "".join(f"{timing.median:11.2f}" for timing in timings)
            if len(sizes) > 1:
                growth = timings[-1].median / timings[0].median
                good &= growth < GROWTH
                line += f"{growth:10.2f}×  {'pass' if growth < GROWTH else 'FAIL'} (< {GROWTH}×)"
            self.stdout.write(line)
        return good

    def _explain(self, bench: Bench) -> None:
        """How the database finds each page: its slowest query, as EXPLAIN (ANALYZE, BUFFERS) tells it."""
        from django.test import Client as Inside
        from django.test.utils import CaptureQueriesContext, override_settings

        from helpdesk.accounts.models import User

        user = User.objects.get(email=bench_run.AGENT)
        inside = Inside(headers={"host": "localhost"})
        inside.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        token = bench.api.headers["Authorization"]
        for path in (
            "/tickets/view/mine",
            "/tickets/view/unassigned",
            "/tickets/view/all",
            "/api/tickets?limit=20",
            "/api/tickets?status=open,pending&priority=high&limit=20",
            "/api/tickets?limit=20&search=quokka",
            "/api/tickets?limit=20&search=warranty",
            f"/tickets/{bench.any_ticket()}",
        ):
            headers = {"authorization": token} if path.startswith("/api") else {}
            plain = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
            with override_settings(STORAGES=settings.STORAGES | plain), CaptureQueriesContext(connection) as captured:
                inside.get(path, headers=headers)
            selects = [q["sql"] for q in captured.captured_queries if q["sql"].lstrip().startswith("SELECT")]
            plans = []
            for statement in selects:
                with connection.cursor() as cursor:
                    cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + statement.replace("%", "%%"), [])
                    plan = [row[0] for row in cursor.fetchall()]
                plans.append((float(plan[-1].split()[-2]), statement, plan))
            took, statement, plan = max(plans, key=lambda p: p[0])
            self.stdout.write(f"\n{path}: {len(selects)} queries, the slowest {took:.2f} ms\n{statement[:400]} …")
            self.stdout.write("\n".join(plan))
