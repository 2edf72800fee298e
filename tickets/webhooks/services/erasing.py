"""What the log of webhooks keeps of a customer who is erased: which message came when, without the person."""

from django.db import connection, transaction

from tickets.services.erasing import AT_ONCE, Erasure, Scope
from tickets.webhooks import payloads
from tickets.webhooks.models import Attempt, Cursor, Delivery

# Answers may repeat what was sent to them.
_ANSWERS = """
UPDATE webhook_attempts AS attempt SET response_body = '', response_headers = '{}'
FROM webhook_deliveries AS delivery
WHERE delivery.id = attempt.delivery_id AND delivery.workspace_id = %s AND delivery.activity_id IN (
    SELECT id FROM ticket_activities WHERE ticket_id = ANY(%s))
AND (attempt.response_body <> '' OR attempt.response_headers <> '{}')
"""


def erase_webhooks_of_tickets(*, erasure: Erasure, scope: Scope) -> None:
    """Write the messages about these few tickets anew, from activities that were erased; what waits is sent so.

    A message that a sender holds in its hands leaves as it was, within a minute; what is answered to it is erased
    when this is called again after that.
    """
    with transaction.atomic():
        # Whoever makes messages of activities holds the cursor: now all that was made of the old words is there.
        Cursor.objects.get_or_create(pk=1)
        Cursor.objects.select_for_update().get(pk=1)
    ids = Delivery.objects.for_workspace(erasure.workspace_id).filter(activity__ticket__in=scope.all)
    ordered = sorted(ids.values_list("pk", flat=True))
    for start in range(0, len(ordered), AT_ONCE):
        with transaction.atomic():
            rows = Delivery.objects.for_workspace(erasure.workspace_id).select_for_update(of=("self",), no_key=True)
            changed = []
            portion = rows.filter(pk__in=ordered[start : start + AT_ONCE]).select_related("activity")
            for delivery in portion.order_by("pk"):
                activity = delivery.activity
                body = payloads.body_of(activity.payload) if activity is not None else delivery.body
                error = erasure.traces.clean(delivery.last_error)[:300]
                if (delivery.body, delivery.last_error) != (body, error):
                    delivery.body, delivery.last_error = body, error
                    changed.append(delivery)
            Delivery.unscoped.bulk_update(changed, ["body", "last_error"])
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, [erasure.workspace_id, scope.all])
    _clean_errors(erasure, scope)


def _clean_errors(erasure: Erasure, scope: Scope) -> None:
    rows = Attempt.objects.for_workspace(erasure.workspace_id).filter(delivery__activity__ticket__in=scope.all)
    for attempt in rows.filter(error__icontains=erasure.traces.address):
        cleaned = erasure.traces.clean(attempt.error)[:300]
        Attempt.objects.for_workspace(erasure.workspace_id).filter(pk=attempt.pk).update(error=cleaned)
