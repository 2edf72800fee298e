"""Times as reports tell them: the average, with the median and the 90th percentile beside it. All exact."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, Avg, Count, DurationField, ExpressionWrapper, F, FloatField, Q
from django.db.models.functions import Cast, Extract


class MedianAndP90(Aggregate):
    """The median and the 90th percentile of a number, by `percentile_cont`: between two values, in proportion."""

    function = "percentile_cont"
    template = "%(function)s(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in whole seconds of the calendar (nights and weekends count); None of nothing."""

    count: int
    average: int | None
    median: int | None
    p90: int | None


def aggregates(name: str, *, start: str, end: str, within: Q) -> dict[str, Any]:
    """What `aggregate` has to be asked for the times from column `start` to column `end` of the rows `within`."""
    span = ExpressionWrapper(F(end) - F(start), output_field=DurationField())
    seconds = Cast(Extract(span, "epoch"), FloatField())
    return {
        f"{name}_count": Count("pk", filter=within),
        f"{name}_average": Avg(seconds, filter=within),
        f"{name}_ranks": MedianAndP90(seconds, filter=within),
    }


def read(name: str, found: dict[str, Any]) -> Times:
    """The times of what `aggregates` asked for, from the answer."""
    median, p90 = found[f"{name}_ranks"] or (None, None)
    return Times(found[f"{name}_count"], whole(found[f"{name}_average"]), whole(median), whole(p90))


def whole(seconds: float | None) -> int | None:
    """Seconds rounded half up; what is below a microsecond is an artefact of the division and never decides."""
    if seconds is None:
        return None
    exact = Decimal(seconds).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
