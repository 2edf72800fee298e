"""`manage.py demo_articles`: what the customers of a demo workspace can read."""

import datetime as dt
import hashlib
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from helpdesk.accounts.models import Membership, Workspace
from portal.management.demo_articles import ARTICLES, CATEGORIES, Text
from portal.models import Article, ArticleFeedback
from portal.services import articles
from tickets.management.commands.demo import refuse_in_the_open, refuse_others


class Command(BaseCommand):
    help = "Give a demo workspace its help articles, if it has none. Loopback only, as `demo`."
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--workspace", default="demo", help="the slug of the workspace (demo)")

    def handle(self, *args: Any, workspace: str, **options: Any) -> None:
        """Make the articles. Raises CommandError for a workspace that is no demo."""
        refuse_in_the_open()
        found = Workspace.objects.filter(slug=workspace).first()
        if found is None:
            raise CommandError(f"There is no workspace {workspace}.")
        refuse_others(found)
        make_articles(found, now=timezone.now())


@transaction.atomic
def make_articles(workspace: Workspace, *, now: dt.datetime) -> None:
    """Make categories and articles in a workspace that has no articles yet, written by its agents in turn."""
    if Article.objects.for_workspace(workspace).exists():
        return
    people = Membership.objects.for_workspace(workspace).filter(role="agent").select_related("user")
    writers = list(people.order_by("user__email")) or [
        Membership.objects.for_workspace(workspace).earliest("created_at")
    ]
    began = now - dt.timedelta(days=80)
    shelves = {
        name: articles.save_category(
            workspace=workspace, changes={"name": name, "description": description}, now=began
        ).pk
        for name, description in CATEGORIES
    }
    for place, text in enumerate(ARTICLES):
        made = articles.create(
            workspace=workspace,
            title=text.title,
            body=text.body,
            category_id=shelves[text.category],
            by=writers[place % len(writers)],
            publish=text.days is not None,
            now=now - dt.timedelta(days=text.days or 0),
        )
        _let_read(made, text, now=now)


def _let_read(article: Article, text: Text, *, now: dt.datetime) -> None:
    """Write down how often an article was read, and what readers said: their words first, then the silent ones."""
    said = list(text.said)
    for is_helpful, wanted in ((True, text.yes), (False, text.no)):
        said += [(is_helpful, "")] * (wanted - sum(1 for answer, _ in text.said if answer is is_helpful))
    days = text.days or 0
    rows = [
        ArticleFeedback(
            workspace_id=article.workspace_id,
            article=article,
            visitor=hashlib.sha256(f"{article.pk} {number}".encode()).hexdigest(),
            is_helpful=is_helpful,
            comment=comment,
            created_at=now - dt.timedelta(days=days * number / len(said)),
            updated_at=now - dt.timedelta(days=days * number / len(said)),
        )
        for number, (is_helpful, comment) in enumerate(said)
    ]
    ArticleFeedback.unscoped.bulk_create(rows)
    Article.objects.for_workspace(article.workspace_id).filter(pk=article.pk).update(
        view_count=text.views, helpful_count=text.yes, unhelpful_count=text.no
    )
