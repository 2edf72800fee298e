"""Settings of tickets in the console: categories and canned responses."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.models import CannedResponse, Category
from tickets.tests.factories import CannedResponseFactory, CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"  # an id that nothing has


@pytest.fixture
def admin() -> Membership:
    return make_agent(WorkspaceFactory(name="Demo"), role="admin", user__name="Adam Kowalczyk")


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(name: str, *args: Any) -> str:
    return reverse(f"tickets:{name}", args=args)


def categories(member: Membership) -> Any:
    return Category.objects.for_workspace(member.workspace).filter(archived_at=None)


def responses(member: Membership) -> Any:
    return CannedResponse.objects.for_workspace(member.workspace)


class TestCategories:
    GIVEN = {"name": "Billing", "description": "Payments", "color": "#3B82F6", "parent_id": ""}

    def test_the_tree_is_shown_with_its_tickets_and_those_below(self, admin: Membership) -> None:
        billing = CategoryFactory(workspace=admin.workspace, name="Billing")
        invoices = CategoryFactory(workspace=admin.workspace, name="Invoices", parent=billing)
        make_ticket(admin.workspace, category_id=billing.pk)
        make_ticket(admin.workspace, category_id=invoices.pk)
        tree = signed_in(admin).get(url("settings-categories")).context["tree"]
        assert [(row["category"].name, row["depth"], row["tickets"]) for row in tree] == [
            ("Billing", 0, 2),
            ("Invoices", 1, 1),
        ]

    def test_one_is_made_and_changed(self, admin: Membership) -> None:
        client = signed_in(admin)
        assert client.post(url("category-new"), self.GIVEN).status_code == 302
        made = categories(admin).get()
        assert (made.name, made.color, made.parent) == ("Billing", "#3B82F6", None)
        top = CategoryFactory(workspace=admin.workspace, name="Money")
        changed = self.GIVEN | {"name": "Bills", "parent_id": str(top.pk)}
        assert client.post(url("category-edit", made.pk), changed).status_code == 302
        made.refresh_from_db()
        assert (made.name, made.parent) == ("Bills", top)

    @pytest.mark.parametrize(
        ("field", "value"),
        [("name", ""), ("name", "x" * 81), ("name", "taken"), ("color", "blue"), ("parent_id", UNKNOWN)],
    )
    def test_wrong_input_comes_back_filled_in_with_its_message(self, admin: Membership, field: str, value: str) -> None:
        CategoryFactory(workspace=admin.workspace, name="Taken")
        answer = signed_in(admin).post(url("category-new"), self.GIVEN | {field: value})
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [field]
        assert "Payments" in answer.content.decode()
        assert categories(admin).count() == 1

    def test_a_category_cannot_be_put_below_itself(self, admin: Membership) -> None:
        top = CategoryFactory(workspace=admin.workspace, name="Top")
        below = CategoryFactory(workspace=admin.workspace, name="Below", parent=top)
        answer = signed_in(admin).post(url("category-edit", top.pk), self.GIVEN | {"parent_id": str(below.pk)})
        assert list(answer.context["form"].errors) == ["parent_id"]
        top.refresh_from_db()
        assert top.parent is None

    def test_a_deleted_one_can_no_longer_be_chosen_and_its_tickets_keep_it(self, admin: Membership) -> None:
        category = CategoryFactory(workspace=admin.workspace, name="Old topic")
        ticket = make_ticket(admin.workspace, category_id=category.pk)
        client = signed_in(admin)
        client.post(url("category-delete", category.pk))
        assert not categories(admin).exists()
        assert ">Old topic</option>" not in client.get(url("new")).content.decode()
        assert ">Old topic (archived)</option>" in client.get(url("ticket", ticket.pk)).content.decode()

    def test_one_with_others_below_is_not_deleted(self, admin: Membership) -> None:
        top = CategoryFactory(workspace=admin.workspace)
        CategoryFactory(workspace=admin.workspace, parent=top)
        client = signed_in(admin)
        answer = client.post(url("category-delete", top.pk))
        assert "move or delete them first" in client.get(answer.url).content.decode()
        assert categories(admin).count() == 2

    def test_the_page_costs_the_same_queries_for_any_number(self, admin: Membership) -> None:
        def ask() -> int:
            with CaptureQueriesContext(connection) as asked:
                client.get(url("settings-categories"))
            return len(asked)

        client = signed_in(admin)
        CategoryFactory(workspace=admin.workspace)
        ask()
        before = ask()
        for _ in range(7):
            CategoryFactory(workspace=admin.workspace, parent=categories(admin).last())
        assert before == ask() <= 7


class TestCannedResponses:
    GIVEN = {"title": "Thanks", "shortcut": "thanks", "content": "Thank you, {{customer_name}}!", "category_id": ""}

    def test_an_agent_makes_one_of_their_own(self, admin: Membership) -> None:
        maria = make_agent(admin.workspace)
        assert (
            signed_in(maria).post(url("canned-response-new"), self.GIVEN | {"shortcut": "/Thanks"}).status_code == 302
        )
        made = responses(admin).get()
        assert (made.shortcut, made.created_by) == ("thanks", maria.user)
        assert "/thanks" in signed_in(maria).get(url("settings-canned-responses")).content.decode()

    def test_an_agent_changes_their_own_and_an_admin_all(self, admin: Membership) -> None:
        maria, sam = make_agent(admin.workspace), make_agent(admin.workspace)
        response = CannedResponseFactory(workspace=admin.workspace, created_by=maria.user, title="Before")
        for member, status, title in ((sam, 403, "Before"), (maria, 302, "Thanks"), (admin, 302, "Thanks")):
            answer = signed_in(member).post(url("canned-response-edit", response.pk), self.GIVEN)
            assert (answer.status_code, responses(admin).get().title) == (status, title)
        assert signed_in(sam).post(url("canned-response-delete", response.pk)).status_code == 403
        assert responses(admin).exists()
        assert signed_in(maria).post(url("canned-response-delete", response.pk)).status_code == 302
        assert not responses(admin).exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("title", ""),
            ("shortcut", "two words"),
            ("shortcut", "taken"),
            ("content", ""),
            ("category_id", UNKNOWN),
        ],
    )
    def test_wrong_input_comes_back_filled_in_with_its_message(self, admin: Membership, field: str, value: str) -> None:
        CannedResponseFactory(workspace=admin.workspace, shortcut="taken")
        answer = signed_in(admin).post(url("canned-response-new"), self.GIVEN | {field: value})
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == [field]
        assert responses(admin).count() == 1

    def test_the_composer_finds_them_by_shortcut_title_and_text_filled_in(self, admin: Membership) -> None:
        ticket = make_ticket(admin.workspace)
        CannedResponseFactory(
            workspace=admin.workspace, shortcut="thanks", title="Gratitude", content="Hi {{customer_name}} <b>"
        )
        CannedResponseFactory(workspace=admin.workspace, shortcut="closing", title="Bye", content="Many thanks")
        client = signed_in(admin)

        def found(text: str) -> list[str]:
            answer = client.get(url("canned-search"), {"ticket": ticket.pk, "q": text}, headers={"HX-Request": "true"})
            return [one["response"].shortcut for one in answer.context["offered"]]

        assert found("/tha") == ["thanks", "closing"]
        assert found("grati") == ["thanks"]
        assert found("nothing") == []
        html = client.get(url("canned-search"), {"ticket": ticket.pk, "q": "thanks"}).content.decode()
        assert "Hi Jane Smith &lt;b&gt;" in html

    def test_each_use_is_counted(self, admin: Membership) -> None:
        response = CannedResponseFactory(workspace=admin.workspace)
        client = signed_in(admin)
        for _ in range(2):
            assert client.post(url("canned-use", response.pk)).status_code == 204
        assert client.get(url("canned-use", response.pk)).status_code == 405
        response.refresh_from_db()
        assert response.usage_count == 2

    def test_those_of_others_are_not_found(self, admin: Membership) -> None:
        theirs = CannedResponseFactory(title="Theirs")
        foreign = make_ticket(WorkspaceFactory())
        client = signed_in(admin)
        assert "Theirs" not in client.get(url("settings-canned-responses")).content.decode()
        assert client.post(url("canned-use", theirs.pk)).status_code == 404
        assert client.get(url("canned-search"), {"ticket": foreign.pk}).status_code == 404
        assert client.get(url("canned-search"), {"ticket": "nonsense"}).status_code == 404
        theirs.refresh_from_db()
        assert theirs.usage_count == 0

    def test_empty_settings_say_what_to_do_next(self, admin: Membership) -> None:
        client = signed_in(admin)
        assert "No canned responses yet" in client.get(url("settings-canned-responses")).content.decode()
        assert "No categories yet" in client.get(url("settings-categories")).content.decode()
