"""Where the columns of a chart stand. Widths are per cent and heights pixels, so words keep their size on a phone."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 180  # of the plot, in pixels; words stand below
ABOVE = 18  # room for the value over the highest column
GUTTER = 6.0  # per cent at the left, for the scale
MOST_LABELS = 6  # under the columns, so that they fit a phone
VALUED = 14  # so many columns have room for their value


@dataclass(frozen=True, slots=True)
class Column:
    """A column of two parts, the lower one of them filled. Places are attributes of SVG."""

    x: str
    middle: str
    width: str
    y: int
    height: int
    filled_y: int
    filled_height: int
    value: str
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the scale."""

    y: int
    label: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A chart of columns."""

    columns: list[Column]
    lines: list[Line]
    height: int = ABOVE + HEIGHT + 24
    base: int = ABOVE + HEIGHT
    labels_at: int = ABOVE + HEIGHT + 18


def scale(most: int) -> list[int]:
    """Round numbers from 0 to at least `most`, evenly spaced, at most six of them."""
    step, place = 1, 0
    while step * 5 < most:
        place += 1
        step = (1, 2, 5)[place % 3] * 10 ** (place // 3)
    return [step * number for number in range(max(-(-most // step), 1) + 1)]


def columns(parts: Sequence[tuple[str, str, int, int]]) -> Columns:
    """A chart of (label, title, whole, filled) for each part, in order."""
    marks = scale(max((whole for *_, whole, _ in parts), default=0))
    top = marks[-1]
    room = (100 - GUTTER) / max(len(parts), 1)
    every = -(-len(parts) // MOST_LABELS)
    made = []
    for place, (label, title, whole, filled) in enumerate(parts):
        height, filled_height = (round(HEIGHT * count / top) for count in (whole, filled))
        made.append(
            Column(
                x=f"{GUTTER + room * (place + 0.14):.3f}%",
                middle=f"{GUTTER + room * (place + 0.5):.3f}%",
                width=f"{room * 0.72:.3f}%",
                y=ABOVE + HEIGHT - height,
                height=height,
                filled_y=ABOVE + HEIGHT - filled_height,
                filled_height=filled_height,
                value=f"{whole:,}" if whole and len(parts) <= VALUED else "",
                label=label if place % every == 0 else "",
                title=title,
            )
        )
    lines = [Line(ABOVE + HEIGHT - round(HEIGHT * mark / top), f"{mark:,}") for mark in marks]
    return Columns(made, lines)
