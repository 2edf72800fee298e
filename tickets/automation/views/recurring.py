"""Settings of the recurring tickets in the console."""

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from helpdesk.accounts.roles import Permission
from helpdesk.accounts.scoping import WorkspaceRequest, member_required
from helpdesk.errors import DomainError, InvalidInput
from tickets import markup
from tickets.automation import schedule as schedules
from tickets.automation.models import RecurringTicket
from tickets.automation.recurring_forms import RecurringForm, first_schedule, timezones
from tickets.automation.schedule import ScheduleError
from tickets.automation.services import recurring
from tickets.views.queue import console

PREVIEWED = 5  # occurrences
PAGE_SIZE = 50


@require_safe
@member_required(Permission.MANAGE)
def recurring_tickets(request: WorkspaceRequest) -> HttpResponse:
    """All recurring tickets: when each opens next, and what it opened last."""
    rows = [
        {"recurring": row, "words": recurring.words_of(row), "next": _clock(row, row.next_at)}
        for row in recurring.recurring_tickets(request.workspace.pk)
    ]
    return render(request, "automation/recurring_list.html", console(request, "settings") | {"rows": rows})


def _clock(row: RecurringTicket, moment: dt.datetime | None) -> dt.datetime | None:
    """A moment as the clocks of its timezone show it; naive, so that templates leave it so."""
    try:
        return schedules.local(schedules.read(row.schedule), moment).replace(tzinfo=None) if moment else None
    except ScheduleError:
        return None


@require_http_methods(["GET", "POST"])
@member_required(Permission.MANAGE)
def recurring_ticket(request: WorkspaceRequest, pk: UUID | None = None) -> HttpResponse:
    """Make a recurring ticket, or change one. `preview` shows the form again with its next times, saving nothing."""
    chosen = _recurring(request, pk) if pk else None
    context = console(request, "settings")
    form = _form(request, context["choices"], chosen)
    is_saved = request.method == "POST" and "preview" not in request.POST
    if is_saved and form.is_valid():
        try:
            saved = recurring.save_recurring(
                workspace=request.workspace, changes=form.changes(), now=timezone.now(), recurring=chosen
            )
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, f"Saved the recurring ticket “{saved.name}”.")
            return redirect("automation:recurring")
    elif is_saved:  # what the service would say of the schedule is said together with the rest
        _refuse_schedule(request, form)
    context |= {
        "form": form,
        # A refused name must not look as if it were the one that is kept.
        "recurring": _recurring(request, pk) if pk and form.errors else chosen,
        "timezones": timezones(),
        **_preview(request, form),
    }
    status = 400 if is_saved and form.errors else 200
    return render(request, "automation/recurring.html", context, status=status)


def _form(request: WorkspaceRequest, offered: Any, chosen: RecurringTicket | None) -> RecurringForm:
    choices = {
        "category_id": [("", "None"), *offered.categories],
        "team_id": [("", "None"), *offered.teams],
        "assignee_id": [("", "Nobody"), *offered.agents],
    }
    if chosen is not None:
        # What it names stays until somebody chooses otherwise.
        for name, thing in (("category_id", chosen.category), ("assignee_id", chosen.assignee)):
            if thing is not None and str(thing.pk) not in {key for key, _ in choices[name]}:
                choices[name].append((str(thing.pk), f"{thing} (gone)"))
    schedule = first_schedule(request.workspace.timezone, timezone.now())
    if chosen is not None:
        try:
            schedule = schedules.read(chosen.schedule)
        except ScheduleError:
            messages.warning(request, "Its schedule cannot be read. Please set it again.")
    return RecurringForm(
        request.POST if request.method == "POST" else None,
        initial=RecurringForm.initial_of(chosen, schedule),
        choices=choices,
    )


def _refuse_schedule(request: WorkspaceRequest, form: RecurringForm) -> None:
    try:
        recurring.read_schedule(request.workspace, form.schedule(), timezone.now())
    except InvalidInput as error:
        said = {f"schedule.{name}" for name in form.errors}
        if news := {name: texts for name, texts in error.errors.items() if name not in said}:
            form.refuse(InvalidInput.of_all(news))


@require_POST
@member_required(Permission.MANAGE)
def preview(request: WorkspaceRequest) -> HttpResponse:
    """When the schedule in the form happens next; a part of its page."""
    return render(request, "automation/_recurring_preview.html", _preview(request, RecurringForm(request.POST)))


def _preview(request: WorkspaceRequest, form: RecurringForm) -> dict[str, Any]:
    """The schedule of the form in words, and its next times with the subject that each will have."""
    now = timezone.now()
    try:
        schedule = recurring.read_schedule(request.workspace, form.schedule(), now)
    except InvalidInput as error:
        labels = {f"schedule.{control.name}": control.label for control in form}
        said = [(labels.get(name, ""), text) for name, texts in error.errors.items() for text in texts]
        return {"preview": None, "mistakes": [f"{label}: {text}".removeprefix(": ") for label, text in said]}
    subject = str(form["subject"].value() or "")[:255].strip()
    return {
        "preview": {
            "words": schedules.in_words(schedule),
            "zone": schedule.timezone.replace("_", " "),
            "rows": [
                {
                    "at": at,
                    "local": schedules.local(schedule, at).replace(tzinfo=None),
                    "subject": markup.fill(subject, schedules.variables(schedule, at)),
                }
                for at in schedules.coming(schedule, now, PREVIEWED)
            ],
            "has_variables": markup.fill(subject, schedules.longest_variables()) != subject,
        },
        "mistakes": [],
    }


@require_safe
@member_required(Permission.MANAGE)
def log(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """What became of the occurrences of one, the newest first."""
    chosen = _recurring(request, pk)
    page = Paginator(recurring.runs_of(chosen), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [{"run": run, "local": _clock(chosen, run.occurrence_at)} for run in page]
    context = {"recurring": chosen, "words": recurring.words_of(chosen), "page_obj": page, "rows": rows}
    return render(request, "automation/recurring_log.html", console(request, "settings") | context)


@require_POST
@member_required(Permission.MANAGE)
def switch(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Switch one on or off (`to`)."""
    chosen = _recurring(request, pk)
    is_active = request.POST.get("to") == "on"
    try:
        saved = recurring.save_recurring(
            workspace=request.workspace, changes={"is_active": is_active}, now=timezone.now(), recurring=chosen
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"“{saved.name}” is {'on' if saved.is_active else 'off'}.")
    # The button keeps the focus.
    return redirect(f"{reverse('automation:recurring')}#switch-{pk}")


@require_POST
@member_required(Permission.MANAGE)
def delete(request: WorkspaceRequest, pk: UUID) -> HttpResponse:
    """Archive one: it opens no more tickets."""
    chosen = _recurring(request, pk)
    try:
        recurring.delete_recurring(recurring=chosen, now=timezone.now())
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"Deleted the recurring ticket “{chosen.name}”. The tickets that it opened stay.")
    return redirect("automation:recurring")


def _recurring(request: WorkspaceRequest, pk: UUID) -> RecurringTicket:
    try:
        return recurring.find_recurring(request.workspace.pk, pk)
    except DomainError as error:
        raise Http404(error.detail) from error
