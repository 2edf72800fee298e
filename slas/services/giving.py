"""A policy that a ticket is given by somebody or by a rule, whatever the policies' conditions say."""

import datetime as dt
from uuid import UUID

from django.db import transaction

from helpdesk.errors import NotFound
from slas.models import SLAPolicy
from slas.services.tracking import GIVEN
from tickets import timeline
from tickets.events import Actor, Event
from tickets.models import Ticket
from tickets.services import base


def names(workspace_id: UUID) -> list[tuple[UUID, str]]:
    """The policies that a ticket can be given, in the order in which they are asked."""
    rows = SLAPolicy.objects.for_workspace(workspace_id).live()
    return list(rows.order_by("is_default", "position", "created_at", "pk").values_list("pk", "name"))


@transaction.atomic
def give_policy(
    *, ticket: Ticket, policy_id: UUID | None, actor: Actor, now: dt.datetime, expected_version: int | None = None
) -> str:
    """Give a ticket this policy, or (None) let the conditions choose again; gives the policy's name, "" for none.

    The clocks follow in the same transaction: what was judged stays judged, what runs counts under
    the terms of the new policy. When the policy is deleted later, the conditions choose again.
    What is so already is not recorded.

    Raises NotFound naming policy_id, for a foreign and a deleted one too, Conflict for a ticket
    that was merged, LostUpdate when the ticket is not at `expected_version`.
    """
    fresh = base.lock(ticket, expected_version=expected_version)
    asked = {pk for pk in (policy_id, fresh.sla_policy_id) if pk is not None}
    rows = SLAPolicy.objects.for_workspace(fresh.workspace_id)
    found = {row.pk: row for row in rows.filter(pk__in=asked).only("name", "archived_at")} if asked else {}
    wanted = found.get(policy_id) if policy_id is not None else None
    if policy_id is not None and (wanted is None or wanted.archived_at is not None):
        raise NotFound("There is no such SLA policy.", errors={"policy_id": ["There is no such SLA policy."]})
    name = wanted.name if wanted else ""
    if fresh.sla_policy_id == policy_id:
        return name
    before = found.get(fresh.sla_policy_id) if fresh.sla_policy_id else None
    fresh.sla_policy_id = policy_id
    base.save(fresh, "sla_policy_id", now=now)
    change = timeline.changed(GIVEN, before.name if before else None, name or None)
    timeline.record(ticket=fresh, event=Event.UPDATED, actor=actor, now=now, changes=[change])
    return name
