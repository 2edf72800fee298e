"""Settings of the service levels in the console: policies, business hours, and the jobs that follow a change."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.models import Membership, Organization
from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError
from slas import calendar
from slas.calendar import Calendar, Interval
from slas.forms import GOAL_WORDS, HoursForm, PolicyForm, TryForm, regions_of, timezones, write_hours
from slas.models import BusinessHours, Job, SLAPolicy
from slas.services import jobs, rules, setup, what_if, working
from slas.services.what_if import Draft
from tickets.deadlines import Goal
from tickets.forms import PRIORITIES
from tickets.lifecycle import Priority
from tickets.models import Category, Ticket
from tickets.views.queue import console

SUGGESTED = 500  # organisations that are offered by name
PREVIEWED = (1, 4, 8, 24)  # hours
PATIENCE = dt.timedelta(seconds=20)  # a job that waits for longer says why it may

# --- In words ---------------------------------------------------------------------------------


def span_words(hours: Any) -> str:
    """A target as people say it: 24 h, 1 h 30 min."""
    seconds = round(Decimal(str(hours)) * 3600)
    whole, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(whole, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{number:,} {unit}" for number, unit in parts if number)


def listed(names: Sequence[str], longest: int = 4) -> str:
    """Names as a choice: A, B or C; of many only the first."""
    if len(names) > longest:
        names = [*names[: longest - 1], f"{len(names) - longest + 1} more"]
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def whom_words(policy: SLAPolicy, categories: Mapping[str, str], organizations: Mapping[str, str]) -> str:
    """For whom a policy is: a sentence without its full stop."""
    if policy.is_default:
        return "Everybody else"
    parts = []
    if ids := policy.conditions.get("category_ids"):
        parts.append("in " + listed([categories.get(pk, "a deleted category") for pk in ids]))
    if ids := policy.conditions.get("organization_ids"):
        parts.append("from " + listed([organizations.get(pk, "a deleted organisation") for pk in ids]))
    for name, values in policy.conditions.get("attributes", {}).items():
        parts.append(f"with {name} {listed(values)}")
    return "Tickets " + ", ".join(parts) if parts else "Nobody by itself"


def targets_words(policy: SLAPolicy, default_hours: str) -> str:
    """What a policy promises, and how its time is counted."""
    promised = [
        f"{words} {span_words(hours)}"
        for goal, words in GOAL_WORDS.items()
        if (hours := getattr(policy, rules.hours_field(goal))) is not None
    ]
    if not policy.business_hours_only:
        counted = "round the clock"
    else:
        named = policy.business_hours.name if policy.business_hours else default_hours
        counted = f"by business hours {named}" if named else "by business hours"
    return f"{' · '.join(promised)}, {counted}"


def override_words(policy: SLAPolicy) -> list[tuple[str, str]]:
    """What is promised to some priorities only."""
    found = []
    for priority, label in PRIORITIES:
        given = policy.priority_overrides.get(priority, {})
        said = [
            f"{words.lower()} {span_words(given[name])}"
            for goal, words in GOAL_WORDS.items()
            if (name := rules.hours_field(goal)) in given
        ]
        if said:
            found.append((label, ", ".join(said)))
    return found


def week_words(hours: Calendar) -> list[str]:
    """A week in words: Mon–Fri 09:00–18:00, then Sat 10:00–14:00."""
    groups: list[tuple[int, int, tuple[Interval, ...]]] = []
    for day, intervals in enumerate(hours.week):
        if groups and groups[-1][1] == day - 1 and groups[-1][2] == intervals:
            groups[-1] = (groups[-1][0], day, intervals)
        else:
            groups.append((day, day, intervals))
    names = [name[:3].capitalize() for name in calendar.WEEKDAYS]
    said = []
    for first, last, intervals in groups:
        if intervals:
            days = names[first] if first == last else f"{names[first]}–{names[last]}"
            whole = len(intervals) == 1 and intervals[0] == Interval(0, 24 * 60)
            said.append(f"{days} {'all day' if whole else write_hours(intervals).replace(', ', ' and ')}")
    # No line ends within 09:00–18:00.
    return [line.replace("–", "–\u2060") for line in said]


def place_words(country: str, region: str) -> str:
    """Whose public holidays are free: Germany, Bayern."""
    name = next((known.name for known in calendar.countries() if known.code == country), country)
    return ", ".join(part for part in (name, dict(regions_of(country)).get(region, region)) if part)


def plural(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _due_words(due: dt.datetime, now: dt.datetime) -> str:
    """A deadline in the calendar's own time: Tue 10:30, with the date where the weekday does not say it."""
    if (due.date() - now.date()).days < 7:
        return f"{due:%a %H:%M}"
    return f"{due:%a} {due.day} {due:%b %H:%M}" if due.year == now.year else f"{due:%a} {due.day} {due:%b %Y %H:%M}"


