"""An answer that is taken back before anybody got it satisfied no promise."""

import datetime as dt

import pytest

from helpdesk.accounts.tests.factories import WorkspaceFactory
from slas.models import Clock
from slas.tests.factories import make_policy
from tickets.mail.services import sending
from tickets.services import conversation
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

pytestmark = pytest.mark.django_db


def clocks(ticket):
    rows = Clock.unscoped.filter(ticket=ticket).order_by("goal", "cycle")
    return [(clock.goal, clock.cycle, clock.run, clock.due_at, clock.satisfied_at) for clock in rows]


@pytest.fixture
def ticket():
    workspace = WorkspaceFactory()
    make_policy(workspace)
    return make_ticket(workspace)


def after(**span):
    return NOW + dt.timedelta(**span)


def test_the_clocks_run_on_as_if_it_had_not_been_written(ticket):
    agent = make_agent(ticket.workspace)
    before = clocks(ticket)
    assert before, "the workspace promises nothing"
    comment = make_reply(ticket, agent, now=after(seconds=1))
    assert clocks(ticket) != before
    sending.take_back(comment=comment, member=agent, now=after(seconds=5))
    assert clocks(ticket) == before


def test_so_do_those_of_a_ticket_that_it_resolved(ticket):
    agent = make_agent(ticket.workspace)
    before = clocks(ticket)
    comment = make_reply(ticket, agent, now=after(seconds=1), then="resolved")
    sending.take_back(comment=comment, member=agent, now=after(seconds=5))
    now = clocks(ticket)
    assert [clock[:3] for clock in now] == [clock[:3] for clock in before]
    assert all(clock[4] is None for clock in now)
    # A resolved ticket waits for nobody: only the seconds until it was taken back do not count.
    assert all(
        dt.timedelta() <= there[3] - here[3] <= dt.timedelta(seconds=4) for here, there in zip(before, now, strict=True)
    )


def test_a_wait_for_the_next_answer_goes_on(ticket):
    agent = make_agent(ticket.workspace)
    make_reply(ticket, agent, now=after(minutes=1))
    conversation.customer_reply(
        ticket=ticket, contact=ticket.requester, body="And?", channel="portal", now=after(minutes=2)
    )
    before = clocks(ticket)
    comment = make_reply(ticket, agent, now=after(minutes=3))
    assert clocks(ticket) != before
    sending.take_back(comment=comment, member=agent, now=after(minutes=3, seconds=5))
    assert clocks(ticket) == before


def test_an_answer_that_was_sent_and_deleted_later_was_an_answer(ticket):
    agent = make_agent(ticket.workspace)
    comment = make_reply(ticket, agent, now=after(minutes=1))
    before = clocks(ticket)
    conversation.delete_comment(comment=comment, editor=agent, now=after(minutes=9))
    assert clocks(ticket) == before
