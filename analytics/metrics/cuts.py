"""How rows are told apart by time: which part of a period, which hour of a week.

Bounds are reckoned here and not by the database, whose timezones may be of another year.
"""

import datetime as dt
from collections.abc import Sequence

from django.contrib.postgres.fields import ArrayField
from django.db.models import Case, DateTimeField, DurationField, ExpressionWrapper, F, Func, IntegerField, Value, When
from django.db.models.functions import ExtractHour, ExtractIsoWeekDay

from analytics.periods import Period


def place(column: str, bounds: Sequence[dt.datetime]) -> Func:
    """Which of the spans that begin at `bounds` (rising) the time in a column is in, from 1; 0 is before the first."""
    return Func(
        F(column),
        Value(list(bounds), output_field=ArrayField(DateTimeField())),
        function="width_bucket",
        output_field=IntegerField(),
    )


def hour_of_week(column: str, period: Period) -> tuple[ExtractIsoWeekDay, ExtractHour]:
    """ISO weekday (1 is Monday) and hour (0 to 23) of the time in a column, by the clocks of the period's timezone.

    Right for times in the period only.
    """
    *before, (_, _, last) = period.offsets()
    offset = Case(
        *[When(**{f"{column}__lt": end}, then=Value(offset)) for _, end, offset in before],
        default=Value(last),
        output_field=DurationField(),
    )
    on_the_wall = ExpressionWrapper(F(column) + offset, output_field=DateTimeField())
    return ExtractIsoWeekDay(on_the_wall, tzinfo=dt.UTC), ExtractHour(on_the_wall, tzinfo=dt.UTC)