# --- Policies ---------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def policies(request: WorkspaceRequest) -> HttpResponse:
    """The policies in the order in which they are asked, each as a line that one can read."""
    found = setup.policies(request.workspace.pk)
    categories = _names(request, Category, "category_ids", found)
    organizations = _names(request, Organization, "organization_ids", found)
    default_hours = next((row.name for row in _live_hours(request) if row.is_default), "")
    ordered = [policy for policy in found if not policy.is_default]
    rows = [
        {
            "policy": policy,
            "whom": whom_words(policy, categories, organizations),
            "targets": targets_words(policy, default_hours),
            "overrides": override_words(policy),
            "is_first": bool(ordered) and policy is ordered[0],
            "is_last": bool(ordered) and policy is ordered[-1],
        }
        for policy in found
    ]
    return render(
        request,
        "slas/policies.html",
        console(request, "settings") | {"rows": rows, "movable": len(ordered) > 1, "job": _reckoning(request)},
    )


def _names(request: WorkspaceRequest, model: Any, key: str, found: Iterable[SLAPolicy]) -> dict[str, str]:
    """The names of all categories or organisations in the conditions of some policies."""
    ids = {pk for policy in found for pk in policy.conditions.get(key, [])}
    rows = model.objects.for_workspace(request.workspace).filter(pk__in=ids).values_list("pk", "name")
    return {str(pk): name for pk, name in rows}


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def policy(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a policy, or change one."""
    chosen = _policy(request, pk) if pk else None
    context = console(request, "settings")
    form = _policy_form(request, context, chosen)
    if request.method == "POST" and form.is_valid():
        try:
            saved = setup.save_policy(
                workspace=request.workspace,
                changes=form.changes(),
                policy=chosen,
                now=timezone.now(),
                by=request.user,
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the policy “{saved.name}”.")
            return _to_list(request, "slas:policies")
    return _policy_page(request, context, form, chosen)


def _policy_form(request: WorkspaceRequest, context: dict[str, Any], chosen: SLAPolicy | None) -> PolicyForm:
    hours = _live_hours(request)
    default = next((row.name for row in hours if row.is_default), "")
    choices = {
        "business_hours_id": [
            ("", f"The workspace’s default ({default})" if default else "The workspace’s default"),
            *((str(row.pk), row.name) for row in hours),
        ],
    }
    initial: dict[str, Any]
    if chosen is None:
        initial = {
            "business_hours_only": bool(hours),
            "pending_pauses": [Goal.RESOLUTION.value],
            "at_risk_percent": 75,
            "is_default": "0",
        }
    else:
        names = _names(request, Organization, "organization_ids", [chosen])
        ordered = [names[one] for one in chosen.conditions.get("organization_ids", []) if one in names]
        initial = PolicyForm.initial_of(chosen, ordered)
    if chosen is None or not chosen.is_default:
        choices["category_ids"] = context["choices"].categories
        known = {key for key, _ in choices["category_ids"]}
        archived = [pk for pk in initial.get("category_ids", []) if pk not in known]
        if archived and chosen is not None:  # it stays a condition until somebody unticks it
            gone = _names(request, Category, "category_ids", [chosen])
            choices["category_ids"] = [
                *choices["category_ids"],
                *((pk, f"{gone.get(pk, 'A deleted category')} (archived)") for pk in archived if pk in gone),
            ]
    return PolicyForm(
        request.POST if request.method == "POST" else None,
        initial=initial,
        choices=choices,
        workspace=request.workspace,
        existing=chosen,
    )


def _policy_page(
    request: WorkspaceRequest, context: dict[str, Any], form: PolicyForm, chosen: SLAPolicy | None
) -> HttpResponse:
    suggested: list[str] = []
    if not form.is_already_default:
        rows = Organization.objects.for_workspace(request.workspace).order_by("name")
        suggested = list(rows.values_list("name", flat=True)[:SUGGESTED])
    context |= {
        "form": form,
        # A refused name must not look as if it were the policy's.
        "policy": _policy(request, chosen.pk) if chosen and form.errors else chosen,
        "suggested": suggested,
        "try_form": TryForm(),
    }
    return render(request, "slas/policy.html", context, status=400 if form.errors else 200)


@require_POST
@member_required(Permission.MANAGE)
def policy_move(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Ask a policy one place earlier or later."""
    chosen = _policy(request, pk)
    order = [one.pk for one in setup.policies(request.workspace.pk) if not one.is_default]
    direction = "up" if request.POST.get("direction") == "up" else "down"
    if chosen.pk in order:
        place = order.index(chosen.pk) + (0 if direction == "up" else 2)
        if 1 <= place <= len(order):
            try:
                setup.save_policy(
                    workspace=request.workspace,
                    changes={"position": place},
                    policy=chosen,
                    now=timezone.now(),
                    by=request.user,
                )
            except DomainError as error:
                messages.error(request, error.detail)
        if place in (1, len(order)):  # this button has nothing more to do
            direction = "down" if place == 1 else "up"
    # The button keeps the focus, so that one can press it again.
    return _to_list(request, "slas:policies", f"#{direction}-{chosen.pk}")


@require_POST
@member_required(Permission.MANAGE)
def policy_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Archive a policy; its tickets in work get another one."""
    chosen = _policy(request, pk)
    try:
        setup.delete_policy(policy=chosen, now=timezone.now(), by=request.user)
    except DomainError as error:
        messages.error(request, error.detail)
        return redirect("slas:policies")
    messages.success(request, f"Deleted the policy “{chosen.name}”. Its open tickets get the next one that fits.")
    return _to_list(request, "slas:policies")


@require_POST
@member_required(Permission.MANAGE)
def policy_what_if(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Try the policy as it stands in the form on past tickets, without saving it."""
    chosen = _policy(request, pk)
    context = console(request, "settings")
    form = _policy_form(request, context, chosen)
    asked = _try(request, form, {"policy_id": pk})
    return asked or _refused(request, form) or _policy_page(request, context, form, chosen)


def _policy(request: WorkspaceRequest, pk: UUID) -> SLAPolicy:
    try:
        return setup.find_policy(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- Business hours ---------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def business_hours(request: WorkspaceRequest) -> HttpResponse:
    """All business hours of the workspace, the default first."""
    used = Counter(
        policy.business_hours_id for policy in setup.policies(request.workspace.pk) if policy.business_hours_only
    )
    rows = []
    for hours in _live_hours(request):
        read = calendar.read(rules.calendar_document(hours))
        rows.append(
            {
                "hours": hours,
                "timezone": hours.timezone.replace("_", " "),
                "week": week_words(read),
                "never_opens": not read.has_open_time,
                "dates": plural(len(read.exceptions), "date") if read.exceptions else "",
                "place": place_words(hours.country, hours.region) if hours.country else "",
                "policies": used[hours.pk] + (used[None] if hours.is_default else 0),
            }
        )
    return render(
        request,
        "slas/business_hours_list.html",
        console(request, "settings") | {"rows": rows, "job": _reckoning(request)},
    )


def _live_hours(request: WorkspaceRequest) -> list[BusinessHours]:
    rows = BusinessHours.objects.for_workspace(request.workspace).live()
    return sorted(rows, key=lambda row: (not row.is_default, row.name.casefold()))


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def hours(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make business hours, or change them. `more` shows the form again with more room in it, saving nothing."""
    chosen = _hours(request, pk) if pk else None
    form = _hours_form(request, chosen)
    if request.method == "POST" and "more" not in request.POST and form.is_valid():
        try:
            saved = setup.save_hours(
                workspace=request.workspace,
                changes=form.changes(),
                hours=chosen,
                user_ids=form.cleaned_data.get("user_ids"),
                now=timezone.now(),
                by=request.user,
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the business hours “{saved.name}”.")
            return _to_list(request, "slas:business-hours")
    return _hours_page(request, form, chosen)


def _hours_form(request: WorkspaceRequest, chosen: BusinessHours | None, *, asks_for_agents: bool = True) -> HoursForm:
    zone = request.workspace.timezone
    document = (
        rules.calendar_document(chosen)
        if chosen
        else {"timezone": zone, "schedule": setup.STANDARD_WEEK, "holidays": []}
    )
    agents = working.agents(request.workspace.pk, chosen) if asks_for_agents else []
    theirs = {str(one.user_id): working.hours_of(one) for one in agents}
    initial: dict[str, Any] = {"user_ids": [pk for pk, their in theirs.items() if chosen and their == chosen]}
    return HoursForm(
        request.POST if request.method == "POST" else None,
        hours=calendar.read(document),
        agents=[(str(one.user_id), _agent_words(one, chosen)) for one in agents],
        today=timezone.now().date(),
        is_already_default=chosen is not None and chosen.is_default,
        initial=initial | ({"name": chosen.name, "is_default": chosen.is_default} if chosen else {}),
    )


def _agent_words(agent: Membership, chosen: BusinessHours | None) -> str:
    """An agent's name, and which other hours they would leave."""
    name, theirs = agent.user.name or agent.user.email, working.hours_of(agent)
    if not working.can_be_given(agent):
        return f"{name} (gets no tickets now)"
    return name if theirs is None or theirs == chosen else f"{name} (now {theirs.name})"


def _hours_page(request: WorkspaceRequest, form: HoursForm, chosen: BusinessHours | None) -> HttpResponse:
    is_refused = bool(form.is_bound and form.errors and "more" not in request.POST)
    context = console(request, "settings") | {
        "form": form,
        "hours": chosen,
        "timezones": timezones(),
        "try_form": TryForm(),
        **_public_holidays(str(form["country"].value() or ""), str(form["region"].value() or "")),
        **_preview(form, chosen),
    }
    return render(request, "slas/business_hours.html", context, status=400 if is_refused else 200)


@require_POST
@member_required(Permission.MANAGE)
def hours_delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Archive business hours; refused for the default and for those that a policy counts by."""
    chosen = _hours(request, pk)
    try:
        setup.delete_hours(hours=chosen, now=timezone.now())
    except DomainError as error:
        messages.error(request, f"“{chosen.name}” was not deleted. {error.detail}")
    else:
        messages.success(request, f"Deleted the business hours “{chosen.name}”.")
    return redirect("slas:business-hours")


@require_POST
@member_required(Permission.MANAGE)
def hours_what_if(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Try the business hours as they stand in the form on past tickets, without saving them."""
    chosen = _hours(request, pk)
    form = _hours_form(request, chosen)
    return _try(request, form, {"hours_id": pk}) or _refused(request, form) or _hours_page(request, form, chosen)


@require_POST
@member_required(Permission.MANAGE)
def hours_preview(request: WorkspaceRequest) -> HttpResponse:
    """When targets that begin now are due under the hours in the form; a part of their page."""
    return render(request, "slas/_preview.html", _preview(_hours_form(request, None, asks_for_agents=False), None))


@require_safe
@member_required(Permission.MANAGE)
def regions(request: WorkspaceRequest) -> HttpResponse:
    """The regions of a country and its next public holidays; a part of the page of business hours."""
    given = {name: request.GET.get(name, "")[:40] for name in ("country", "region")}
    form = HoursForm(hours=Calendar(country=given["country"], region=given["region"]), today=timezone.now().date())
    return render(request, "slas/_region.html", {"form": form, **_public_holidays(**given)})


def _public_holidays(country: str, region: str) -> dict[str, Any]:
    """The next five public holidays of a country, for the page."""
    if not country or country not in {one.code for one in calendar.countries()}:
        return {"public_holidays": [], "place": ""}
    today = timezone.now().date()
    region = region if region in dict(regions_of(country)) else ""
    found = calendar.public_holidays(country, region, [today.year, today.year + 1])
    coming = sorted((day, name) for day, name in found.items() if day >= today)[:5]
    return {"public_holidays": coming, "place": place_words(country, region)}


def _preview(form: HoursForm, chosen: BusinessHours | None) -> dict[str, Any]:
    """When targets that begin now are due under the hours as they stand in the form."""
    now = timezone.now()
    if form.is_bound:
        trial = HoursForm(form.data, hours=Calendar(), today=now.date())
        trial.is_valid()
        trial.errors.pop("name", None)
        try:
            read = setup.calendar_of(trial.document())
        except DomainError as error:
            trial.refuse(error)
            return {"preview": None, "mistakes": [text for texts in trial.errors.values() for text in texts]}
    else:
        read = _hours_calendar(form, chosen)
    here = now.astimezone(ZoneInfo(read.timezone))
    rows = []
    for number in PREVIEWED:
        due = read.add_business_time(now, dt.timedelta(hours=number))
        local = due.astimezone(here.tzinfo) if due else None
        rows.append({"target": f"{number} h", "due": _due_words(local, here) if local else "", "at": due})
    return {
        "preview": {
            "rows": rows,
            "main": rows[1],
            "now": f"{here:%a %H:%M}",
            "zone": read.timezone.replace("_", " "),
            "is_open": read.is_open(now),
            "never_opens": not read.has_open_time,
        },
        "mistakes": [],
    }


def _hours_calendar(form: HoursForm, chosen: BusinessHours | None) -> Calendar:
    if chosen is not None:
        return calendar.read(rules.calendar_document(chosen))
    return calendar.read({"timezone": form.initial["timezone"], "schedule": setup.STANDARD_WEEK})


def _hours(request: WorkspaceRequest, pk: UUID) -> BusinessHours:
    try:
        return setup.find_hours(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error


# --- Jobs -------------------------------------------------------------------------------------


@require_safe
@member_required(Permission.MANAGE)
def job(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """How far a job is and what came of it; for htmx the part that asks again until it is over."""
    try:
        found = jobs.find(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
    context = {"job": shown_job(found, timezone.now())}
    if getattr(request, "htmx", False):
        return render(request, "slas/_job.html", context)
    return render(request, "slas/job.html", console(request, "settings") | context)


def _to_list(request: WorkspaceRequest, name: str, fragment: str = "") -> HttpResponse:
    """Back to a list, which shows how the clocks are reckoned anew."""
    started = jobs.latest(request.workspace.pk, "derive")
    return redirect(reverse(name) + (f"?job={started.pk}" if started else "") + fragment)


def _reckoning(request: WorkspaceRequest) -> dict[str, Any] | None:
    """The reckoning that runs, or the one that the address speaks of."""
    newest = jobs.latest(request.workspace.pk, "derive")
    if newest is None or (newest.finished_at and str(newest.pk) != request.GET.get("job")):
        return None
    return shown_job(newest, timezone.now())


def _try(request: WorkspaceRequest, form: PolicyForm | HoursForm, subject: Mapping[str, UUID]) -> HttpResponse | None:
    """Ask what the unsaved form would change; None where it is refused, and the form then says why."""
    period = TryForm(request.POST)
    if not (form.is_valid() and period.is_valid()):
        return None
    draft = Draft(changes=form.changes(), days=period.cleaned_data["days"], **subject)
    try:
        asked = what_if.ask(workspace=request.workspace, draft=draft, now=timezone.now(), by=request.user)
    except DomainError as error:
        form.refuse(error)
        return None
    if getattr(request, "htmx", False):
        return render(request, "slas/_job.html", {"job": shown_job(asked, timezone.now())})
    return redirect("slas:job", asked.pk)


def _refused(request: WorkspaceRequest, form: PolicyForm | HoursForm) -> HttpResponse | None:
    """Why a draft cannot be tried, as the part that htmx wants; None without htmx: the page says it."""
    if not getattr(request, "htmx", False):
        return None
    mistakes = [
        (None if name == "__all__" else form[name], text) for name, texts in form.errors.items() for text in texts
    ]
    return render(request, "slas/_refused.html", {"mistakes": mistakes}, status=400)


def shown_job(job: Job, now: dt.datetime) -> dict[str, Any]:
    """A job as its part of a page shows it."""
    result: Mapping[str, Any] = job.result or {}
    shown: dict[str, Any] = {
        "pk": job.pk,
        "kind": job.kind,
        "state": job.state,
        "percent": job.percent,
        "is_over": job.state in ("done", "failed"),
        "is_slow": job.state == "waiting" and now - job.created_at > PATIENCE,
        "total": job.total,
        "done": job.done,
        "error": result.get("error", ""),
    }
    if job.kind == "derive":
        tickets = result.get("tickets", job.total)
        if not shown["is_over"] and not job.total:
            tickets = Ticket.objects.for_workspace(job.workspace_id).active().count()
        shown |= {"tickets": plural(tickets, "open ticket"), "is_empty": not tickets}
        shown["moved"] = f"{plural(moved, 'ticket')} got another deadline" if (moved := result.get("moved")) else ""
    else:
        shown["period"] = f"of the last {days} days" if (days := job.draft.get("days")) else "of all time"
        if job.state == "done":
            shown |= _compared(result)
    return shown


def _compared(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a draft would have changed, as rows."""
    by_priority, by_goal = result["by_priority"], result["by_goal"]
    return {
        "tickets": plural(result["tickets"], "ticket"),
        "then": plural(result["then"], "promise"),
        "is_one": result["then"] == 1,
        "now": f"{result['now']:,}",
        "verdict": _difference(result["now"], result["then"]),
        "groups": [
            (
                "Priority",
                [_row(p.value.capitalize(), by_priority[p.value]) for p in Priority if p.value in by_priority],
            ),
            ("Promise", [_row(GOAL_WORDS[goal], by_goal[goal.value]) for goal in Goal if goal.value in by_goal]),
        ],
        "all": _row("All", result),
        "changed": [row | {"gained": _goals(row["gained"]), "lost": _goals(row["lost"])} for row in result["changed"]],
        "differing": result["differing"],
        "more": result["differing"] - len(result["changed"]),
    }


def _row(label: str, count: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": label,
        "now": count["now"],
        "then": count["then"],
        "difference": _difference(count["now"], count["then"]),
    }


def _difference(before: int, after: int) -> dict[str, str]:
    """A difference with its sign and in words; its tone says nothing that these do not."""
    if after == before:
        return {"sign": "0", "words": "the same", "tone": "", "icon": "equal"}
    if after > before:
        return {"sign": f"+{after - before:,}", "words": "more", "tone": "bad", "icon": "trending-up"}
    return {"sign": f"−{before - after:,}", "words": "fewer", "tone": "ok", "icon": "trending-down"}


def _goals(values: Iterable[str]) -> str:
    counted = Counter(GOAL_WORDS[Goal(value)].lower() for value in values)
    return ", ".join(name if number == 1 else f"{name} ×{number}" for name, number in counted.items())
