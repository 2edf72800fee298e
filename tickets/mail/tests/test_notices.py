"""Members hear by mail of what concerns them."""

import datetime as dt

import pytest
from django.core import mail

from helpdesk.accounts.models import Contact
from helpdesk.accounts.tests.factories import UserFactory, WorkspaceFactory
from tickets.events import SYSTEM
from tickets.mail.models import NoticePreference, Outgoing
from tickets.mail.services import notices, sending
from tickets.mail.tests.factories import MailboxFactory
from tickets.mail.tests.out import queued
from tickets.models import Watcher
from tickets.services import assignment, base, conversation
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace():
    return WorkspaceFactory(name="Acme")


@pytest.fixture
def ann(workspace):
    return make_agent(workspace, user=UserFactory(name="Ann Miller", email="ann@acme.example"))


@pytest.fixture
def ben(workspace):
    return make_agent(workspace, user=UserFactory(name="Ben Okri", email="b.okri@acme.example"))


def told() -> list[tuple[str, str]]:
    return [(row.topic, row.recipient) for row in queued(kind="notice")]


def write_as_customer(ticket, **fields):
    contact = Contact.unscoped.get(pk=ticket.requester_id)
    given = {"ticket": ticket, "contact": contact, "body": "Any news?", "channel": "portal", "now": NOW}
    return conversation.customer_reply(**(given | fields))


class TestAssigned:
    def test_whoever_is_given_a_ticket_hears_of_it(self, workspace, ann, ben):
        ticket = make_ticket(workspace)
        assignment.assign(ticket=ticket, assignee_id=ben.user_id, actor=base.agent(ann), now=NOW)
        assert told() == [("assigned", "b.okri@acme.example")]
        (row,) = queued()
        assert (row.user_id, row.contact_id, row.is_automatic) == (ben.user_id, None, True)

    def test_whoever_takes_it_does_not(self, workspace, ann):
        assignment.assign(ticket=make_ticket(workspace), assignee_id=ann.user_id, actor=base.agent(ann), now=NOW)
        assert told() == []

    def test_a_ticket_that_is_opened_for_an_agent_tells_so(self, workspace, ann):
        make_ticket(workspace, assignee_id=ann.user_id)
        assert told() == [("assigned", "ann@acme.example")]


class TestMentioned:
    def test_who_is_named_in_a_note_hears_of_it(self, workspace, ann, ben):
        make_reply(make_ticket(workspace), ann, internal=True, body="@ben and @b.okri, please look. Not @nobody.")
        assert told() == [("mentioned", "b.okri@acme.example")]

    def test_an_answer_to_the_customer_names_nobody(self, workspace, ann, ben):
        make_reply(make_ticket(workspace), ann, body="@ben will look at it.")
        assert told() == []

    def test_who_names_themselves_does_not(self, workspace, ann):
        make_reply(make_ticket(workspace), ann, internal=True, body="@ann to do")
        assert told() == []

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("@b.okri", ["Ben Okri"]),
            ("Ask @BEN.", ["Ben Okri"]),
            ("(@ann, @ben)", ["Ann Miller", "Ben Okri"]),
            ("ann@acme.example", []),
            ("@", []),
            ("@annette", []),
            ("", []),
        ],
    )
    def test_names(self, workspace, ann, ben, text, names):
        found = notices.mentioned(workspace_id=workspace.pk, text=text)
        assert sorted(member.user.name for member in found) == names

    def test_a_first_name_that_two_have_names_nobody(self, workspace, ann):
        make_agent(workspace, user=UserFactory(name="Ann Other", email="other@acme.example"))
        assert {member.user.email for member in notices.mentioned(workspace_id=workspace.pk, text="@ann")} == {
            "ann@acme.example"  # by what stands before the @ of the address
        }
        make_agent(workspace, user=UserFactory(name="Cleo One", email="c1@acme.example"))
        make_agent(workspace, user=UserFactory(name="Cleo Two", email="c2@acme.example"))
        assert notices.mentioned(workspace_id=workspace.pk, text="@cleo") == []

    def test_nobody_of_another_workspace_is_named(self, workspace, ann):
        make_agent(WorkspaceFactory(), user=UserFactory(name="Zoe", email="zoe@else.example"))
        assert notices.mentioned(workspace_id=workspace.pk, text="@zoe") == []


