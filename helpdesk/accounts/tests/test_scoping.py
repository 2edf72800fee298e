"""No query crosses workspaces by accident: `objects` wants a workspace, and `unscoped` is used in few known places."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from helpdesk.accounts.models import Membership, Team, Workspace, WorkspaceManager, WorkspaceModel, WorkspaceRequired
from helpdesk.accounts.scoping import current_membership
from helpdesk.accounts.tests.factories import MembershipFactory, TeamFactory, WorkspaceFactory

# Every file that reads across workspaces, and why it must. Making a row (`unscoped.create(…)`) names its
# workspace anyway: the column cannot be empty. Reading is what has to be justified here.
MAY_READ_ACROSS = {
    "helpdesk/accounts/admin.py": "a superuser's admin; a person's other memberships",
    "helpdesk/accounts/admin_site.py": "which workspaces a person administers",
    "helpdesk/accounts/models.py": "defines it",
    "helpdesk/accounts/scoping.py": "finds the workspace of a request",
    "helpdesk/accounts/services.py": "an invitation is found by its secret",
    "helpdesk/accounts/tokens.py": "a token and a key are found by their secret",
    "helpdesk/api/idempotency.py": "names the workspace itself",
    "helpdesk/api/people.py": "members of teams that are scoped already",
    "helpdesk/tasks.py": "forgets old answers of every workspace",
    "portal/services/visits.py": "an address asks for its links of every workspace; a visit is found by its cookie",
    "portal/services/origins.py": "a preflight names a site, not a workspace",
    "portal/services/privacy.py": "a worker takes the request that a task names, and what is due in all",
    "slas/services/jobs.py": "a worker takes the job that a task names, and looks for lost ones of every workspace",
    "tickets/access.py": "a customer's link is found by its secret",
    "tickets/api/serializers.py": "subqueries of tickets that are scoped already",
    "tickets/api/views/conversation.py": "a signed download names one file",
    "tickets/automation/services/dry_run.py": "a worker takes the dry run that a task names, and looks for lost ones",
    "tickets/automation/services/effects.py": "a worker sends what any workspace has queued",
    "tickets/automation/services/engine.py": "a worker is told an activity of any workspace, and what is due in all",
    "tickets/automation/services/pool.py": "in which workspaces a ticket waits for an agent",
    "tickets/automation/services/timed.py": "in which workspaces rules have changed",
    "tickets/automation/services/recurring.py": "what is due in any workspace is opened",
    "tickets/dispatch.py": "sends what any workspace has recorded",
    "tickets/mail/services/addressing.py": "an address that mail is sent to says which workspace it is for",
    "tickets/mail/services/secrets.py": "a mailbox is found by its secret",
    "tickets/mail/services/tracking.py": "a provider names a mail by its id",
    "tickets/mail/services/imap.py": "a worker fetches the mailbox that a task names, and what is due in all",
    "tickets/mail/services/receiving.py": "a worker takes the message that a task names, and looks for lost ones",
    "tickets/mail/services/delivery.py": "the mails of one comment",
    "tickets/mail/services/queueing.py": "what tickets that are known already ask for",
    "tickets/mail/services/composing.py": "the mail of a row that is known already",
    "tickets/mail/services/sending.py": "a worker sends the mail that a task names, and what is due in all",
    "tickets/mail/services/notices.py": "the comment that an activity names",
    "tickets/mail/services/rules.py": "rules that were read for one workspace are counted",
    "tickets/feed.py": "the feed of all workspaces has one order, and one reader that follows all of it",
    "tickets/search.py": "subjects for the admin, whose own rows are scoped",
    "tickets/services/chats.py": "a bot's key is found by its secret",
    "tickets/services/editing.py": "purges the trash of every workspace",
    "tickets/webhooks/services/deliveries.py": "the log of an endpoint that is known already",
    "tickets/webhooks/services/fanout.py": "messages are made for the endpoints of every workspace",
    "tickets/webhooks/services/sending.py": "sends what is due in any workspace",
    "tickets/webhooks/services/keeping.py": "purges the log of every workspace",
    "tickets/webhooks/services/notices.py": "webhooks of any workspace that were switched off",
}
READS = re.compile(r"\.unscoped\b(?!\.(?:create|bulk_create|bulk_update|get_or_create|update_or_create)\()")
ROOTS = ("helpdesk", "tickets", "slas", "portal", "analytics")


def workspace_models() -> list[Any]:
    return [model for model in apps.get_models() if hasattr(model, "unscoped")]


def sources() -> list[Path]:
    base = Path(settings.BASE_DIR)
    found = [path for root in ROOTS for path in (base / root).rglob("*.py")]
    # Commands are an operator's, who is told which workspace on the command line.
    return [path for path in found if not {"tests", "migrations", "management"} & set(path.relative_to(base).parts)]


class TestObjects:
    @pytest.mark.parametrize("model", workspace_models(), ids=lambda model: model.__name__)
    @pytest.mark.parametrize("query", ["all", "count", "first", "exists", "get", "filter", "exclude", "create"])
    def test_without_a_workspace_do_nothing(self, model: Any, query: str) -> None:
        with pytest.raises(WorkspaceRequired):
            getattr(model.objects, query)()

    def test_every_row_of_a_workspace_has_it(self) -> None:
        for model in apps.get_models():
            if issubclass(model, WorkspaceModel) or any(f.name == "workspace" for f in model._meta.fields):
                assert isinstance(model.objects, WorkspaceManager), model

    @pytest.mark.django_db
    def test_give_the_rows_of_one_workspace(self) -> None:
        here, _ = TeamFactory(), TeamFactory()
        assert list(Team.objects.for_workspace(here.workspace)) == [here]
        assert list(Team.objects.for_workspace(here.workspace_id)) == [here]

    def test_an_unsaved_or_missing_workspace_is_none(self) -> None:
        with pytest.raises(WorkspaceRequired):
            Team.objects.for_workspace(None)  # type: ignore[arg-type]
        unsaved = Workspace()
        unsaved.pk = None  # type: ignore[assignment]
        with pytest.raises(WorkspaceRequired):
            Team.objects.for_workspace(unsaved)


def test_only_known_files_read_across_workspaces() -> None:
    base = Path(settings.BASE_DIR)
    reading = {str(path.relative_to(base)) for path in sources() if READS.search(path.read_text())}
    assert reading - set(MAY_READ_ACROSS) == set(), "use objects.for_workspace(…), or say here why not"
    assert set(MAY_READ_ACROSS) - reading == set(), "no longer needed: take it off the list"


@pytest.mark.django_db
class TestTheWorkspaceOfARequest:
    def session(self, **values: str) -> SessionStore:
        session = SessionStore()
        session.update(values)
        return session

    def test_is_the_one_that_was_chosen(self) -> None:
        first: Any = MembershipFactory()
        second: Any = MembershipFactory(user=first.user)
        assert current_membership(first.user, self.session()) == first
        assert current_membership(first.user, self.session(workspace_id=str(second.workspace_id))) == second

    def test_is_never_a_foreign_one_or_one_that_was_left(self) -> None:
        mine: Any = MembershipFactory()
        left = MembershipFactory(user=mine.user, is_active=False)
        for workspace_id in (WorkspaceFactory().pk, left.workspace_id, "nonsense"):
            assert current_membership(mine.user, self.session(workspace_id=str(workspace_id))) == mine

    def test_is_none_for_somebody_who_belongs_nowhere(self) -> None:
        left = MembershipFactory(is_active=False)
        assert current_membership(left.user, self.session()) is None
        assert Membership.unscoped.count() == 1
