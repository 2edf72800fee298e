"""Categories, canned responses."""

import threading

import pytest
from django.db import connections

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import Conflict, InvalidInput, NotFound
from tickets.models import CannedResponse, Category
from tickets.services import setup
from tickets.tests.factories import NOW, CannedResponseFactory, CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace():
    return WorkspaceFactory()


class TestCategories:
    def save(self, workspace, category=None, **changes):
        return setup.save_category(workspace=workspace, changes=changes, category=category, now=NOW)

    def test_a_category_has_a_name_a_colour_and_a_place_in_the_tree(self, workspace):
        billing = self.save(workspace, name="Billing", color="#3B82F6", description="Payments")
        refunds = self.save(workspace, name="Refunds", parent_id=billing.pk)
        assert refunds.parent == billing
        assert setup.descendants(workspace.pk, billing.pk) == [billing.pk, refunds.pk]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"name": "Billing"}, "name"),
            ({"name": "bILLING"}, "name"),
            ({"name": "New", "color": "red"}, "color"),
            ({"name": "New", "color": "#12345"}, "color"),
            ({"name": "New", "colour": "#123456"}, "colour"),
        ],
    )
    def test_a_wrong_value_names_its_field(self, workspace, changes, field):
        self.save(workspace, name="Billing")
        with pytest.raises(InvalidInput) as caught:
            self.save(workspace, **changes)
        assert field in caught.value.errors
        assert Category.unscoped.count() == 1

    def test_the_tree_has_no_circles(self, workspace):
        top = self.save(workspace, name="Top")
        middle = self.save(workspace, name="Middle", parent_id=top.pk)
        for parent in (top, middle):
            with pytest.raises(InvalidInput) as caught:
                self.save(workspace, category=top, parent_id=parent.pk)
            assert "parent_id" in caught.value.errors

    def test_the_tree_is_five_levels_deep(self, workspace):
        parent = None
        for level in range(5):
            parent = self.save(workspace, name=f"Level {level}", parent_id=parent.pk if parent else None)
        with pytest.raises(InvalidInput):
            self.save(workspace, name="Too deep", parent_id=parent.pk)

    def test_a_whole_branch_is_not_moved_deeper_than_that(self, workspace):
        top = self.save(workspace, name="Top")
        parent = branch = self.save(workspace, name="Branch")
        for level in range(3):
            parent = self.save(workspace, name=f"Level {level}", parent_id=parent.pk)
        middle = self.save(workspace, name="Middle", parent_id=top.pk)
        with pytest.raises(InvalidInput) as caught:
            self.save(workspace, category=branch, parent_id=middle.pk)
        assert "parent_id" in caught.value.errors
        assert self.save(workspace, category=branch, parent_id=top.pk).parent == top

    def test_what_somebody_else_changed_meanwhile_stays(self, workspace):
        top, billing = self.save(workspace, name="Top"), self.save(workspace, name="Billing")
        read_before = Category.unscoped.get(pk=billing.pk)
        self.save(workspace, category=billing, parent_id=top.pk)
        assert self.save(workspace, category=read_before, name="Payments").parent == top
        setup.delete_category(category=billing, now=NOW)
        with pytest.raises(NotFound):
            self.save(workspace, category=read_before, name="Again")

    def test_a_foreign_parent_does_not_exist(self, workspace):
        with pytest.raises(NotFound):
            self.save(workspace, name="New", parent_id=CategoryFactory().pk)

    def test_a_deleted_category_cannot_be_chosen_but_its_tickets_keep_it(self, workspace):
        billing = self.save(workspace, name="Billing")
        ticket = make_ticket(workspace, category_id=billing.pk)
        setup.delete_category(category=billing, now=NOW)
        ticket.refresh_from_db()
        assert ticket.category == billing
        with pytest.raises(NotFound):
            make_ticket(workspace, category_id=billing.pk)
        assert self.save(workspace, name="Billing").pk != billing.pk

    def test_a_category_with_others_below_stays(self, workspace):
        top = self.save(workspace, name="Top")
        self.save(workspace, name="Below", parent_id=top.pk)
        with pytest.raises(Conflict):
            setup.delete_category(category=top, now=NOW)


class TestCannedResponses:
    def save(self, workspace, response=None, **changes):
        return setup.save_canned_response(workspace=workspace, changes=changes, now=NOW, response=response)

    def test_a_shortcut_may_be_written_with_its_slash(self, workspace):
        assert self.save(workspace, title="Thanks", shortcut="/Thanks", content="Thank you").shortcut == "thanks"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"shortcut": "x", "content": "x"}, "title"),
            ({"title": "x", "content": "x"}, "shortcut"),
            ({"title": "x", "shortcut": "x"}, "content"),
            ({"title": "x", "shortcut": "two words", "content": "x"}, "shortcut"),
            ({"title": "x", "shortcut": "thanks", "content": "x"}, "shortcut"),
            ({"title": "x", "shortcut": "x", "content": "x", "colour": "x"}, "colour"),
        ],
    )
    def test_a_wrong_value_names_its_field(self, workspace, changes, field):
        CannedResponseFactory(workspace=workspace, shortcut="thanks")
        with pytest.raises(InvalidInput) as caught:
            self.save(workspace, **changes)
        assert field in caught.value.errors
        assert CannedResponse.unscoped.count() == 1

    def test_the_variables_are_filled_in(self, workspace):
        ticket = make_ticket(workspace)
        filled = setup.fill_canned_response(
            content="Hi {{customer_name}}, {{agent_name}} works on {{ticket_number}}.",
            ticket=ticket,
            agent_name="Maria",
        )
        assert filled == "Hi Jane Smith, Maria works on #1001."

    def test_a_customer_without_a_name_is_addressed_by_their_address(self, workspace):
        ticket = make_ticket(workspace, requester_name="")
        assert setup.fill_canned_response(content="{{customer_name}}", ticket=ticket, agent_name="x") == "jane"

    def test_a_use_that_is_counted_while_somebody_edits_stays_counted(self, workspace):
        response = CannedResponseFactory(workspace=workspace)
        setup.use_canned_response(response=CannedResponse.unscoped.get(pk=response.pk))
        assert self.save(workspace, response=response, title="New").usage_count == 1
        assert CannedResponse.unscoped.get().usage_count == 1

    def test_it_can_be_changed_after_its_category_was_deleted(self, workspace):
        billing = CategoryFactory(workspace=workspace)
        response = CannedResponseFactory(workspace=workspace, category=billing)
        setup.delete_category(category=billing, now=NOW)
        assert self.save(workspace, response=response, title="New", category_id=billing.pk).category == billing
        with pytest.raises(NotFound):
            self.save(workspace, title="Other", shortcut="other", content="x", category_id=billing.pk)

    @pytest.mark.django_db(transaction=True)
    def test_every_use_is_counted_also_at_once(self, workspace):
        response = CannedResponseFactory(workspace=workspace)

        def use():
            setup.use_canned_response(response=CannedResponse.unscoped.get(pk=response.pk))
            connections.close_all()

        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        response.refresh_from_db()
        assert response.usage_count == 8


def test_a_saved_view_is_of_a_person_or_of_everybody(workspace):
    maria = make_agent(workspace)
    mine = setup.save_view(workspace=workspace, owner=maria.user, name="Urgent", query="priority=urgent", now=NOW)
    everyones = setup.save_view(workspace=workspace, owner=None, name="New", query="status=new", now=NOW)
    assert (mine.owner, everyones.owner) == (maria.user, None)
    with pytest.raises(InvalidInput):
        setup.save_view(workspace=workspace, owner=None, name="", query="", now=NOW)
