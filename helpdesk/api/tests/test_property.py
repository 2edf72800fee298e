"""A property-based tester reads our own document and tries what it allows, and what it does not."""

from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from helpdesk.accounts import tokens
from helpdesk.accounts.tests.factories import ContactFactory, MembershipFactory, TeamFactory

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# The WSGI handler closes connections as a server does: data must be committed to be seen.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("path", ["auth/", "me$", "users$", "teams$", "contacts$", "schema$"])
def test_no_answer_is_undocumented_and_none_is_our_fault(path: str, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {
        "DEFAULT_THROTTLE_RATES": {"caller": "9999/min", "sign_in": "9999/min", "public": "9999/min"}
    }
    member = MembershipFactory(role="owner")
    for _ in range(3):
        TeamFactory(workspace=member.workspace).members.add(member)
        ContactFactory(workspace=member.workspace)
    access = tokens.issue(membership=member, now=timezone.now()).access
    document = schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application())
    for found in document.include(path_regex=f"^/api/{path}").get_all_operations():
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @given(case=found.ok().as_strategy(generation_mode=mode))
            @hypothesis_settings(
                max_examples=15,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def try_it(case: Any) -> None:
                case.call_and_validate(headers={"Authorization": f"Bearer {access}"}, checks=CHECKS)

            try_it()
