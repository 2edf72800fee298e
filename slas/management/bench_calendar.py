"""Measuring deadlines: our calendar, `workclock` and `businesstimedelta`, the same questions in turns.

All on one core, in one process. The calendar has split days, a timezone with daylight saving and ten
years of holidays. The two packages belong to the tests (requirements-dev.txt).
"""

import datetime as dt
import importlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from slas.calendar import Calendar, Exceptional, Interval

ZONE = "America/New_York"
YEARS = range(2020, 2030)
HOURS = ((dt.time(9), dt.time(12)), (dt.time(13), dt.time(18)))
TARGETS = (4, 40, 200, 2_000)

ROUNDS = 15
TURN = 0.03  # seconds for one package and one target in one round
MOST = 5_000  # instants that are asked about

FASTER = 1.0  # times as many deadlines as workclock
FLAT = 1.5  # times as long for the longest target as for the shortest

Add = Callable[[dt.datetime, dt.timedelta], dt.datetime | None]


@dataclass(frozen=True)
class Line:
    """Deadlines per second for one length of target."""

    name: str
    ours: float
    workclock: float
    businesstimedelta: float

    @property
    def ratio(self) -> float:
        """How many times as many deadlines as workclock."""
        return self.ours / self.workclock


def lines() -> Iterator[Line]:
    """One line for each target, in rising order. Raises ImportError where the two packages are missing.

    Whatever else the machine does strikes all of them alike: each round asks everyone for every target.
    """
    adders = {"ours": _ours(), "workclock": _workclock(), "businesstimedelta": _businesstimedelta()}
    instants = _instants()
    turns = {
        (hours, name): _batch(add, instants, dt.timedelta(hours=hours))
        for hours in TARGETS
        for name, add in adders.items()
    }
    rates: dict[tuple[int, str], list[float]] = {key: [] for key in turns}
    for _ in range(ROUNDS):
        for key, (count, turn) in turns.items():
            begin = time.perf_counter()
            turn()
            rates[key].append(count / (time.perf_counter() - begin))
    for hours in TARGETS:
        yield Line(f"{hours:,} h", **{name: statistics.median(rates[hours, name]) for name in adders})


def report(write: Callable[[str], object]) -> bool:
    """Print the table; whether every mark was reached."""
    try:
        measured = list(lines())
    except ImportError as missing:
        write(f"Deadlines were not measured: {missing.name} is not installed (make .venv/.dev).")
        return False
    write(f"{'deadlines per second':<22}{'ours':>12}{'workclock':>12}{'ratio':>8}{'businesstimedelta':>20}")
    for line in measured:
        write(
            f"{'target ' + line.name:<22}{line.ours:>12,.0f}{line.workclock:>12,.0f}{line.ratio:>8.1f}"
            f"{line.businesstimedelta:>20,.0f}  {_verdict(line.ratio >= FASTER)}"
        )
    growth = measured[0].ours / measured[-1].ours
    write(
        f"{measured[-1].name} costs {growth:.2f} times as much as {measured[0].name} (at most {FLAT})"
        f"  {_verdict(growth <= FLAT)}"
    )
    return growth <= FLAT and all(line.ratio >= FASTER for line in measured)


def _verdict(good: bool) -> str:
    return "pass" if good else "FAIL"


def _batch(add: Add, instants: list[dt.datetime], target: dt.timedelta) -> tuple[int, Callable[[], None]]:
    """As many questions as fit into one turn, and a function that asks them."""
    begin = time.perf_counter()
    for at in instants[:3]:  # the first builds what there is to build
        add(at, target)
    begin = time.perf_counter()
    for at in instants[:3]:
        add(at, target)
    each = (time.perf_counter() - begin) / 3
    count = max(2, min(MOST, int(TURN / each)))
    return count, partial(_ask, add, instants[:count], target)


def _ask(add: Add, instants: list[dt.datetime], target: dt.timedelta) -> None:
    for at in instants:
        add(at, target)


def _instants() -> list[dt.datetime]:
    """Instants at all hours, early enough for the longest target to end within the years."""
    draw = random.Random(2025)
    first = dt.datetime(YEARS[0], 1, 1, tzinfo=dt.UTC)
    seconds = int(dt.timedelta(days=365 * (len(YEARS) - 2)).total_seconds())
    return [first + dt.timedelta(seconds=draw.randrange(seconds)) for _ in range(MOST)]


def _dates() -> list[dt.date]:
    return sorted(importlib.import_module("holidays").country_holidays("US", years=YEARS, language="en_US"))


def _ours() -> Add:
    day = tuple(Interval(start.hour * 60, end.hour * 60) for start, end in HOURS)
    return Calendar(ZONE, (day,) * 5 + ((),) * 2, tuple(map(Exceptional, _dates()))).add_business_time


def _workclock() -> Add:
    workclock: Any = importlib.import_module("workclock")
    rules = [workclock.WorkDay(start, end) for start, end in HOURS]
    add: Add = workclock.Schedule([*rules, workclock.Holidays(_dates())], time_zone=ZONE).add
    return add


def _businesstimedelta() -> Add:
    package: Any = importlib.import_module("businesstimedelta")
    zone = importlib.import_module("pytz").timezone(ZONE)
    hours = [package.WorkDayRule(start_time=start, end_time=end, tz=zone) for start, end in HOURS]
    rules = package.Rules([*hours, package.HolidayRule(set(_dates()), tz=zone)])

    def add(at: dt.datetime, target: dt.timedelta) -> dt.datetime:
        found: dt.datetime = at + package.BusinessTimeDelta(rules, timedelta=target)
        return found

    return add
