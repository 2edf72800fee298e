"""The names of what rules and the log speak of, looked up once for very many tickets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from helpdesk.accounts.models import Membership, Organization, Team
from helpdesk.accounts.roles import Permission
from tickets.automation.conditions import NONE, Group
from tickets.automation.levels import service_levels
from tickets.models import CannedResponse, Category


@dataclass(frozen=True)
class Names:
    """What rules and the log name, of one workspace: by id, as text, and back."""

    categories: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str | None] = field(default_factory=dict)
    live_categories: frozenset[str] = frozenset()
    teams: Mapping[str, str] = field(default_factory=dict)
    led_teams: frozenset[str] = frozenset()
    users: Mapping[str, str] = field(default_factory=dict)
    members: frozenset[str] = frozenset()  # who is one today
    workers: frozenset[str] = frozenset()  # who can be given tickets today
    organizations: dict[str, str] = field(default_factory=dict)
    responses: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: str, value: str) -> str:
        """The name of what a condition's field `kind` speaks of; the value itself where it has no other."""
        known = {
            "category": self.categories,
            "team": self.teams,
            "assignee": self.users,
            "organization": self.organizations,
        }.get(kind, {})
        return known.get(value, value)

    @cached_property
    def categories_by_name(self) -> dict[str, str]:
        """The id of each category's name; of several with one name, one that can still be chosen."""
        ordered = sorted(self.categories, key=lambda pk: pk in self.live_categories)
        return {self.categories[pk]: pk for pk in ordered}

    @cached_property
    def teams_by_name(self) -> dict[str, str]:
        """The id of each team's name."""
        return {name: pk for pk, name in self.teams.items()}

    @cached_property
    def _lines(self) -> dict[str, frozenset[str]]:
        return {}

    def line_of(self, category: str | None) -> frozenset[str]:
        """A category with all those above it, as conditions compare them."""
        if category is None:
            return frozenset()
        if category not in self._lines:
            found: set[str] = set()
            pk: str | None = category
            while pk is not None and pk not in found:
                found.add(pk)
                pk = self.parents.get(pk)
            self._lines[category] = frozenset(found)
        return self._lines[category]


def names_of(workspace_id: UUID, group: Group, actions: Sequence[Mapping[str, Any]]) -> Names:
    """The names in a workspace, as far as these conditions and actions may need them; seven queries at most."""
    categories = list(Category.objects.for_workspace(workspace_id).values_list("pk", "name", "parent", "archived_at"))
    teams = list(Team.objects.for_workspace(workspace_id))
    members = list(Membership.objects.for_workspace(workspace_id).select_related("user"))
    asked = {value for test in group.tests() if test.field == "organization" for value in test.values} - {NONE}
    companies = Organization.objects.for_workspace(workspace_id).filter(pk__in=asked) if asked else []
    responses = {str(action["canned_response_id"]) for action in actions if "canned_response_id" in action}
    canned = CannedResponse.objects.for_workspace(workspace_id).filter(pk__in=responses) if responses else []
    policies = any("policy_id" in action for action in actions)
    return Names(
        categories={str(pk): name for pk, name, _, _ in categories},
        parents={str(pk): str(parent) if parent else None for pk, _, parent, _ in categories},
        live_categories=frozenset(str(pk) for pk, _, _, archived_at in categories if archived_at is None),
        teams={str(team.pk): team.name for team in teams},
        led_teams=frozenset(str(team.pk) for team in teams if team.lead_id),
        users={str(one.user_id): str(one.user) for one in members},
        members=frozenset(str(one.user_id) for one in members if one.is_active),
        workers=frozenset(
            str(one.user_id) for one in members if one.user.is_active and one.is_active and one.may(Permission.WORK)
        ),
        organizations={str(company.pk): company.name for company in companies},
        responses={str(one.pk): one.title for one in canned},
        policies={str(pk): name for pk, name in service_levels().policies(workspace_id)} if policies else {},
    )
