"""What every report is asked with: a period, a comparison, and filters of tickets. Pages and API read the same."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict

from analytics.periods import Interval, Period, midnight
from helpdesk.accounts.models import User, Workspace
from helpdesk.errors import InvalidInput
from tickets.filters import TicketFilter
from tickets.models import Ticket

USUAL_DAYS = 30
MOST_DAYS = 731  # two years, one of them a leap year
MOST_DAYS_OF_HOURS = 31  # a period that is cut into hours
LONG = (Interval.DAY, Interval.WEEK, Interval.MONTH)  # how most reports can be cut
EARLIEST, LATEST = dt.date(1970, 1, 1), dt.date(2100, 1, 1)
PREVIOUS = "previous"
# The filters of the list of tickets that say something about a report, too; what a ticket is now counts.
FILTERS = ("status", "priority", "assignee", "team", "category", "tag", "requester")
PERIOD = ("from", "to", "timezone", "compare")
HELP = {
    "from": "The first day (2024-01-15, a whole day of the timezone) or the first moment (2024-01-15T10:30:00+01:00). "
    f"Without it: {USUAL_DAYS} days up to `to`.",
    "to": "The last day, which is in it as a whole, or the moment at which the period is over. Without it: today. "
    f"A period is at most {MOST_DAYS} days long.",
    "timezone": "The IANA name of the timezone that days, weeks and months are of, such as Europe/Berlin. "
    "Without it: the workspace's. A time without an offset is of this timezone, too.",
    "compare": "`previous` gives the same figures of the period before: as many days, or hours.",
    "interval": "How `by_period` is cut: day, week (from Monday) or month. Without it: day up to 31 days, week up to "
    "184, else month.",
    "hours": f"Here also hour, as the clock of the timezone shows it, for periods up to {MOST_DAYS_OF_HOURS} days.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A report as it was asked for: about when, compared with when, and about which tickets."""

    period: Period
    previous: Period | None
    interval: Interval
    tickets: "QuerySet[Ticket]"


def read(
    given: QueryDict,
    *,
    workspace: Workspace,
    user: User,
    now: dt.datetime,
    also: Collection[str] = (),
    intervals: Collection[Interval] = LONG,
) -> Asked:
    """What the parameters ask for. `user` is whom the filter `assignee=me` means; `also` names other parameters,
    `intervals` the possible ones (none: the report is not cut).

    Raises InvalidInput naming every parameter that is unknown or wrong.
    """
    values = {name: given.get(name, "").strip() for name in (*PERIOD, "interval")}
    errors: dict[str, list[str]] = {}
    known = {*PERIOD, *FILTERS, *also, *(["interval"] if intervals else [])}
    for name in given:
        if name not in known:
            errors[name] = ["There is no such parameter."]
    if values["compare"] not in ("", PREVIOUS):
        errors["compare"] = [f"Possible: {PREVIOUS}."]
    if values["interval"] and intervals and values["interval"] not in {one.value for one in intervals}:
        errors["interval"] = [f"Possible: {', '.join(intervals)}."]
    filters = QueryDict(mutable=True)
    for name in FILTERS:
        filters.setlist(name, given.getlist(name))
    found = TicketFilter(filters, workspace=workspace, user=user, now=now)
    if not found.is_valid():
        errors |= {name: [str(text) for text in texts] for name, texts in found.errors.items()}
    try:
        period = read_period(values, timezone=workspace.timezone, now=now)
    except InvalidInput as refused:
        errors |= refused.errors
    else:
        if values["interval"] == Interval.HOUR and Interval.HOUR in intervals and period.days > MOST_DAYS_OF_HOURS:
            errors.setdefault("interval", []).append(f"By hour a period is at most {MOST_DAYS_OF_HOURS} days long.")
    if errors:
        raise InvalidInput(
            f"These parameters are not possible: {', '.join(errors)}.", code="bad_parameter", errors=errors
        )
    return Asked(
        period=period,
        previous=period.before() if values["compare"] == PREVIOUS else None,
        interval=Interval(values["interval"]) if values["interval"] else period.usual_interval(),
        tickets=found.qs.order_by(),
    )


def read_period(values: Mapping[str, Any], *, timezone: str, now: dt.datetime) -> Period:
    """The period of `from`, `to` and `timezone`; `timezone` is that of the workspace.

    Raises InvalidInput naming them.
    """
    name = values.get("timezone") or timezone
    if name not in available_timezones():
        raise InvalidInput.of("timezone", f"“{name[:40]}” is no timezone. Write one like Europe/Berlin.")
    zone = ZoneInfo(name)
    moments: dict[str, dt.datetime] = {}
    errors: dict[str, list[str]] = {}
    for side in ("from", "to"):
        if text := values.get(side):
            try:
                moments[side] = _moment(text, zone, is_end=side == "to")
            except ValidationError as refused:
                errors[side] = refused.messages
    if errors:
        raise InvalidInput.of_all(errors)
    end = moments.get("to") or midnight(now.astimezone(zone).date() + dt.timedelta(days=1), zone)
    start = moments.get("from")
    if start is None:
        last = Period(end, end, zone).last_day
        start = midnight(last - dt.timedelta(days=USUAL_DAYS - 1), zone)
    period = Period(start, end, zone)
    if start >= end:
        raise InvalidInput.of("to" if "to" in moments else "from", "The period has to begin before it ends.")
    if period.days > MOST_DAYS:
        raise InvalidInput.of("from", f"A period is at most {MOST_DAYS} days long; this one has {period.days:,}.")
    return period


def _moment(text: str, zone: ZoneInfo, *, is_end: bool) -> dt.datetime:
    """A date or time of ISO 8601 as a moment (UTC): where a day begins or, for the end of a period, is over.

    Raises ValidationError.
    """
    # A + that was not escaped in the address arrives as a space.
    plain = text[:-6] + "+" + text[-5:] if len(text) > 16 and text[-6] == " " else text
    try:
        try:
            day = dt.date.fromisoformat(plain)
        except ValueError:
            moment = dt.datetime.fromisoformat(plain)
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(dt.UTC)
            day = moment.date()
        else:
            moment = midnight(day + dt.timedelta(days=1) if is_end else day, zone)
    except (ValueError, OverflowError):
        raise ValidationError("Write a day like 2024-01-15 or a time like 2024-01-15T10:30:00Z.") from None
    if not EARLIEST <= day < LATEST:
        raise ValidationError(f"The year has to be from {EARLIEST.year} to {LATEST.year - 1}.")
    return moment
