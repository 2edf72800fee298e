"""Which mails a member wants, and whom one can mention."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput
from tickets.mail.models import NoticePreference
from tickets.mail.services import preferences
from tickets.mail.services.mentionable import mentionable
from tickets.mail.services.notices import mentioned
from tickets.tests.factories import NOW, make_agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def maria() -> Membership:
    return make_agent(WorkspaceFactory(name="Acme"), user__name="Maria Rossi", user__email="maria@acme.example")


def client_of(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


def kept(member: Membership) -> dict[str, bool]:
    row = preferences.preferences_of(member)
    return {topic: getattr(row, topic) for topic in preferences.TOPICS}


class TestPreferences:
    def test_everything_is_wanted_until_somebody_chooses(self, maria: Membership) -> None:
        assert set(kept(maria).values()) == {True}
        html = client_of(maria).get(reverse("mail:notices")).content.decode()
        assert html.count("checked") == 4 and not NoticePreference.unscoped.exists()

    @pytest.mark.parametrize("role", ["light", "agent", "admin", "owner"])
    def test_are_saved_from_the_form_and_shown_again(self, maria: Membership, role: str) -> None:
        member, client = make_agent(maria.workspace, role), None
        client = client_of(member)
        for _ in range(2):  # the row is made once, then changed
            answer = client.post(reverse("mail:notices"), {"assigned": "on", "watched": "on"})
            assert answer.status_code == 302
        assert kept(member) == {"assigned": True, "mentioned": False, "replied": False, "watched": True}
        assert client.get(reverse("mail:notices")).content.decode().count("checked") == 2
        assert set(kept(maria).values()) == {True}  # nobody else's changed

    def test_belong_to_one_workspace(self, maria: Membership) -> None:
        elsewhere = make_agent(WorkspaceFactory(), user=maria.user)
        preferences.save_preferences(membership=maria, wanted={"assigned": False}, now=NOW)
        assert kept(maria)["assigned"] is False and kept(elsewhere)["assigned"] is True

    def test_what_is_not_given_stays(self, maria: Membership) -> None:
        preferences.save_preferences(membership=maria, wanted={"replied": False}, now=NOW)
        preferences.save_preferences(membership=maria, wanted={"watched": False}, now=NOW)
        assert kept(maria) == {"assigned": True, "mentioned": True, "replied": False, "watched": False}

    @pytest.mark.parametrize("wanted", [{"everything": True}, {"assigned": "yes"}, {"assigned": None}])
    def test_what_is_no_notice_or_no_choice_is_refused(self, maria: Membership, wanted: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput) as refused:
            preferences.save_preferences(membership=maria, wanted=wanted, now=NOW)
        assert list(refused.value.errors) == list(wanted) and not NoticePreference.unscoped.exists()

    def test_the_page_stands_in_the_account_menu(self, maria: Membership) -> None:
        assert f'href="{reverse("mail:notices")}"' in client_of(maria).get(reverse("accounts:profile")).content.decode()


class TestMentions:
    def test_members_are_found_by_the_beginning_of_a_name_or_address(self, maria: Membership) -> None:
        make_agent(maria.workspace, user__name="Sam Okafor", user__email="sam.o@acme.example")
        make_agent(maria.workspace, "light", user__name="Ann Marks", user__email="ann@acme.example")

        def found(text: str) -> list[str]:
            return [one.handle for one in mentionable(workspace_id=maria.workspace_id, text=text)]

        assert found("") == ["ann", "maria", "sam.o"]
        assert found("mar") == ["ann", "maria"] and found("oka") == ["sam.o"] == found("SAM.O")
        assert found("ossi") == found("%") == found("_") == []

    def test_neither_strangers_nor_people_who_left(self, maria: Membership) -> None:
        make_agent(WorkspaceFactory(), user__email="mara@other.example")
        make_agent(maria.workspace, user__email="mark@acme.example", is_active=False)
        make_agent(maria.workspace, user__email="marge@acme.example", user__is_active=False)
        assert [one.handle for one in mentionable(workspace_id=maria.workspace_id, text="ma")] == ["maria"]

    def test_what_is_offered_means_exactly_that_member(self, maria: Membership) -> None:
        people = [
            ("Sam Okafor", "sam@acme.example"),
            ("Sam Haddad", "sam@partner.example"),  # whom @sam means is not known
            ("Lee Wong", "maria@partner.example"),  # found by the first name
            ("o", "o'brien+x@acme.example"),
            ("", "nameless@acme.example"),
            ("Ann", "a..b@acme.example"),
            ("Bea", "bea.@acme.example"),
        ]
        for name, email in people:
            make_agent(maria.workspace, user__name=name, user__email=email)
        offered = mentionable(workspace_id=maria.workspace_id, text="")
        assert len({one.handle for one in offered}) == len(offered)
        for one in offered:
            (member,) = mentioned(workspace_id=maria.workspace_id, text=f"Please look, @{one.handle}, today.")
            assert one.name in (member.user.name, member.user.email)
        assert {one.name for one in offered} >= {"Lee Wong", "nameless@acme.example", "Ann", "Bea"}
        # Neither name nor address says which of two is meant.
        assert not {one.name for one in offered} & {"Sam Okafor", "Sam Haddad", "Maria Rossi"}

    def test_are_options_of_a_list_box_and_cost_one_query(self, maria: Membership) -> None:
        make_agent(maria.workspace, user__name="<b>Bold</b>", user__email="bold@acme.example")
        client = client_of(maria)
        client.get(reverse("mail:mentions"))
        with CaptureQueriesContext(connection) as few:
            html = client.get(reverse("mail:mentions")).content.decode()
        for number in range(20):
            make_agent(maria.workspace, user__email=f"z{number}@acme.example")
        with CaptureQueriesContext(connection) as many:
            assert client.get(reverse("mail:mentions")).content.decode().count('role="option"') == 8
        assert len(few) == len(many) and html.count('role="option"') == 2
        assert "<b>Bold" not in html and 'data-handle="bold"' in html
