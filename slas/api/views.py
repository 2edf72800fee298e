"""Policies, business hours, what they come to on a ticket, and the work in the background."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db.models.functions import Lower
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from helpdesk.accounts.roles import Permission
from helpdesk.api.idempotency import idempotent
from helpdesk.api.schema import PAGE_PARAMETERS, envelope_of
from helpdesk.errors import DomainError, InvalidInput
from slas.api import serializers as shapes
from slas.models import BusinessHours, Job, SLAPolicy
from slas.services import explaining, giving, jobs, setup, what_if, working
from slas.services.what_if import Draft
from tickets.api.schema import described
from tickets.api.views.base import ADMINS, AGENTS, EVERYONE, TicketView
from tickets.models import Ticket

POLICIES, HOURS = "SLA policies", "Business hours"
CHANGERS = {"PUT": Permission.MANAGE, "PATCH": Permission.MANAGE, "DELETE": Permission.MANAGE}
FOLLOWS = "The clocks of tickets in work follow in the background: the newest of `/api/tickets/sla-jobs?kind=derive`."
TRIED = "What came of it has the job, when it is done. Nothing is changed."

# --- Policies ---------------------------------------------------------------------------------


class Policies(TicketView):
    """What is promised to whom."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "sla_policies_list",
        "List SLA policies",
        answer=envelope_of("sla_policies", shapes.PolicyOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="In the order in which they are asked, the default last.",
        tag=POLICIES,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = SLAPolicy.objects.for_workspace(self.workspace).live()
        return self.page(
            rows.order_by("is_default", "position", "created_at", "pk"),
            plural="sla_policies",
            to_json=lambda page: [shapes.policy(row) for row in page],
        )

    @described(
        "sla_policies_create",
        "Create an SLA policy",
        request=shapes.PolicyIn,
        answer=shapes.PolicyOut,
        status=201,
        needs=ADMINS,
        description=f"One that has no conditions and is not the default applies to no ticket by itself. {FOLLOWS}",
        tag=POLICIES,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_policy(
            workspace=self.workspace, changes=self.read(shapes.PolicyIn), now=self.now, by=self.membership.user
        )
        headers = {"Location": f"/api/tickets/sla-policies/{made.pk}"}
        return Response(shapes.policy(made), status=201, headers=headers)


class OnePolicy(TicketView):
    """A policy."""

    permissions = CHANGERS

    @described("sla_policies_get", "Get an SLA policy", answer=shapes.PolicyOut, needs=EVERYONE, tag=POLICIES)
    def get(self, request: Request, policy_id: UUID) -> HttpResponseBase:
        return Response(shapes.policy(setup.find_policy(self.workspace.pk, policy_id)))

    @described(
        "sla_policies_update",
        "Update an SLA policy",
        request=shapes.PolicyChanges,
        answer=shapes.PolicyOut,
        needs=ADMINS,
        description=f"Changes the fields that are sent. {FOLLOWS}",
        tag=POLICIES,
    )
    def put(self, request: Request, policy_id: UUID) -> HttpResponseBase:
        changes = self.read(shapes.PolicyChanges)
        saved = setup.save_policy(
            workspace=self.workspace,
            changes=changes,
            now=self.now,
            policy=setup.find_policy(self.workspace.pk, policy_id),
            by=self.membership.user,
        )
        return Response(shapes.policy(saved))

    @described(
        "sla_policies_patch",
        "Update an SLA policy",
        request=shapes.PolicyChanges,
        answer=shapes.PolicyOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=POLICIES,
    )
    def patch(self, request: Request, policy_id: UUID) -> HttpResponseBase:
        return self.put(request, policy_id)

    @described(
        "sla_policies_delete",
        "Delete an SLA policy",
        answer=None,
        status=204,
        needs=ADMINS,
        description="Clocks that ended under it keep it; tickets in work get another one. Refused for the default.",
        tag=POLICIES,
    )
    def delete(self, request: Request, policy_id: UUID) -> HttpResponseBase:
        policy = setup.find_policy(self.workspace.pk, policy_id)
        setup.delete_policy(policy=policy, now=self.now, by=self.membership.user)
        return Response(status=204)


# --- Business hours ---------------------------------------------------------------------------


class ManyHours(TicketView):
    """When clocks run."""

    permissions = {"POST": Permission.MANAGE}

    @described(
        "business_hours_list",
        "List business hours",
        answer=envelope_of("business_hours", shapes.HoursOut),
        parameters=PAGE_PARAMETERS,
        needs=EVERYONE,
        description="By name.",
        tag=HOURS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters()
        rows = BusinessHours.objects.for_workspace(self.workspace).live().order_by(Lower("name"), "pk")
        return self.page(
            rows, plural="business_hours", to_json=lambda page: [shapes.business_hours(row) for row in page]
        )

    @described(
        "business_hours_create",
        "Create business hours",
        request=shapes.HoursIn,
        answer=shapes.HoursOut,
        status=201,
        needs=ADMINS,
        description="Without a `name` they are called “Business hours”, or with a number “Business hours 2”.",
        tag=HOURS,
    )
    @idempotent
    def post(self, request: Request) -> HttpResponseBase:
        made = setup.save_hours(
            workspace=self.workspace, changes=self.read(shapes.HoursIn), now=self.now, by=self.membership.user
        )
        headers = {"Location": f"/api/tickets/business-hours/{made.pk}"}
        return Response(shapes.business_hours(made), status=201, headers=headers)


class OneHours(TicketView):
    """Business hours."""

    permissions = CHANGERS

    @described("business_hours_get", "Get business hours", answer=shapes.HoursOut, needs=EVERYONE, tag=HOURS)
    def get(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        return Response(shapes.business_hours(setup.find_hours(self.workspace.pk, hours_id)))

    @described(
        "business_hours_update",
        "Update business hours",
        request=shapes.HoursChanges,
        answer=shapes.HoursOut,
        needs=ADMINS,
        description=f"Changes the fields that are sent; `schedule` and `holidays` are whole. {FOLLOWS}",
        tag=HOURS,
    )
    def put(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        changes = self.read(shapes.HoursChanges)
        saved = setup.save_hours(
            workspace=self.workspace,
            changes=changes,
            now=self.now,
            hours=setup.find_hours(self.workspace.pk, hours_id),
            by=self.membership.user,
        )
        return Response(shapes.business_hours(saved))

    @described(
        "business_hours_patch",
        "Update business hours",
        request=shapes.HoursChanges,
        answer=shapes.HoursOut,
        needs=ADMINS,
        description="The same as PUT.",
        tag=HOURS,
    )
    def patch(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        return self.put(request, hours_id)

    @described(
        "business_hours_delete",
        "Delete business hours",
        answer=None,
        status=204,
        needs=ADMINS,
        description="Refused for the default, and while a policy counts by them or an agent works them.",
        tag=HOURS,
    )
    def delete(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        setup.delete_hours(hours=setup.find_hours(self.workspace.pk, hours_id), now=self.now)
        return Response(status=204)


class HoursAgents(TicketView):
    """Who works these hours."""

    permissions = {"PUT": Permission.MANAGE}

    @described(
        "business_hours_agents",
        "List the agents who work these hours",
        answer=shapes.Agents,
        needs=EVERYONE,
        description="Outside of them rules give these agents no tickets.",
        tag=HOURS,
    )
    def get(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        return self._agents(setup.find_hours(self.workspace.pk, hours_id))

    @described(
        "business_hours_set_agents",
        "Say which agents work these hours",
        request=shapes.Agents,
        answer=shapes.Agents,
        needs=ADMINS,
        description="All of them; an agent works by one calendar at most, so whoever is named here leaves any other.",
        tag=HOURS,
    )
    def put(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        hours = setup.find_hours(self.workspace.pk, hours_id)
        working.set_agents(hours=hours, user_ids=self.read(shapes.Agents)["user_ids"], now=self.now)
        return self._agents(hours)

    def _agents(self, hours: BusinessHours) -> Response:
        return Response({"user_ids": [str(pk) for pk in working.agents_of(hours)]})


# --- A ticket's service levels ----------------------------------------------------------------


class TicketSLA(TicketView):
    """The clocks of a ticket, and the policy that it is given."""

    permissions = {"PUT": Permission.WORK}

    @described(
        "tickets_sla",
        "Explain the service levels of a ticket",
        answer=shapes.SLAOut,
        needs=EVERYONE,
        description="Every clock with its life from the start to its deadline, or to now when that is later.",
        tag=POLICIES,
    )
    def get(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        ticket = self.ticket(ticket_id)
        return self._explained(ticket)

    @described(
        "tickets_sla_update",
        "Give a ticket an SLA policy",
        request=shapes.GivenPolicy,
        answer=shapes.SLAOut,
        needs=AGENTS,
        description="Whatever the conditions say; null: by the conditions again. The clocks follow at once.",
        locks=True,
        tag=POLICIES,
    )
    def put(self, request: Request, ticket_id: UUID) -> HttpResponseBase:
        ticket = self.ticket(ticket_id)
        giving.give_policy(
            ticket=ticket,
            policy_id=self.read(shapes.GivenPolicy)["policy_id"],
            actor=self.actor,
            now=self.now,
            expected_version=self.expected_version(ticket),
        )
        return self._explained(self.ticket(ticket_id))

    def _explained(self, ticket: Ticket) -> Response:
        explained = explaining.explain(ticket=ticket, now=self.now)
        return Response(shapes.ticket_sla(ticket, explained, self.now))


# --- What if, and the work in the background --------------------------------------------------


@contextlib.contextmanager
def _naming_changes() -> Iterator[None]:
    """What is wrong with a draft stands under `changes` in the body."""
    try:
        yield
    except DomainError as error:
        error.errors = {
            name if name in ("id", "days") else f"changes.{name}": texts for name, texts in error.errors.items()
        }
        raise


class WhatIfView(TicketView):
    """What the two questions share."""

    permissions = {"POST": Permission.MANAGE}
    problems = {}

    def ask(self, given: Mapping[str, Any], **about: UUID) -> Response:
        """The job that tries the changes on past tickets."""
        draft = Draft(changes=shapes.draft(given["changes"]), days=given["days"], **about)
        with _naming_changes():
            job = what_if.ask(workspace=self.workspace, draft=draft, now=self.now, by=self.membership.user)
        headers = {"Location": f"/api/tickets/sla-jobs/{job.pk}"}
        return Response(shapes.job(job), status=202, headers=headers)


class PolicyWhatIf(WhatIfView):
    """A policy, tried."""

    @described(
        "sla_policies_what_if",
        "Try changes of an SLA policy on past tickets",
        request=shapes.PolicyDraft,
        answer=shapes.JobOut,
        status=202,
        needs=ADMINS,
        description=TRIED,
        tag=POLICIES,
    )
    @idempotent
    def post(self, request: Request, policy_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.PolicyDraft)
        policy = setup.find_policy(self.workspace.pk, policy_id)
        return self.ask(given, policy_id=policy.pk)


class HoursWhatIf(WhatIfView):
    """Business hours, tried."""

    @described(
        "business_hours_what_if",
        "Try changes of business hours on past tickets",
        request=shapes.HoursDraft,
        answer=shapes.JobOut,
        status=202,
        needs=ADMINS,
        description=TRIED,
        tag=HOURS,
    )
    @idempotent
    def post(self, request: Request, hours_id: UUID) -> HttpResponseBase:
        given = self.read(shapes.HoursDraft)
        hours = setup.find_hours(self.workspace.pk, hours_id)
        return self.ask(given, hours_id=hours.pk)


class Jobs(TicketView):
    """The work in the background."""

    permissions = {"GET": Permission.MANAGE}
    problems = {}

    @described(
        "sla_jobs_list",
        "List work in the background",
        answer=envelope_of("sla_jobs", shapes.JobOut),
        parameters=[
            OpenApiParameter("kind", str, enum=shapes.JOB_KINDS, description="Only of this kind."),
            *PAGE_PARAMETERS,
        ],
        needs=ADMINS,
        description="Newest first. What ended is kept for thirty days.",
        tag=POLICIES,
    )
    def get(self, request: Request) -> HttpResponseBase:
        self.only_parameters("kind")
        rows = Job.objects.for_workspace(self.workspace).order_by("-created_at", "-pk")
        if (kind := request.query_params.get("kind")) is not None:
            if kind not in shapes.JOB_KINDS:
                raise InvalidInput.of("kind", f"This must be one of: {', '.join(shapes.JOB_KINDS)}.")
            rows = rows.filter(kind=kind)
        return self.page(rows, plural="sla_jobs", to_json=lambda page: [shapes.job(row) for row in page])


class OneJob(TicketView):
    """A piece of work."""

    permissions = {"GET": Permission.MANAGE}

    @described("sla_jobs_get", "Get work in the background", answer=shapes.JobOut, needs=ADMINS, tag=POLICIES)
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        return Response(shapes.job(jobs.find(self.workspace.pk, job_id)))
