"""What a rule would have done, in words, from the ticket as it was."""

from dataclasses import replace
from typing import Any

import pytest

from tickets.automation.services.actions import ACTIONS
from tickets.automation.services.names import Names
from tickets.automation.services.preview import PREVIEWS, preview
from tickets.automation.services.rewind import Ticket

TICKET = Ticket(
    status="open",
    priority="medium",
    subject="Help",
    description="",
    category="c1",
    team=None,
    assignee=None,
    tags=frozenset({"vip"}),
    requester="jane@customers.example",
    is_new=True,
)
NAMES = Names(
    categories={"c1": "Billing", "c2": "Login", "c3": "Old"},
    live_categories=frozenset({"c1", "c2"}),
    teams={"t1": "Second line", "t2": "Billing"},
    led_teams=frozenset({"t1"}),
    users={"u1": "Sam", "u2": "Maria", "u3": "Left"},
    members=frozenset({"u1", "u2"}),
    workers=frozenset({"u1", "u2"}),
    responses={"r1": "Thanks"},
    policies={"p1": "Gold"},
)


def said(action: dict[str, Any], **ticket: Any) -> tuple[str, bool]:
    (change,) = preview([action], replace(TICKET, **ticket), NAMES)
    assert change.action == action["do"]
    return change.text, change.is_change


def test_every_action_has_one_in_the_same_order() -> None:
    assert tuple(PREVIEWS) == ACTIONS


@pytest.mark.parametrize(
    ("action", "ticket", "text"),
    [
        ({"do": "assign", "user_id": "u1"}, {}, "assigned to Sam"),
        ({"do": "assign", "user_id": "u1"}, {"assignee": "u2"}, "assigned Maria → Sam"),
        (
            {"do": "assign", "method": "least_busy", "team_id": "t2"},
            {},
            "assigned to the least busy of team Billing (who that was then is not known)",
        ),
        (
            {"do": "assign", "method": "round_robin", "team_id": None},
            {},
            "assigned to the next in turn of everybody (who that was then is not known)",
        ),
        ({"do": "set_team", "team_id": "t2"}, {}, "given to team Billing"),
        ({"do": "set_team", "team_id": "t2"}, {"team": "t1"}, "team Second line → Billing"),
        ({"do": "set_priority", "priority": "urgent"}, {}, "priority medium → urgent"),
        ({"do": "set_status", "status": "pending"}, {}, "status new → pending"),
        ({"do": "set_category", "category_id": "c2"}, {}, "category Billing → Login"),
        ({"do": "set_category", "category_id": "c2"}, {"category": None}, "category Login"),
        ({"do": "add_tags", "tags": ["vip", "new", "late"]}, {}, "tags new, late added"),
        ({"do": "remove_tags", "tags": ["vip", "new"]}, {}, "tag vip taken away"),
        ({"do": "add_note", "body": "Call them.\n\nToday."}, {}, "note added: “Call them. Today.”"),
        ({"do": "add_watcher", "user_id": "u2"}, {}, "Maria watches it"),
        ({"do": "set_sla_policy", "policy_id": "p1"}, {}, "SLA policy Gold"),
        (
            {"do": "send_canned_response", "canned_response_id": "r1"},
            {},
            "canned response “Thanks” sent to the customer",
        ),
        ({"do": "notify", "user_ids": ["u1"], "team_ids": ["t2"], "body": "x"}, {}, "mail to Sam, team Billing"),
        ({"do": "send_webhook", "url": "https://user:secret@hooks.example/x?key=1"}, {}, "sent to hooks.example"),
        ({"do": "escalate"}, {}, "escalated: priority medium → high"),
        ({"do": "escalate"}, {"team": "t1"}, "escalated: priority medium → high, the lead of team Second line told"),
        ({"do": "escalate"}, {"team": "t1", "priority": "urgent"}, "urgent already, the lead of team Second line told"),
    ],
)  # fmt: skip
def test_what_would_have_changed(action: dict[str, Any], ticket: dict[str, Any], text: str) -> None:
    assert said(action, **ticket) == (text, True)


@pytest.mark.parametrize(
    ("action", "ticket", "text"),
    [
        ({"do": "assign", "user_id": "u1"}, {"assignee": "u1"}, "no change: assigned to Sam already"),
        ({"do": "assign", "user_id": "u3"}, {}, "not possible: the agent is gone"),
        ({"do": "assign", "user_id": "u1"}, {"status": "closed"}, "not possible: the ticket was closed"),
        ({"do": "assign", "method": "least_busy", "team_id": "t2"}, {"assignee": "u1"}, "left with its agent: Sam"),
        (
            {"do": "assign", "method": "round_robin", "team_id": None},
            {"status": "resolved"},
            "left unassigned: it was not in work",
        ),
        ({"do": "assign", "method": "least_busy", "team_id": "t9"}, {}, "not possible: the team is gone"),
        ({"do": "set_team", "team_id": "t2"}, {"team": "t2"}, "no change: with team Billing already"),
        ({"do": "set_priority", "priority": "medium"}, {}, "no change: medium already"),
        ({"do": "set_status", "status": "open"}, {}, "no change: open already"),
        (
            {"do": "set_status", "status": "closed"},
            {},
            "not possible: a ticket that is open cannot become closed",
        ),
        ({"do": "set_category", "category_id": "c1"}, {}, "no change: in Billing already"),
        ({"do": "set_category", "category_id": "c3"}, {}, "not possible: the category is gone"),
        ({"do": "add_tags", "tags": ["vip"]}, {}, "no change: it has the tag vip already"),
        ({"do": "remove_tags", "tags": ["new"]}, {}, "no change: it does not have the tag new"),
        ({"do": "add_watcher", "user_id": "u3"}, {}, "not possible: the agent is gone"),
        ({"do": "set_sla_policy", "policy_id": "p9"}, {}, "not possible: the SLA policy is gone"),
        (
            {"do": "send_canned_response", "canned_response_id": "r9"},
            {},
            "not possible: the canned response is gone",
        ),
        ({"do": "escalate"}, {"priority": "urgent"}, "no change: urgent already"),
        ({"do": "sing"}, {}, "not possible: there is no such action"),
    ],
)
def test_what_would_have_stayed(action: dict[str, Any], ticket: dict[str, Any], text: str) -> None:
    assert said(action, **ticket) == (text, False)


def test_each_action_sees_what_the_one_before_it_would_have_done() -> None:
    before = replace(TICKET)
    changes = preview(
        [
            {"do": "escalate"},
            {"do": "set_priority", "priority": "high"},
            {"do": "escalate"},
            {"do": "add_tags", "tags": ["late"]},
            {"do": "remove_tags", "tags": ["late", "vip"]},
        ],
        before,
        NAMES,
    )
    assert [change.text for change in changes] == [
        "escalated: priority medium → high",
        "no change: high already",
        "escalated: priority high → urgent",
        "tag late added",
        "tags late, vip taken away",
    ]
    assert before == TICKET  # as it was
