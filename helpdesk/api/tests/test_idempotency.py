"""A create that is sent twice happens once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from rest_framework.test import APIClient

from helpdesk.accounts.models import Team
from helpdesk.accounts.tests.factories import MembershipFactory, WorkspaceFactory
from helpdesk.api.models import IdempotencyKey
from helpdesk.api.tests.problems import assert_refused

pytestmark = pytest.mark.urls("helpdesk.api.tests.urls")


def post(api, name="x", key="k-1", path="/api/test/teams", **more):
    return api.post(path, {"name": name} | more, HTTP_IDEMPOTENCY_KEY=key)


@pytest.mark.django_db
class TestRepeating:
    @pytest.fixture
    def member(self):
        return MembershipFactory(role="admin")

    @pytest.fixture
    def api(self, member, client_of):
        return client_of(member)

    def test_gives_the_same_answer_to_the_byte_and_says_so(self, api):
        first, second = post(api), post(api)
        assert first.status_code == second.status_code == 201
        assert first.content == second.content
        assert first["Location"] == second["Location"]
        assert not first.has_header("Idempotency-Replayed")
        assert second["Idempotency-Replayed"] == "true"
        assert Team.unscoped.count() == 1

    def test_white_space_and_the_order_of_names_do_not_matter(self, api):
        first = api.generic(
            "POST", "/api/test/teams", '{"name":"x","size":1}', "application/json", HTTP_IDEMPOTENCY_KEY="k"
        )
        second = api.generic(
            "POST", "/api/test/teams/", '{ "size": 1, "name": "x"}', "application/json", HTTP_IDEMPOTENCY_KEY="k"
        )
        assert first.content == second.content

    def test_another_body_or_endpoint_is_422(self, api):
        post(api)
        assert_refused(post(api, name="y"), 422, "idempotency_mismatch", "Idempotency-Key")
        assert_refused(post(api, path="/api/test/other-teams"), 422, "idempotency_mismatch", "Idempotency-Key")
        assert Team.unscoped.count() == 1

    def test_without_the_header_or_with_another_key_it_happens_again(self, api):
        post(api)
        post(api, name="y", key="k-2")
        assert api.post("/api/test/teams", {"name": "z"}).status_code == 201
        assert Team.unscoped.count() == 3

    def test_keys_of_other_callers_are_their_own(self, api, member, client_of):
        post(api)
        colleague = client_of(MembershipFactory(workspace=member.workspace, role="admin"))
        stranger = client_of(MembershipFactory(role="admin"))
        assert post(colleague, name="y").status_code == 201
        assert post(stranger).status_code == 201
        assert Team.unscoped.count() == 3

    @pytest.mark.parametrize("name", ["taken", "refused", ""])
    def test_a_failed_try_keeps_nothing_and_can_be_repeated(self, api, name):
        assert post(api, name=name).status_code in (400, 409)
        assert not IdempotencyKey.unscoped.exists()
        assert not Team.unscoped.exists()
        assert post(api, name="y").status_code == 201

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "é", "a\tb"])
    def test_a_malformed_key_is_named_and_nothing_happens(self, api, key):
        assert_refused(post(api, key=key), 400, "invalid", "Idempotency-Key")
        assert not Team.unscoped.exists()

    def test_a_refused_role_keeps_nothing(self, client_of):
        assert post(client_of(MembershipFactory(role="light"))).status_code == 403
        assert not IdempotencyKey.unscoped.exists()


@pytest.mark.django_db
def test_a_public_endpoint_has_keys_of_its_own():
    WorkspaceFactory()
    first, second = (post(APIClient(), path="/api/test/form") for _ in range(2))
    assert first.status_code == 201
    assert first.content == second.content
    assert IdempotencyKey.unscoped.get().caller == "public"


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_waits_and_gets_the_answer_of_the_other(client_of):
    member = MembershipFactory(role="admin")
    api = client_of(member)
    together = threading.Barrier(4)

    def send(_):
        try:
            together.wait(5)
            client = APIClient()
            client.credentials(**api._credentials)
            return post(client)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.has_header("Idempotency-Replayed") for answer in answers) == 3
    assert Team.unscoped.count() == 1
