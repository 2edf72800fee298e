"""What was done with a message, step by step, for whoever asks later why."""

from dataclasses import dataclass, field

from tickets.mail.parsing.charsets import storable

_LONGEST = 300  # characters of a detail
_MOST_STEPS = 100


@dataclass
class Trace:
    """The steps so far, as they are kept in `Incoming.trace`."""

    steps: list[dict[str, str]] = field(default_factory=list)

    def add(self, step: str, result: str, detail: str = "") -> None:
        """One more step: which, what came of it in few words, and what it went by."""
        if len(self.steps) < _MOST_STEPS:
            detail = storable(detail)
            detail = detail if len(detail) <= _LONGEST else f"{detail[: _LONGEST - 1]}…"
            self.steps.append({"step": step, "result": storable(result)[:120], "detail": detail})
