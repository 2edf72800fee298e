"""The puzzle before a request, the trap for machines, and how many requests a workspace takes from strangers."""

import base64
import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as ValkeyAway

from helpdesk.accounts.models import Contact, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.api import throttles
from helpdesk.api.models import IdempotencyKey
from helpdesk.errors import InvalidInput
from portal.models import PortalSettings
from portal.services import portals, puzzles, strangers
from portal.tests.factories import make_settings, solve
from tickets.models import Activity, Ticket

pytestmark = pytest.mark.django_db
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def workspace() -> Workspace:
    workspace = WorkspaceFactory(name="Acme Help", slug="acme")
    make_settings(workspace, asks_proof=True)
    return workspace


@pytest.fixture(autouse=True)
def _easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puzzles that a test solves at once."""
    monkeypatch.setattr(puzzles, "COST", 10)
    monkeypatch.setattr(puzzles, "TRIES", 20)


def solved(workspace: Workspace, now: dt.datetime | None = None) -> str:
    return solve(puzzles.make(workspace=workspace, now=now or timezone.now()))


def submit(client: Client, workspace: Workspace, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {
        "workspace_id": str(workspace.pk),
        "subject": "Where is my parcel?",
        "description": "It was sent a week ago.",
        "requester_email": "jane@customers.example",
    }
    given = json.dumps(body | fields)
    return client.post("/api/public/tickets", given, content_type="application/json", headers=headers or {})


def nothing_was_written() -> bool:
    return not any(model.unscoped.exists() for model in (Ticket, Contact, Activity, IdempotencyKey))


def why(answer: Any, field: str = "proof") -> str:
    """What the answer says of this one field, and of no other."""
    assert answer.status_code == 400 and list(answer.json()["errors"]) == [field], answer.text
    return str(answer.json()["errors"][field][0])


def altered(proof: str, **parameters: Any) -> str:
    payload = json.loads(base64.b64decode(proof))
    payload["challenge"]["parameters"] |= parameters
    return base64.b64encode(json.dumps(payload).encode()).decode()


class TestTheChallenge:
    def ask(self, client: Client, workspace_id: Any) -> Any:
        return client.get("/api/public/challenge", {"workspace_id": str(workspace_id)})

    def test_is_a_puzzle_of_altcha_that_is_kept_nowhere(
        self, client: Client, workspace: Workspace, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(1):
            answer = self.ask(client, workspace.pk)
        assert answer.status_code == 200 and answer["Cache-Control"] == "no-store"
        assert answer.json()["parameters"]["algorithm"] == "PBKDF2/SHA-256"
        assert submit(client, workspace, proof=solve(answer.json())).status_code == 201

    def test_is_another_one_each_time(self, client: Client, workspace: Workspace) -> None:
        nonces = {self.ask(client, workspace.pk).json()["parameters"]["nonce"] for _ in range(5)}
        assert len(nonces) == 5

    def test_tells_nothing_of_the_workspace_or_the_secret(self, client: Client, workspace: Workspace) -> None:
        assert str(workspace.pk) not in self.ask(client, workspace.pk).text

    @pytest.mark.parametrize("name", ["", "acme", "1"])
    def test_names_the_parameter_that_is_wrong(self, client: Client, workspace: Workspace, name: str) -> None:
        assert why(self.ask(client, name), "workspace_id")
        assert why(client.get("/api/public/challenge"), "workspace_id")

    def test_of_an_unknown_workspace_is_404(self, client: Client, workspace: Workspace) -> None:
        assert self.ask(client, uuid4()).status_code == 404


class TestTheProof:
    @pytest.mark.parametrize(
        ("proof", "message"),
        [
            (None, "Please solve the puzzle first."),
            ("", "Please solve the puzzle first."),
            ("nonsense", "This is not the solution of a puzzle."),
            (base64.b64encode(b"[]").decode(), "This is not the solution of a puzzle."),
            (base64.b64encode(b'{"challenge": {}}').decode(), "This is not the solution of a puzzle."),
            (base64.b64encode(b"\xff").decode(), "This is not the solution of a puzzle."),
            ("x" * 4001, "Ensure this field has no more than 4000 characters."),
        ],
    )
    def test_that_is_none_is_refused_and_nothing_is_written(
        self, client: Client, workspace: Workspace, proof: str | None, message: str
    ) -> None:
        fields = {} if proof is None else {"proof": proof}
        assert why(submit(client, workspace, **fields)) == message
        assert nothing_was_written()

    def test_is_good_for_one_request(self, client: Client, workspace: Workspace) -> None:
        proof = solved(workspace)
        assert submit(client, workspace, proof=proof).status_code == 201
        assert "used before" in why(submit(client, workspace, proof=proof))
        assert Ticket.unscoped.count() == 1

    def test_written_otherwise_is_the_same_one(self, client: Client, workspace: Workspace) -> None:
        proof = solved(workspace)
        assert submit(client, workspace, proof=proof).status_code == 201
        payload = json.loads(base64.b64decode(proof))
        payload["solution"] |= {"time": 1, "derivedKey": payload["solution"]["derivedKey"].upper()}
        again = base64.b64encode(json.dumps(payload, indent=1).encode()).decode()
        assert "used before" in why(submit(client, workspace, proof=again))

    def test_of_another_workspace_is_refused(self, client: Client, workspace: Workspace) -> None:
        assert "not the solution" in why(submit(client, workspace, proof=solved(WorkspaceFactory())))
        assert nothing_was_written()

    @pytest.mark.parametrize(("age", "is_good"), [(9 * MINUTE, True), (11 * MINUTE, False)])
    def test_ends_after_ten_minutes(
        self, client: Client, workspace: Workspace, age: dt.timedelta, is_good: bool
    ) -> None:
        answer = submit(client, workspace, proof=solved(workspace, timezone.now() - age))
        if is_good:
            assert answer.status_code == 201
        else:
            assert "time for this puzzle is over" in why(answer)
            assert nothing_was_written()

    @pytest.mark.parametrize(
        "parameters",
        [{"expiresAt": 4_000_000_000}, {"expiresAt": None}, {"keyPrefix": "00"}, {"cost": 1}, {"nonce": "00" * 16}],
    )
    def test_whose_puzzle_was_altered_is_refused(
        self, client: Client, workspace: Workspace, parameters: dict[str, Any]
    ) -> None:
        assert "not the solution" in why(submit(client, workspace, proof=altered(solved(workspace), **parameters)))
        assert nothing_was_written()

    def test_with_a_wrong_number_or_key_is_refused(self, client: Client, workspace: Workspace) -> None:
        payload = json.loads(base64.b64decode(solved(workspace)))
        payload["solution"] = {"counter": 0, "derivedKey": "00" * 32}
        assert "not the solution" in why(
            submit(client, workspace, proof=base64.b64encode(json.dumps(payload).encode()).decode())
        )

    def test_is_not_asked_again_of_a_request_that_is_sent_twice(self, client: Client, workspace: Workspace) -> None:
        proof, headers = solved(workspace), {"Idempotency-Key": "k"}
        first = submit(client, workspace, headers, proof=proof)
        again = submit(client, workspace, headers, proof=proof)
        assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
        assert Ticket.unscoped.count() == 1

    def test_may_be_used_again_while_valkey_is_away(
        self, client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(name: str) -> Any:
            raise ValkeyAway

        monkeypatch.setattr(throttles, "get_redis_connection", away)
        monkeypatch.setattr(throttles, "_away_until", 0.0)
        proof = solved(workspace)
        assert submit(client, workspace, proof=proof).status_code == 201
        assert submit(client, workspace, proof=proof).status_code == 201
        assert why(submit(client, workspace))  # but there must be one

    def test_is_not_looked_at_where_nobody_asks_for_it(self, client: Client) -> None:
        workspace = WorkspaceFactory()
        assert submit(client, workspace).status_code == 201
        assert submit(client, workspace, proof="nonsense").status_code == 201

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["challenge", "solution", "parameters", "signature", "counter", "nonce", "expiresAt"]
                    )
                    | st.text(max_size=3),
                    inner,
                    max_size=4,
                )
            ),
        )
    )
    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_whatever_it_is_never_breaks_anything(self, value: Any) -> None:
        workspace = Workspace(pk=uuid4())
        for part in (value, {"challenge": {"parameters": value}, "solution": value}):
            proof = base64.b64encode(json.dumps(part).encode()).decode()
            with pytest.raises(InvalidInput):
                puzzles.check(workspace=workspace, proof=proof, now=timezone.now())


class TestTheTrap:
    def test_that_is_filled_in_is_refused_and_named(self, client: Client) -> None:
        assert "only machines" in why(submit(client, WorkspaceFactory(), website="https://spam.example"), "website")
        assert nothing_was_written()

    def test_comes_before_the_puzzle_which_stays_good(self, client: Client, workspace: Workspace) -> None:
        proof = solved(workspace)
        assert why(submit(client, workspace, website="x", proof=proof), "website")
        assert submit(client, workspace, website="", proof=proof).status_code == 201


class TestTheForm:
    """The portal's own page solves the puzzle where it has scripts."""

    FILLED = {"subject": "Lost parcel", "description": "A week ago.", "name": "", "email": "jane@customers.example"}

    def send(self, client: Client, **fields: Any) -> Any:
        return client.post(reverse("portal:submit", args=["acme"]), self.FILLED | fields)

    def test_names_the_puzzle_where_the_workspace_asks_for_one(self, client: Client, workspace: Workspace) -> None:
        address = f"/api/public/challenge?workspace_id={workspace.pk}"
        assert f'data-challenge="{address}"' in client.get(reverse("portal:submit", args=["acme"])).text
        PortalSettings.objects.for_workspace(workspace).update(asks_proof=False)
        assert "data-challenge" not in client.get(reverse("portal:submit", args=["acme"])).text

    def test_takes_a_request_with_its_proof_and_without_scripts_one_that_has_none(
        self, client: Client, workspace: Workspace
    ) -> None:
        assert self.send(client, proof=solved(workspace)).status_code == 302
        assert self.send(client).status_code == 302
        assert Ticket.unscoped.count() == 2

    def test_says_when_a_proof_is_wrong_and_loses_nothing_but_the_proof(
        self, client: Client, workspace: Workspace
    ) -> None:
        proof = solved(workspace, timezone.now() - 11 * MINUTE)
        page = self.send(client, proof=proof)
        assert page.status_code == 400
        assert "The time for this puzzle is over. Please send it again." in page.text
        assert "Lost parcel" in page.text and proof not in page.text
        assert nothing_was_written()


