"""`manage.py demo_mail`: the mailboxes of the demo workspaces."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from helpdesk.accounts.models import Workspace
from tickets.mail.models import Mailbox
from tickets.management.commands.demo import refuse_in_the_open, refuse_others


class Command(BaseCommand):
    help = "Give a demo workspace its mailbox, if it has none. Loopback only, as `demo`."
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--workspace", default="demo", help="the slug of the workspace (demo)")

    def handle(self, *args: Any, workspace: str, **options: Any) -> None:
        """Make the mailboxes of the workspace and of Other. Raises CommandError for one that is no demo."""
        refuse_in_the_open()
        found = Workspace.objects.filter(slug=workspace).first()
        if found is None:
            raise CommandError(f"There is no workspace {workspace}.")
        refuse_others(found)
        make_mailbox(found)
        if other := Workspace.objects.filter(slug="other").first():
            make_mailbox(other)


@transaction.atomic
def make_mailbox(workspace: Workspace) -> None:
    """Make `support@<slug>.example` the default mailbox of a workspace that has none."""
    if Mailbox.objects.for_workspace(workspace).exists():
        return
    Mailbox.unscoped.get_or_create(
        address=f"support@{workspace.slug}.example",
        defaults={"workspace": workspace, "name": f"{workspace.name} Support", "is_default": True},
    )
