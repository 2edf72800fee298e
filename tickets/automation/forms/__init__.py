"""The builder's form: rules as inputs that a browser sends, and back. Pure, and without JSON.

Every input is named by its place: `if.word` is all or any of the outermost group, `if.1.0.field` the
field of the first condition in its second part; what has a `field` is a condition, what has none a
group. `then.0.do` is the kind of the first action. `was` beside a field or a kind says for which one
the other inputs were drawn: what was chosen for another one is dropped.

A `Draft` is what stands in the form, right or wrong. The buttons of the form change it (`Draft.change`).
"""

from tickets.automation.forms.choices import (
    ASKED,
    FIELD_LABELS,
    KINDS,
    NUMBERS,
    STARTERS,
    Offers,
    known_order,
)
from tickets.automation.forms.draft import Draft, draft_of, read, starter
from tickets.automation.forms.rows import (
    ActionRow,
    ConditionRow,
    GroupRow,
    change_rows,
    group_of,
    read_group,
    read_rows,
    refuse_row,
    rows_of,
)

__all__ = [
    "ASKED", "FIELD_LABELS", "KINDS", "NUMBERS", "STARTERS", "ActionRow", "ConditionRow", "Draft", "GroupRow", "Offers",
    "change_rows", "draft_of", "group_of", "known_order", "read", "read_group", "read_rows", "refuse_row", "rows_of",
    "starter",
]  # fmt: skip
