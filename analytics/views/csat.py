"""How satisfied customers are."""

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.dateformat import format as format_date
from django.views.decorators.http import require_safe

from analytics.metrics import csat
from analytics.metrics.csat import Figures, Score
from analytics.periods import Interval, Part
from analytics.views import charts
from analytics.views.base import report_page
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required

COMMENTS = 20
RATING_WORDS = {5: "very good", 4: "good", 3: "fair", 2: "poor", 1: "bad"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in big letters: what it is, what it counts, and how it was in the period before."""

    label: str
    value: str
    words: str
    change: str  # empty without a comparison
    tone: str  # ok, bad, or empty


@require_safe
@member_required(Permission.READ)
def page(request: WorkspaceRequest) -> HttpResponse:
    """The report."""
    asked, context = report_page(request, also=("page",))
    if asked is None:
        return render(request, "analytics/csat.html", context, status=400)
    found = csat.report(
        workspace=request.workspace,
        tickets=asked.tickets,
        period=asked.period,
        interval=asked.interval,
        previous=asked.previous,
    )
    pages = Paginator(found.comments, COMMENTS)
    vars(pages)["count"] = found.now.comments  # known already
    comments = pages.get_page(request.GET.get("page"))
    context |= {
        "report": found,
        "figures": _figures(found.now, found.before),
        "distribution": [
            {"rating": rating, "words": RATING_WORDS[rating], "count": count, "share": share}
            for rating, count, share in found.now.score.distribution
        ],
        "interval": asked.interval.value,
        "parts": [(_part_words(part, asked.interval, found.now), score) for part, score in found.now.by_part],
        "chart": _chart(found.now, asked.interval),
        "comments": comments,
    }
    return render(request, "analytics/csat.html", context)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"


def _figures(now: Figures, before: Figures | None) -> list[Figure]:
    """The figures on top, each with what became of it."""
    score, responses = now.score, now.responses
    then = before.score if before else None
    return [
        Figure(
            "CSAT",
            _percent(score.csat),
            f"{score.satisfied:,} of {score.ratings:,} ratings are 4 or 5",
            *_change(score.csat, then.csat if then else None, before, " points", _percent),
        ),
        Figure(
            "Average rating",
            "–" if score.average is None else f"{score.average:.2f}",
            "from 1 (bad) to 5 (very good)",
            *_change(score.average, then.average if then else None, before, "", lambda value: f"{value:.2f}"),
        ),
        Figure(
            "Ratings",
            f"{score.ratings:,}",
            "first given in this period",
            _change(score.ratings, then.ratings if then else None, before, "", lambda value: f"{value:,.0f}")[0],
            "",
        ),
        Figure(
            "Response rate",
            _percent(responses.rate),
            f"{responses.rated:,} of {responses.resolutions:,} resolutions rated",
            *_change(responses.rate, before.responses.rate if before else None, before, " points", _percent),
        ),
    ]


def _change(now: float | None, then: float | None, before: Figures | None, unit: str, words: Any) -> tuple[str, str]:
    """How a figure changed, in words, and whether that is good."""
    if before is None:
        return "", ""
    if now is None or then is None:
        return (f"{words(then)} before" if then is not None else "nothing to compare with"), ""
    step = round(now - then, 2)
    if not step:
        return f"as before ({words(then)})", ""
    size = f"{abs(step):,.0f}" if isinstance(now, int) else f"{abs(step):.1f}" if unit else f"{abs(step):.2f}"
    return f"{size}{unit} {'up' if step > 0 else 'down'} from {words(then)}", "ok" if step > 0 else "bad"


def _part_words(part: Part, interval: Interval, figures: Figures) -> str:
    """The name of a day, week or month, with the year where the period has two."""
    year = " Y" if figures.period.first_day.year != figures.period.last_day.year else ""
    if interval is Interval.MONTH:
        return format_date(part.day, f"M{year}")
    return format_date(part.day, f"j M{year}")


def _chart(figures: Figures, interval: Interval) -> charts.Columns:
    """Columns of ratings; what is filled are those of 4 and 5."""

    def title(words: str, score: Score) -> str:
        return f"{words}: {score.ratings:,} ratings, {score.satisfied:,} of them 4 or 5"

    return charts.columns(
        [
            (
                format_date(part.day, "M" if interval is Interval.MONTH else "j M"),
                title(_part_words(part, interval, figures), score),
                score.ratings,
                score.satisfied,
            )
            for part, score in figures.by_part
        ]
    )
