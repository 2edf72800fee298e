"""`manage.py import_log FILE --workspace SLUG`: an event log becomes tickets with their histories."""

import gc
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from helpdesk.accounts.models import Workspace
from helpdesk.errors import DomainError
from tickets.services import importing


class Command(BaseCommand):
    help = (
        "Import an event log (CSV with case, activity, resource, at) into a workspace. Rows that cannot be "
        "applied are reported by line with the reason. Running it again adds only what is missing."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the log, in UTF-8")
        parser.add_argument("--workspace", required=True, help="the slug of the workspace")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            known = ", ".join(Workspace.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no workspace {options['workspace']} (there are: {known}).")
        try:
            with options["file"].open(encoding="utf-8-sig", newline="") as file:
                rows, unreadable = importing.read_log(file)
        except OSError as error:
            raise CommandError(f"Cannot read {options['file']}: {error.strerror}.") from None
        except DomainError as error:
            raise CommandError(error.detail) from None

        # An import makes and drops millions of objects. The collector need not look through all of
        # Django for each few hundred of them: a tenth of the time.
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        began = time.monotonic()
        try:
            with tqdm(total=len(rows), desc="events", unit="", disable=None) as bar:
                report = importing.import_log(workspace=workspace, rows=rows, now=timezone.now(), progress=bar.update)
        except DomainError as error:
            raise CommandError(error.detail) from None
        seconds = time.monotonic() - began
        report.rows += len(unreadable)
        report.refused = sorted([*report.refused, *unreadable], key=lambda refusal: refusal.line)
        self._tell(report, seconds)

    def _tell(self, report: importing.Report, seconds: float) -> None:
        for refusal in report.refused:
            self.stdout.write(f"line {refusal.line}: {refusal.case} {refusal.activity}: refused. {refusal.reason}")
        self.stdout.write("")
        for (activity, reason), count in report.reasons().most_common():
            self.stdout.write(f"{count:6}  refused  {activity}: {reason}")
        self.stdout.write(
            f"\n{report.rows} rows: {report.applied} applied, {report.known} known from an earlier run, "
            f"{len(report.refused)} refused. {report.tickets} new tickets."
        )
        if report.applied:
            self.stdout.write(f"{seconds:.1f} s, {report.applied / seconds:.0f} events/s.")
