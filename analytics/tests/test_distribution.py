"""What kind of tickets come: every figure against SQL over the raw rows, written here."""

import datetime as dt
from typing import Any

import pytest

from analytics.tests.history import BEGIN, HOUR, make_history, merge, sql, trash
from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import TeamFactory, WorkspaceFactory
from tickets.services import setup
from tickets.tests.api import Api, refused
from tickets.tests.factories import CategoryFactory, make_agent, make_ticket

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
MARCH = "from=2026-03-01&to=2026-03-31"
ALL = ["by_status", "by_priority", "by_channel", "by_category", "by_tag", "by_team", "by_assignee"]


@pytest.fixture
def workspace() -> Workspace:
    made: Any = WorkspaceFactory(timezone="Europe/Rome")
    return made


def ask(workspace: Workspace, query: str = MARCH) -> Any:
    member = workspace.memberships.filter(role="light").first() or make_agent(workspace, role="light")
    answer = Api(member).get(f"/tickets/analytics/distribution?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


# Days by the database's own timezones: the code under test reckons its bounds without them.
CREATED = """
WITH RECURSIVE c AS (
  SELECT * FROM tickets WHERE workspace_id = %(w)s AND trashed_at IS NULL
     AND created_at >= %(a)s::date::timestamp AT TIME ZONE %(z)s
     AND created_at < (%(b)s::date + 1)::timestamp AT TIME ZONE %(z)s)
"""
OF_WORD = "SELECT {column}, count(*), round(100.0 * count(*) / (SELECT count(*) FROM c), 1)::float FROM c GROUP BY 1"
OF_ID = OF_WORD.replace("{column}", "{column}::text")
OF_TAG = """
SELECT g.name, count(*), round(100.0 * count(*) / (SELECT count(*) FROM c), 1)::float
FROM c LEFT JOIN ticket_tags l ON l.ticket_id = c.id LEFT JOIN tickets_tag g ON g.id = l.tag_id GROUP BY 1
"""
# Every pair of a category and one that it stands above, itself included.
OF_CATEGORY = """,
above AS (SELECT id, id AS top FROM ticket_categories WHERE workspace_id = %(w)s
          UNION ALL SELECT one.id, above.top FROM ticket_categories one JOIN above ON above.id = one.parent_id)
SELECT above.top::text, count(*), count(*) FILTER (WHERE c.category_id = above.top),
       round(100.0 * count(*) / (SELECT count(*) FROM c), 1)::float
FROM c JOIN above ON above.id = c.category_id GROUP BY 1
"""


def equals_sql(found: Any, workspace: Workspace, zone: str, first: str, last: str) -> None:
    """Hold each figure of a period against SQL."""
    values = {"w": workspace.pk, "z": zone, "a": first, "b": last}

    def told(name: str) -> list[tuple[Any, ...]]:
        """What the report tells of what has tickets."""
        some = []
        for one in found[f"by_{name}"]:
            value = one[name]["id"] if isinstance(one[name], dict) else one[name]
            if one["tickets"]:
                some.append((value, one["tickets"], one["share"]))
        return sorted(some, key=str)

    def counted(query: str) -> list[tuple[Any, ...]]:
        return sorted(sql(CREATED + query, **values), key=str)

    assert [(found["tickets"],)] == counted("SELECT count(*) FROM c")
    for name in ("status", "priority", "channel"):
        assert told(name) == counted(OF_WORD.format(column=name))
    for name in ("team", "assignee"):
        assert told(name) == counted(OF_ID.format(column=f"{name}_id"))
    assert told("tag") == counted(OF_TAG)
    tree = [
        (one["category"]["id"], one["tickets"], one["own"], one["share"])
        for one in found["by_category"]
        if one["category"] and one["tickets"]
    ]
    assert sorted(tree) == counted(OF_CATEGORY)
    assert [(found["by_category"][-1]["own"],)] == counted("SELECT count(*) FROM c WHERE category_id IS NULL")
    for name in ("status", "priority", "channel", "team", "assignee"):
        assert sum(one["tickets"] for one in found[f"by_{name}"]) == found["tickets"]
    assert sum(one["own"] for one in found["by_category"]) == found["tickets"]


def test_the_figures_equal_sql_over_the_rows(workspace: Workspace) -> None:
    """A history with merges, the trash and a category that was deleted, over the change of clocks in both places."""
    make_history(workspace)
    make_history(WorkspaceFactory(), tickets=5, seed=1)  # somebody else's
    for zone in ("Europe/Rome", "America/New_York"):
        found = ask(workspace, f"from=2026-03-08&to=2026-04-05&timezone={zone}&compare=previous")
        equals_sql(found, workspace, zone, "2026-03-08", "2026-04-05")
        equals_sql(found["previous"], workspace, zone, "2026-02-07", "2026-03-07")
        assert found["tickets"] > 15 and found["previous"]["tickets"] > 10
        assert len(found["by_tag"]) == 5 and len(found["by_assignee"]) == 4


def test_an_empty_workspace_has_none(workspace: Workspace) -> None:
    found = ask(workspace)
    assert (found["tickets"], found["previous"]) == (0, None)
    assert found["by_status"][0] == {"status": "open", "tickets": 0, "share": None}
    assert [one["priority"] for one in found["by_priority"]] == ["urgent", "high", "medium", "low"]
    assert found["by_tag"] == [{"tag": None, "tickets": 0, "share": None}]
    assert found["by_team"] == [{"team": None, "tickets": 0, "share": None}]
    assert found["by_category"] == [{"category": None, "tickets": 0, "own": 0, "share": None}]


def test_a_day_has_the_hours_that_it_has(workspace: Workspace) -> None:
    """In Rome 29 March 2026 has 23 hours."""
    begin, second = dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC), dt.timedelta(seconds=1)
    for at in (begin - second, begin, begin + 23 * HOUR - second, begin + 23 * HOUR):
        make_ticket(workspace, at)
    found = ask(workspace, "from=2026-03-29&to=2026-03-29&compare=previous")
    assert (found["tickets"], found["previous"]["tickets"]) == (2, 1)
    after = "from=2026-03-30&to=2026-03-30"
    assert [ask(workspace, f"{after}&timezone={zone}")["tickets"] for zone in ("Europe/Rome", "America/New_York")] == [
        1,
        0,
    ]


