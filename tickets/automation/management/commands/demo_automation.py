"""`manage.py demo_automation`: what the agents of a demo workspace can run by hand."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from helpdesk.accounts.models import Team, Workspace
from tickets.automation.services import macros
from tickets.management.commands.demo import refuse_in_the_open, refuse_others
from tickets.management.demo_data import BILLING, TECHNICAL

# Name, description, actions; a `team` stands for the id of the team with this name.
MACROS: tuple[tuple[str, str, tuple[dict[str, Any], ...]], ...] = (
    (
        "Hand to Billing",
        "Invoices, charges and refunds that the first line cannot settle",
        (
            {"do": "set_team", "team": BILLING},
            {"do": "add_tags", "tags": ["billing"]},
            {"do": "add_note", "body": "Handed to Billing. Please compare the last two invoices before you answer."},
        ),
    ),
    (
        "Outage: urgent, to a technician",
        "Several people cannot work at all",
        (
            {"do": "set_priority", "priority": "urgent"},
            {"do": "set_team", "team": TECHNICAL},
            {"do": "assign", "method": "least_busy", "team": TECHNICAL},
            {"do": "add_tags", "tags": ["outage"]},
        ),
    ),
    (
        "Wait for the customer",
        "When we asked something and cannot go on without the answer",
        ({"do": "set_status", "status": "pending"}, {"do": "add_tags", "tags": ["waiting"]}),
    ),
)


class Command(BaseCommand):
    help = "Give a demo workspace the macros that it does not have yet. Loopback only, as `demo`."
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", default="demo", help="the slug of the workspace (demo)")

    def handle(self, *args: Any, workspace: str, **options: Any) -> None:
        refuse_in_the_open()
        found = Workspace.objects.filter(slug=workspace).first()
        if found is None:
            raise CommandError(f"There is no workspace {workspace}.")
        refuse_others(found)
        make_macros(found)


@transaction.atomic
def make_macros(workspace: Workspace) -> None:
    """Make the macros whose names are free."""
    teams = {team.name: str(team.pk) for team in Team.objects.for_workspace(workspace).all()}
    taken = {macro.name.lower() for macro in macros.macros(workspace.pk)}
    for name, description, actions in MACROS:
        if name.lower() in taken:
            continue
        named = [
            {word: value for word, value in action.items() if word != "team"}
            | ({"team_id": teams[action["team"]]} if "team" in action else {})
            for action in actions
        ]
        changes = {"name": name, "description": description, "actions": named}
        macros.save_macro(workspace=workspace, changes=changes, now=timezone.now())
