"""Lists that are put in order by a button for each direction, for keyboards and browsers without scripts."""

from collections.abc import Sequence
from uuid import UUID


def moved(order: Sequence[UUID], pk: UUID, asked: str) -> tuple[list[UUID] | None, str]:
    """The order after `pk` went one place "up" or else "down", None where it stands at that end already; and the
    direction whose button keeps the focus: the other one once this one has nothing more to do.
    """
    direction = "up" if asked == "up" else "down"
    place = order.index(pk)
    to = place + (-1 if direction == "up" else 1)
    if not 0 <= to < len(order):
        return None, direction
    after = list(order)
    after.insert(to, after.pop(place))
    if to in (0, len(order) - 1):
        direction = "down" if to == 0 else "up"
    return after, direction