class TestCategories:
    def test_are_a_tree_each_with_what_is_below_it(self, workspace: Workspace) -> None:
        top = CategoryFactory(workspace=workspace, name="Billing")
        low = CategoryFactory(workspace=workspace, name="Cards", parent=top)
        lowest = CategoryFactory(workspace=workspace, name="Expired", parent=low)
        CategoryFactory(workspace=workspace, name="Access")
        for category in (top, low, lowest, lowest, None):
            make_ticket(workspace, NOON, category_id=category and category.pk)
        rows = [
            (one["category"] and one["category"]["name"], one["tickets"], one["own"], one["share"])
            for one in ask(workspace)["by_category"]
        ]
        assert rows == [
            ("Access", 0, 0, 0.0),
            ("Billing", 4, 1, 80.0),
            ("Cards", 3, 1, 60.0),
            ("Expired", 2, 2, 40.0),
            (None, 1, 1, 20.0),
        ]
        assert ask(workspace)["by_category"][2]["category"] == {
            "id": str(low.pk), "name": "Cards", "parent_id": str(top.pk), "depth": 1, "is_archived": False,
        }  # fmt: skip

    def test_that_were_deleted_are_there_while_they_count(self, workspace: Workspace) -> None:
        used, unused = CategoryFactory(workspace=workspace), CategoryFactory(workspace=workspace)
        make_ticket(workspace, NOON, category_id=used.pk)
        for category in (used, unused):
            setup.delete_category(category=category, now=NOON)
        [one, none] = ask(workspace)["by_category"]
        assert (one["category"]["id"], one["category"]["is_archived"], one["own"]) == (str(used.pk), True, 1)
        assert none["category"] is None


