"""`manage.py demo`: a workspace full of believable tickets, and as many more as a benchmark wants."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from helpdesk.accounts.models import Membership, Workspace
from tickets.management import demo_bulk, demo_data

CONVERSATIONS = 300
MOST_CONVERSATIONS = 2000  # what is asked for beyond is written in bulk


class Command(BaseCommand):
    help = (
        "Fill a demo workspace with tickets of the last 90 days, and make the workspace Other. "
        "More than 2,000 tickets are copied in bulk. Loopback only: everybody knows the password."
    )

    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tickets", type=int, help="how many tickets (300); an existing demo gets so many more")
        parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same demo (7)")
        parser.add_argument("--workspace", default="demo", help="the slug of the workspace (demo)")
        parser.add_argument("--if-empty", action="store_true", help="do nothing when there is any workspace")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_the_open()
        asked, seed, slug = options["tickets"], options["seed"], options["workspace"]
        if asked is not None and asked < 1:
            raise CommandError("--tickets must be 1 or more.")
        if options["if_empty"] and Workspace.objects.exists():
            return
        began = time.monotonic()
        workspace = Workspace.objects.filter(slug=slug).first()
        if workspace is None:
            total = asked or CONVERSATIONS
            conversations = total if total <= MOST_CONVERSATIONS else CONVERSATIONS
            with self._bar("tickets", conversations) as bar:
                workspace = demo_data.make_demo(
                    slug=slug, tickets=conversations, seed=seed, now=timezone.now(), progress=bar.update
                )
            demo_data.make_other(now=timezone.now())
            call_command("demo_automation", workspace=slug)  # by its name: it stands above this app
            call_command("demo_mail", workspace=slug)
            call_command("demo_articles", workspace=slug)
            copies = total - conversations
        else:
            if asked is None:
                raise CommandError(f"The workspace {slug} exists already. Use --tickets N to add N tickets to it.")
            refuse_others(workspace)
            total = copies = asked
        if copies:
            with self._bar("copied", copies) as bar:
                demo_bulk.copy_tickets(
                    workspace=workspace, count=copies, seed=seed, now=timezone.now(), progress=bar.update
                )
        self.stdout.write(f"{total} tickets in the workspace {slug} in {time.monotonic() - began:.1f} s.")

    def _bar(self, what: str, total: int) -> "tqdm[Any]":
        return tqdm(total=total, desc=what, unit=" tickets", disable=None, mininterval=0.5)


def refuse_others(workspace: Workspace) -> None:
    """Raise CommandError for a workspace that is no demo."""
    owner = f"owner@{demo_data.DOMAIN}"
    if not Membership.objects.for_workspace(workspace).filter(user__email=owner).exists():
        raise CommandError(f"The workspace {workspace.slug} is not a demo: nothing is added to it.")


def refuse_in_the_open() -> None:
    """Raise CommandError where strangers could reach accounts whose password everybody knows."""
    if settings.PRODUCTION:
        raise CommandError("The demo is refused with production settings: everybody knows its password.")
    if not settings.BIND_IS_LOOPBACK:
        raise CommandError(
            f"The demo is refused while BIND is {settings.BIND}: everybody knows its password. Use BIND=127.0.0.1."
        )
