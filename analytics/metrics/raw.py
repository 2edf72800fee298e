"""SQL over the tickets that were asked for."""

import itertools
import re
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from tickets.models import Ticket

_COLUMNS = ("id", "number", "subject", "status", "priority", "assignee_id", "merged_into_id", "created_at")
_PLACE = re.compile(r"%%|%s")


def rows(sql: str, *, tickets: "QuerySet[Ticket]", **values: Any) -> list[tuple[Any, ...]]:
    """What `sql` gives, in which `{asked}` stands for the tickets, as a subquery; `values` fill its `%(name)s`.

    The subquery has the columns of `tickets` that reports need. Nothing where no ticket can be meant. `sql` must be
    a constant of the code.
    """
    try:
        asked, given = tickets.order_by().values(*_COLUMNS, "first_response_at").query.sql_with_params()
    except EmptyResultSet:
        return []
    # The driver takes places by name or by order, not both.
    count = itertools.count()
    asked = _PLACE.sub(lambda found: "%%" if found[0] == "%%" else f"%(asked_{next(count)})s", asked)
    values |= {f"asked_{place}": value for place, value in enumerate(given)}
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{asked}", f"({asked})"), values)
        return cursor.fetchall()
