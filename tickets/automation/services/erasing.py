"""What the automation keeps of a customer who is erased: that rules ran and what they did, without the person."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from tickets.automation.models import DryRunRow, Effect, RecurringTicket, Run
from tickets.services.erasing import AT_ONCE, Erasure, Scope
from tickets.traces import NAME, SUBJECT, Traces

STOPPED = "Its requester was erased. Name another one, then switch it on."


def erase_rules_of_tickets(*, erasure: Erasure, scope: Scope) -> None:
    """Erase the person from what rules and macros did to these few tickets.

    What still waits goes out without the person.
    """
    own = set(scope.own)
    # Answers of dry runs say what a customer had; the counts stand on the dry run itself.
    DryRunRow.objects.for_workspace(erasure.workspace_id).filter(ticket__in=scope.own).delete()
    _clean_rows(erasure, DryRunRow, scope, ["reasons", "changes"])
    _clean_rows(erasure, Run, scope, ["reasons", "done"])
    with transaction.atomic():
        effects = Effect.objects.for_workspace(erasure.workspace_id).select_for_update().order_by("pk")
        changed = []
        for effect in effects.filter(ticket__in=scope.all):
            before = (effect.content, effect.error)
            if effect.ticket_id in own and effect.kind == "webhook":
                effect.content = _without_words(effect.content, erasure.traces)
            effect.content = erasure.traces.clean_value(effect.content, parts=effect.ticket_id in own)
            effect.error = erasure.traces.clean(effect.error)[:300]
            if before != (effect.content, effect.error):
                changed.append(effect)
        Effect.unscoped.bulk_update(changed, ["content", "error"])


def erase_from_templates(*, erasure: Erasure, now: dt.datetime) -> None:
    """Stop the recurring tickets that would be opened for the person, and take the person out of them."""
    rows = RecurringTicket.objects.for_workspace(erasure.workspace_id)
    rows.filter(requester_email=erasure.traces.address, pk__lt=erasure.until).update(
        requester_email=erasure.traces.stand_in,
        requester_name=NAME,
        is_active=False,
        next_at=None,
        notice=STOPPED,
        updated_at=now,
    )


def _without_words(content: Mapping[str, Any], of_text: Traces) -> dict[str, Any]:
    """What stays of a call about a request of the person; of mails only the name is theirs, which is looked for."""
    data = {**content.get("data", {}), "subject": SUBJECT}
    return {**content, "data": {**data, "requester": {"email": of_text.stand_in, "name": NAME}}}


def _clean_rows(erasure: Erasure, model: Any, scope: Scope, fields: list[str]) -> None:
    own = set(scope.own)
    changed = []
    rows = model.objects.for_workspace(erasure.workspace_id).filter(ticket__in=scope.all)
    for row in rows.iterator(chunk_size=AT_ONCE):
        before = [getattr(row, name) for name in fields]
        for name in fields:
            setattr(row, name, erasure.traces.clean_value(getattr(row, name), parts=row.ticket_id in own))
        if before != [getattr(row, name) for name in fields]:
            changed.append(row)
    model.unscoped.bulk_update(changed, fields, batch_size=AT_ONCE)