class TestTheLimit:
    """So many requests of strangers in an hour, whichever way they come."""

    @pytest.fixture
    def workspace(self) -> Workspace:
        workspace = WorkspaceFactory(name="Acme Help", slug="acme")
        make_settings(workspace, requests_per_hour=2)
        return workspace

    def send(self, client: Client) -> Any:
        return client.post(reverse("portal:submit", args=["acme"]), TestTheForm.FILLED)

    def test_counts_api_and_form_together(self, client: Client, workspace: Workspace) -> None:
        assert submit(client, workspace).status_code == 201
        assert self.send(client).status_code == 302
        answer = submit(client, workspace, {"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert 3500 < int(answer["Retry-After"]) <= 3600
        page = self.send(client)
        assert page.status_code == 429 and 3500 < int(page["Retry-After"]) <= 3600
        assert "Please try again in 60 minutes." in page.text and "Lost parcel" in page.text
        assert Ticket.unscoped.count() == 2 and not IdempotencyKey.unscoped.exists()

    def test_is_each_workspace_s_own(self, client: Client, workspace: Workspace) -> None:
        for _ in range(2):
            submit(client, workspace)
        assert submit(client, workspace).status_code == 429
        assert submit(client, WorkspaceFactory()).status_code == 201

    def test_does_not_count_what_is_refused_or_sent_twice(self, client: Client, workspace: Workspace) -> None:
        for _ in range(3):
            assert submit(client, workspace, subject="").status_code == 400
            assert submit(client, workspace, website="x").status_code == 400
            assert submit(client, workspace, {"Idempotency-Key": "k"}).status_code == 201
        assert submit(client, workspace).status_code == 201
        assert submit(client, workspace).status_code == 429

    def test_holds_nobody_back_while_valkey_is_away(
        self, client: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(strangers, "seconds_to_wait", lambda *asked: None)
        assert [submit(client, workspace).status_code for _ in range(3)] == [201] * 3

    def test_does_not_let_proofs_that_are_wrong_use_it_up(self, client: Client, workspace: Workspace) -> None:
        PortalSettings.objects.for_workspace(workspace).update(asks_proof=True)
        for _ in range(3):
            assert why(submit(client, workspace))
        portal = portals.find(slug="acme")
        strangers.let_in(portal=portal, proof=solved(workspace), is_proof_needed=True, now=timezone.now())
