"""The OpenAPI document and its page."""

import re

import pytest
import yaml
from rest_framework.test import APIClient

from helpdesk.api.tests.problems import assert_refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def document():
    answer = APIClient().get("/api/schema")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    return answer.json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_it_is_openapi_3_1_as_json_and_as_yaml(document):
    assert document["openapi"].startswith("3.1")
    for answer in (
        APIClient().get("/api/schema?format=yaml"),
        APIClient().get("/api/schema", HTTP_ACCEPT="application/yaml"),
    ):
        assert answer["Content-Type"] == "application/yaml"
        assert yaml.safe_load(answer.content) == document
    assert_refused(APIClient().get("/api/schema?format=xml"), 400, "invalid", "format")


def test_every_operation_has_a_name_of_its_own_and_tells_its_refusals(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        responses = operation["responses"]
        assert {"400", "405", "429"} <= set(responses), path
        assert any(status.startswith("2") for status in responses), path
        for status, response in responses.items():
            if status[0] in "45":
                assert list(response["content"]) == ["application/problem+json"], (path, method, status)
        assert "Retry-After" in responses["429"]["headers"]
        if operation.get("security"):
            assert operation["security"] == [{"bearer": []}]
            assert {"401", "403"} <= set(responses)
        if "requestBody" in operation:
            assert {"413", "415"} <= set(responses), path
        if "{" in path:
            assert "404" in responses, path


def test_idempotent_operations_document_the_header(document):
    for path, method, operation in operations(document):
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("Idempotency-Key" in names) == ("422" in operation["responses"]), (path, method)


def test_every_create_takes_an_idempotency_key(document):
    creates = [
        (path, [parameter["name"] for parameter in operation.get("parameters", [])])
        for path, method, operation in operations(document)
        if method == "post" and "201" in operation["responses"]
    ]
    assert len(creates) >= 8
    assert [path for path, names in creates if "Idempotency-Key" not in names] == []


def test_members_must_sign_in_and_visitors_need_not(document):
    assert document["paths"]["/api/me"]["get"]["security"] == [{"bearer": []}]
    assert not document["paths"]["/api/auth/token"]["post"].get("security")
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_inputs_say_that_unknown_fields_are_refused(document):
    assert document["components"]["schemas"]["SignInInputRequest"]["additionalProperties"] is False


def test_the_page_needs_nothing_inline_and_nobody_elses_server():
    answer = APIClient().get("/api/docs")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    html = answer.content.decode()
    assert not re.search(r"<style|<script>|style=|\son\w+=|https?://", html)


def test_only_gets_are_answered():
    for path in ("/api/schema", "/api/docs"):
        assert_refused(APIClient().post(path, {}), 405, "method_not_allowed")