class TestReplied:
    def test_whose_ticket_a_customer_writes_on_hears_of_it_once(self, workspace, ann):
        ticket = make_ticket(workspace, assignee_id=ann.user_id)
        Watcher.unscoped.create(workspace=workspace, ticket=ticket, user=ann.user)
        Outgoing.unscoped.all().delete()
        write_as_customer(ticket)
        assert told() == [("replied", "ann@acme.example")]

    def test_who_only_wants_to_hear_as_a_watcher_does_as_one(self, workspace, ann):
        ticket = make_ticket(workspace, assignee_id=ann.user_id)
        Watcher.unscoped.create(workspace=workspace, ticket=ticket, user=ann.user)
        NoticePreference.unscoped.create(workspace=workspace, membership=ann, replied=False)
        Outgoing.unscoped.all().delete()
        write_as_customer(ticket)
        assert told() == [("watched", "ann@acme.example")]

    def test_automatic_mail_of_a_customer_is_no_news_for_the_assignee(self, workspace, ann):
        ticket = make_ticket(workspace, assignee_id=ann.user_id)
        Outgoing.unscoped.all().delete()
        write_as_customer(ticket, automatic=True)
        assert told() == []


class TestWatched:
    def test_who_watches_hears_what_others_write(self, workspace, ann, ben):
        ticket = make_ticket(workspace)
        for member in (ann, ben):
            Watcher.unscoped.create(workspace=workspace, ticket=ticket, user=member.user)
        make_reply(ticket, ann)
        make_reply(ticket, ben, internal=True)
        assert told() == [("watched", "b.okri@acme.example"), ("watched", "ann@acme.example")]

    def test_an_answer_that_can_be_taken_back_is_told_when_it_cannot_any_more(self, workspace, ann, ben):
        ticket = make_ticket(workspace)
        Watcher.unscoped.create(workspace=workspace, ticket=ticket, user=ben.user)
        comment = make_reply(ticket, ann)
        (row,) = queued(kind="notice")
        assert row.next_at == NOW + dt.timedelta(seconds=10)
        sending.take_back(comment=comment, member=ann, now=NOW + dt.timedelta(seconds=5))
        assert sending.send(outgoing_id=row.pk, now=NOW + dt.timedelta(seconds=10)) == "cancelled"
        assert mail.outbox == []

    def test_a_note_is_told_at_once(self, workspace, ann, ben):
        make_reply(make_ticket(workspace), ann, body="@b.okri look", internal=True)
        (row,) = queued(kind="notice")
        assert row.next_at == NOW


class TestPreferences:
    @pytest.mark.parametrize("topic", ["assigned", "mentioned", "replied", "watched"])
    def test_what_a_member_does_not_want_is_not_sent(self, workspace, ann, ben, topic):
        NoticePreference.unscoped.create(workspace=workspace, membership=ben, **{topic: False})
        ticket = make_ticket(workspace, assignee_id=ben.user_id)
        make_reply(ticket, ann, internal=True, body="@ben look")
        write_as_customer(ticket)
        other = make_ticket(workspace)
        Watcher.unscoped.create(workspace=workspace, ticket=other, user=ben.user)
        make_reply(other, ann)
        assert {row.topic for row in queued(user=ben.user)} == {"assigned", "mentioned", "replied", "watched"} - {topic}

    @pytest.mark.parametrize("gone", ["member", "person"])
    def test_who_is_not_active_any_more_hears_nothing(self, workspace, ann, ben, gone):
        ticket = make_ticket(workspace)
        Watcher.unscoped.create(workspace=workspace, ticket=ticket, user=ben.user)
        if gone == "member":
            ben.is_active = False
            ben.save()
        else:
            ben.user.is_active = False
            ben.user.save()
        make_reply(ticket, ann)
        make_reply(ticket, ann, internal=True, body="@ben look")
        assert told() == []

    def test_who_left_before_it_was_sent_gets_nothing(self, workspace, ann, ben):
        assignment.assign(ticket=make_ticket(workspace), assignee_id=ben.user_id, actor=base.agent(ann), now=NOW)
        ben.is_active = False
        ben.save()
        (row,) = queued()
        assert sending.send(outgoing_id=row.pk, now=NOW) == "cancelled"
        assert mail.outbox == []


class TestTheMail:
    def test_leads_to_the_console_and_says_what_it_is_about(self, workspace, ann, ben, settings):
        MailboxFactory(workspace=workspace)
        ticket = make_ticket(workspace)
        note = make_reply(ticket, ann, internal=True, body="@ben can you look?")
        (row,) = queued()
        sending.send(outgoing_id=row.pk, now=NOW + dt.timedelta(seconds=1))
        (sent,) = mail.outbox
        assert sent.to == ["b.okri@acme.example"]
        assert sent.subject == f"You were mentioned: Cannot log in [#{ticket.number}]"
        assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
        assert f"{settings.SITE_URL}/tickets/{ticket.pk}#message-{note.pk}" in sent.body
        assert "@ben can you look?" in sent.body
        assert "token=" not in sent.body

    def test_of_a_test_workspace_is_held(self, ann):
        workspace = WorkspaceFactory(is_test=True)
        member = make_agent(workspace)
        make_ticket(workspace, assignee_id=member.user_id, actor=SYSTEM)
        assert [row.status for row in queued()] == ["held"]
