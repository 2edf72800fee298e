"""`manage.py derive_clocks`: the clocks of tickets that have none, or of all in work, reckoned anew."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from helpdesk.accounts.models import Workspace
from slas.services import tracking
from tickets.events import subscriptions


class Command(BaseCommand):
    help = (
        "Reckon the clocks of a workspace's tickets from their log: of those that have none yet, and with --all also "
        "of every ticket in work. Safe to run again and beside everything else."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, help="the slug of the workspace")
        parser.add_argument("--all", action="store_true", help="also tickets in work that have clocks")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']}.")
        subscriptions.loaded(workspace_id=workspace.pk, ticket_ids=None, now=timezone.now())
        if options["all"]:
            self._all(workspace)

    def _all(self, workspace: Workspace) -> None:
        moved, tickets = 0, tracking.in_work(workspace.pk)
        with tqdm(total=len(tickets), desc="tickets", unit="", disable=None) as bar:
            for batch in tracking.batches(tickets):
                moved += tracking.retrack(workspace_id=workspace.pk, ticket_ids=batch, now=timezone.now())
                bar.update(len(batch))
        self.stdout.write(f"{len(tickets)} tickets in work, {moved} of them tell something else now.")
