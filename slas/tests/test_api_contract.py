"""The OpenAPI document of the service levels against their API: no 5xx, nothing undocumented for things that exist."""

import os
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.wsgi import application
from slas.services import jobs
from slas.tests.factories import SET_UP, make_hours, make_policy
from tickets.tests.factories import make_agent, make_ticket

pytestmark = pytest.mark.django_db
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "8"))

everything = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
everything.app = application
schema = everything.include(path_regex="/(sla|sla-policies|sla-jobs|business-hours)(/|$)")


@pytest.fixture(autouse=True)
def _one_connection():
    """Requests run in this process, inside the test's transaction: its connection must stay open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def known(module_transaction: Any) -> dict[str, Any]:
    """Things that exist, and the key of an owner."""
    with module_transaction():
        return make_known()


def make_known() -> dict[str, Any]:
    workspace = WorkspaceFactory()
    owner = make_agent(workspace, role="owner")
    _, key = tokens.make_api_key(membership=owner, name="k", scopes=["admin"], expires_at=None, now=timezone.now())
    make_policy(workspace)
    return {
        "headers": {"Authorization": f"Bearer {key}"},
        "path": {
            "policy_id": str(make_policy(workspace, name="Second", is_default=False).pk),
            "hours_id": str(make_hours(workspace, name="Second").pk),
            "job_id": str(jobs.start(workspace=workspace, kind="derive", now=SET_UP).pk),
            "ticket_id": str(make_ticket(workspace).pk),
        },
    }


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_request_gets_an_undocumented_answer(case: Any, known: dict[str, Any]) -> None:
    case.path_parameters = {name: known["path"][name] for name in case.path_parameters or {}}
    with transaction.atomic():
        response = case.call(headers=known["headers"])
        transaction.set_rollback(True)
    case.validate_response(
        response,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
    )