class TestTickets:
    def test_count_for_each_of_their_tags(self, workspace: Workspace) -> None:
        for tags in (["vip", "bug"], ["vip"], [], []):
            make_ticket(workspace, NOON, tags=tags)
        assert ask(workspace)["by_tag"] == [
            {"tag": "vip", "tickets": 2, "share": 50.0},
            {"tag": "bug", "tickets": 1, "share": 25.0},
            {"tag": None, "tickets": 2, "share": 50.0},
        ]

    def test_are_told_with_names_most_first(self, workspace: Workspace) -> None:
        team, agent = TeamFactory(workspace=workspace, name="Tier 2"), make_agent(workspace, user__name="Aisha")
        other = make_agent(workspace, user__name="", user__email="ben@acme.example")
        for member in (agent, other, other):
            make_ticket(workspace, NOON, assignee_id=member.user_id, team_id=team.pk)
        make_ticket(workspace, NOON)
        found = ask(workspace)
        assert [one["assignee"] and one["assignee"]["name"] for one in found["by_assignee"]] == [
            "ben@acme.example", "Aisha", None,
        ]  # fmt: skip
        assert found["by_team"][0] == {"team": {"id": str(team.pk), "name": "Tier 2"}, "tickets": 3, "share": 75.0}

    def test_that_were_merged_count_and_those_in_the_trash_do_not(self, workspace: Workspace) -> None:
        merge(make_ticket(workspace, NOON, channel="email"), make_ticket(workspace, NOON), NOON + HOUR)
        trash(make_ticket(workspace, NOON, priority="urgent", tags=["vip"]), NOON + HOUR)
        found = ask(workspace)
        assert found["tickets"] == 2
        assert {one["channel"]: one["tickets"] for one in found["by_channel"]}["email"] == 1
        assert found["by_priority"][0]["tickets"] == 0
        assert [one["tag"] for one in found["by_tag"]] == [None]

    def test_are_those_that_the_filters_find(self, workspace: Workspace) -> None:
        team = TeamFactory(workspace=workspace)
        make_ticket(workspace, NOON, priority="urgent", tags=["vip", "bug"], team_id=team.pk)
        make_ticket(workspace, NOON, requester_email="lou@customers.example")
        for query in ("tag=vip", "priority=urgent,high", f"team={team.pk}", "requester=jane@customers.example"):
            found = ask(workspace, f"{MARCH}&{query}")
            assert found["tickets"] == 1, query
            assert [one["tag"] for one in found["by_tag"]] == ["bug", "vip", None], query

    def test_of_another_workspace_are_never_found(self, workspace: Workspace) -> None:
        theirs: Any = WorkspaceFactory()
        team, category = TeamFactory(workspace=theirs), CategoryFactory(workspace=theirs)
        make_ticket(theirs, NOON, team_id=team.pk, category_id=category.pk, tags=["secret"])
        for query in (MARCH, f"{MARCH}&team={team.pk}", f"{MARCH}&category={category.pk}"):
            found = ask(workspace, query)
            assert found["tickets"] == 0 and len(found["by_category"]) == 1 and "secret" not in str(found)


class TestBy:
    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ("", ALL),
            ("by=", ALL),
            ("by=tag", ["by_tag"]),
            ("by=team,status", ["by_status", "by_team"]),
            ("by=category&by=channel", ["by_channel", "by_category"]),
        ],
    )
    def test_leaves_out_what_was_not_asked_for(self, workspace: Workspace, query: str, told: list[str]) -> None:
        make_ticket(workspace, NOON)
        found = ask(workspace, f"{MARCH}&compare=previous&{query}")
        assert [name for name in found if name.startswith("by_")] == told
        assert [name for name in found["previous"] if name.startswith("by_")] == told
        assert (found["tickets"], found["previous"]["tickets"]) == (1, 0)


def test_what_is_not_possible_is_refused_by_name(workspace: Workspace) -> None:
    api = Api(make_agent(workspace))
    url = "/tickets/analytics/distribution"
    assert "assignee" in refused(api.get(f"{url}?by=status,mood"), 400, "by")["errors"]["by"][0]
    refused(api.get(f"{url}?from=2026-03-02&to=2026-03-01"), 400, "to")
    refused(api.get(f"{url}?compare=next&sort=number"), 400, "compare", "sort")
    refused(Api().get(url), 401)


def test_queries_do_not_grow_with_what_is_counted(workspace: Workspace, django_assert_num_queries: Any) -> None:
    api = Api(make_agent(workspace, role="light"))
    make_ticket(
        workspace, BEGIN, team_id=TeamFactory(workspace=workspace).pk, assignee_id=make_agent(workspace).user_id
    )
    for rows in (0, 12):
        if rows:
            make_history(workspace, tickets=rows)
        query = "from=2026-02-01&to=2026-04-20"
        with django_assert_num_queries(6):  # who asks; what is counted, tags; names of categories, teams and agents
            api.get(f"/tickets/analytics/distribution?{query}")
        with django_assert_num_queries(8):  # and 2 of the period before
            api.get(f"/tickets/analytics/distribution?{query}&compare=previous")
        with django_assert_num_queries(2):
            api.get(f"/tickets/analytics/distribution?{query}&by=status,channel")
