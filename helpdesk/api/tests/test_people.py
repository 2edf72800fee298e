"""Members, teams and contacts as the API tells them, and pages of a list."""

import datetime as dt

import pytest
from rest_framework.test import APIClient

from helpdesk.accounts import services, tokens
from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import (
    ContactFactory,
    MembershipFactory,
    OrganizationFactory,
    TeamFactory,
    WorkspaceFactory,
)
from helpdesk.api.tests.problems import assert_refused
from helpdesk.errors import InvalidInput, NotAllowed

pytestmark = pytest.mark.django_db

LISTS = ["users", "teams", "contacts"]
READS = ["me", *LISTS]
ROLES = ["owner", "admin", "agent", "light"]


@pytest.fixture
def member():
    return MembershipFactory(user__name="Maria", user__email="maria@example.com", role="admin")


@pytest.fixture
def api(member, client_of):
    return client_of(member)


class TestLists:
    def test_users_are_the_members_and_say_who_left(self, api, member):
        gone = MembershipFactory(workspace=member.workspace, user__name="Zoe", is_active=False, role="light")
        closed = MembershipFactory(workspace=member.workspace, user__name="Adam", user__is_active=False)
        MembershipFactory()
        body = api.get("/api/users").json()
        assert [(user["id"], user["name"], user["role"], user["is_active"]) for user in body["users"]] == [
            (str(closed.user_id), "Adam", "agent", False),
            (str(member.user_id), "Maria", "admin", True),
            (str(gone.user_id), "Zoe", "light", False),
        ]
        assert set(body["users"][0]) == {"id", "email", "name", "role", "is_active"}
        assert body["pagination"] == {"page": 1, "limit": 20, "total": 3, "totalPages": 1}

    def test_teams_list_the_people_in_them(self, api, member):
        team = TeamFactory(workspace=member.workspace, name="Billing")
        team.members.add(member)
        led = TeamFactory(workspace=member.workspace, name="Care", lead=member)
        led.members.add(member)
        TeamFactory(workspace=member.workspace, name="Empty")
        TeamFactory()
        body = api.get("/api/teams").json()
        assert body["teams"][0] == {
            "id": str(team.pk),
            "name": "Billing",
            "member_ids": [str(member.user_id)],
            "lead_id": None,
        }
        assert [entry["lead_id"] for entry in body["teams"]] == [None, str(member.user_id), None]
        assert [entry["member_ids"] for entry in body["teams"][2:]] == [[]]

    def test_contacts_carry_their_organization_and_attributes(self, api, member):
        company = OrganizationFactory(workspace=member.workspace)
        contact = ContactFactory(
            workspace=member.workspace,
            name="Jane",
            email="jane@a.example",
            organization=company,
            attributes={"plan": "pro"},
        )
        ContactFactory()
        assert api.get("/api/contacts").json()["contacts"] == [
            {
                "id": str(contact.pk),
                "email": "jane@a.example",
                "name": "Jane",
                "organization_id": str(company.pk),
                "attributes": {"plan": "pro"},
            }
        ]

    @pytest.mark.parametrize(
        ("search", "found"),
        [("jan", ["jane@a.example"]), ("A.EXAMPLE", ["bob@a.example", "jane@a.example"]), ("%", []), ("nobody", [])],
    )
    def test_contacts_are_found_by_a_part_of_name_or_address(self, api, member, search, found):
        ContactFactory(workspace=member.workspace, name="Jane Smith", email="jane@a.example")
        ContactFactory(workspace=member.workspace, name="Bob", email="bob@a.example")
        ContactFactory(name="Jane Foreign")
        body = api.get("/api/contacts", {"search": search}).json()
        assert [contact["email"] for contact in body["contacts"]] == found
        assert body["pagination"]["total"] == len(found)

    @pytest.mark.parametrize("path", READS)
    def test_a_foreign_workspace_is_not_seen(self, path, client_of, member):
        ContactFactory(workspace=member.workspace, email="hidden@a.example")
        TeamFactory(workspace=member.workspace, name="hidden team")
        stranger = MembershipFactory(workspace=WorkspaceFactory())
        assert b"hidden" not in client_of(stranger).get(f"/api/{path}").content
        assert b"maria" not in client_of(stranger).get(f"/api/{path}").content

    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("path", READS)
    def test_every_role_may_read(self, path, role, client_of):
        assert client_of(MembershipFactory(role=role)).get(f"/api/{path}").status_code == 200

    @pytest.mark.parametrize("path", READS)
    def test_without_a_token_it_is_401(self, path):
        assert_refused(APIClient().get(f"/api/{path}"), 401, "not_authenticated")

    @pytest.mark.parametrize("role", ["owner", "light"])
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "trace"])
    @pytest.mark.parametrize("path", READS)
    def test_a_wrong_method_is_405_and_says_which_are_right(self, path, method, role, client_of):
        client = client_of(MembershipFactory(role=role))
        answer = client.generic(method.upper(), f"/api/{path}")
        assert_refused(answer, 405, "method_not_allowed")
        assert answer["Allow"] == "GET, HEAD, OPTIONS"

    @pytest.mark.parametrize("path", READS)
    def test_options_and_head_have_no_body(self, path, api):
        assert api.options(f"/api/{path}").status_code == 204
        assert api.head(f"/api/{path}").content == b""

    @pytest.mark.parametrize("path", READS)
    def test_one_trailing_slash_is_tolerated(self, path, api):
        assert api.get(f"/api/{path}/").status_code == 200

    @pytest.mark.parametrize("path", READS)
    def test_the_accept_header_does_not_matter(self, path, api):
        answer = api.get(f"/api/{path}", HTTP_ACCEPT="text/html")
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/json"

    @pytest.mark.parametrize(("path", "most"), [("me", 1), ("users", 2), ("teams", 3), ("contacts", 2)])
    def test_the_number_of_queries_does_not_grow_with_the_rows(
        self, path, most, api, member, django_assert_max_num_queries
    ):
        for _ in range(5):
            other = MembershipFactory(workspace=member.workspace)
            TeamFactory(workspace=member.workspace).members.add(member, other)
            ContactFactory(workspace=member.workspace)
        with django_assert_max_num_queries(most):
            assert api.get(f"/api/{path}").status_code == 200


class TestPages:
    @pytest.fixture(autouse=True)
    def five_contacts(self, member):
        for number in range(5):
            ContactFactory(workspace=member.workspace, email=f"c{number}@a.example")

    @pytest.mark.parametrize(
        ("query", "emails", "pagination"),
        [
            ("limit=2", ["c0", "c1"], (1, 2, 5, 3)),
            ("limit=2&page=2", ["c2", "c3"], (2, 2, 5, 3)),
            ("limit=2&page=3", ["c4"], (3, 2, 5, 3)),
            ("limit=5", ["c0", "c1", "c2", "c3", "c4"], (1, 5, 5, 1)),
            ("limit=100&page=1", ["c0", "c1", "c2", "c3", "c4"], (1, 100, 5, 1)),
        ],
    )
    def test_a_page_and_where_it_stands(self, api, query, emails, pagination):
        body = api.get(f"/api/contacts?{query}").json()
        assert [contact["email"] for contact in body["contacts"]] == [f"{name}@a.example" for name in emails]
        assert tuple(body["pagination"].values()) == pagination

    @pytest.mark.parametrize("page", ["4", "6", "1000000"])
    def test_a_page_behind_the_last_is_404_and_says_how_many_there_are(self, api, page):
        body = assert_refused(api.get(f"/api/contacts?limit=2&page={page}"), 404, "no_such_page", "page")
        assert body["errors"]["page"] == ["There are only 3 pages."]

    def test_an_empty_list_has_an_empty_first_page(self, api):
        assert api.get("/api/teams").json() == {
            "teams": [],
            "pagination": {"page": 1, "limit": 20, "total": 0, "totalPages": 0},
        }
        assert_refused(api.get("/api/teams?page=2"), 404, "no_such_page", "page")

    @pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "1e3", "٣", "9" * 30, "1000001", " 1", "%00", "%FF"])
    @pytest.mark.parametrize("path", LISTS)
    def test_an_absurd_page_is_named(self, api, path, value):
        answer = api.get(f"/api/{path}?page={value}")
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == (["query"] if value in ("%00", "%FF") else ["page"])

    @pytest.mark.parametrize("value", ["0", "101", "-5", "all", "9" * 30])
    def test_an_absurd_limit_is_named(self, api, value):
        assert_refused(api.get(f"/api/contacts?limit={value}"), 400, "invalid", "limit")
        assert_refused(api.get(f"/api/contacts?limit={value}&page=x"), 400, "invalid", "limit", "page")

    def test_a_kept_count_is_used_instead_of_counting(self, rf, member, django_assert_num_queries):
        from rest_framework.request import Request

        from helpdesk.accounts.models import Contact
        from helpdesk.api.pagination import paginated

        rows = Contact.objects.for_workspace(member.workspace).order_by("email")
        with django_assert_num_queries(1):
            answer = paginated(
                Request(rf.get("/?limit=2")), rows, plural="contacts", to_json=lambda found: found, total=lambda: 40
            )
        assert answer.data["pagination"] == {"page": 1, "limit": 2, "total": 40, "totalPages": 20}


class TestParameters:
    @pytest.mark.parametrize("path", READS)
    def test_an_unknown_one_is_refused_by_name(self, api, path):
        assert_refused(api.get(f"/api/{path}?serach=jane&x=1"), 400, "invalid", "serach", "x")


OWN = "/api/me/availability"
UNKNOWN = "0190aaaa-0000-7000-8000-000000000000"


def of_user(member):
    return f"/api/users/{member.user_id}/availability"


def kept():
    return list(Membership.unscoped.order_by("pk").values())


class TestOwnAvailability:
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_everybody_comes_and_goes(self, client_of, role, method):
        member = MembershipFactory(role=role, capacity=7)
        other = MembershipFactory(workspace=member.workspace)
        elsewhere = MembershipFactory(user=member.user)
        api = client_of(member)
        assert api.get(OWN).json() == {"is_available": True, "capacity": 7}
        for is_available in (False, False, True):
            answer = getattr(api, method)(OWN, {"is_available": is_available}, format="json")
            assert answer.status_code == 200
            assert answer.json() == api.get(OWN).json() == {"is_available": is_available, "capacity": 7}
        api.put(OWN, {"is_available": False}, format="json")
        assert api.put(OWN, {}, format="json").json()["is_available"] is False
        for untouched in (other, elsewhere):
            untouched.refresh_from_db()
            assert untouched.is_available

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"is_available": None}, "is_available"),
            ({"is_available": "false"}, "is_available"),
            ({"is_available": 0}, "is_available"),
            ({"is_available": []}, "is_available"),
            ({"is_available": False, "capacity": 5}, "capacity"),
            ({"is_available": False, "role": "owner"}, "role"),
        ],
    )
    def test_what_is_wrong_is_named(self, api, body, field):
        before = kept()
        assert_refused(api.put(OWN, body, format="json"), 400, "invalid", field)
        assert_refused(api.patch(OWN, body, format="json"), 400, "invalid", field)
        assert kept() == before

    def test_a_key_that_only_reads_does_not_change_it(self, member):
        now = dt.datetime.now(dt.UTC)
        for scope, status in (("read", 403), ("write", 200)):
            _, key = tokens.make_api_key(membership=member, name="k", scopes=[scope], expires_at=None, now=now)
            client = APIClient()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
            assert client.get(OWN).status_code == 200
            assert client.put(OWN, {"is_available": False}, format="json").status_code == status

    def test_it_takes_a_token_and_no_other_method(self, api):
        assert_refused(APIClient().get(OWN), 401, "not_authenticated")
        assert_refused(APIClient().put(OWN, {"is_available": False}, format="json"), 401, "not_authenticated")
        for method in ("post", "delete"):
            assert_refused(getattr(api, method)(OWN), 405, "method_not_allowed")
        assert_refused(api.get(f"{OWN}?x=1"), 400, "invalid", "x")

    def test_it_costs_little(self, api, django_assert_max_num_queries):
        with django_assert_max_num_queries(1):
            api.get(OWN)
        with django_assert_max_num_queries(5):
            api.put(OWN, {"is_available": False}, format="json")


class TestAvailabilityOfOthers:
    @pytest.mark.parametrize("role", ["owner", "admin"])
    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_admins_set_what_they_send(self, client_of, role, method):
        api = client_of(admin := MembershipFactory(role=role))
        for member in (MembershipFactory(workspace=admin.workspace, role="owner"), admin):
            for body, expected in (
                ({"capacity": 30}, (True, 30)),
                ({"is_available": False}, (False, 30)),
                ({}, (False, 30)),
                ({"is_available": True, "capacity": 1}, (True, 1)),
                ({"capacity": 10_000}, (True, 10_000)),
                ({"capacity": None}, (True, None)),
            ):
                answer = getattr(api, method)(of_user(member), body, format="json")
                assert answer.status_code == 200
                assert answer.json() == dict(zip(("is_available", "capacity"), expected, strict=True))
                member.refresh_from_db()
                assert (member.is_available, member.capacity) == expected

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"is_available": None}, "is_available"),
            ({"is_available": 1}, "is_available"),
            *[({"capacity": value}, "capacity") for value in (0, -1, 10_001, 2**62, 2**70, 1.5, True, "5", [], {})],
            ({"capacity": 5, "role": "owner"}, "role"),
            ({"capacity": 5, "is_active": False}, "is_active"),
        ],
    )
    def test_what_is_wrong_is_named(self, api, member, body, field):
        other = MembershipFactory(workspace=member.workspace)
        before = kept()
        assert_refused(api.put(of_user(other), body, format="json"), 400, "invalid", field)
        assert_refused(api.patch(of_user(other), body, format="json"), 400, "invalid", field)
        assert kept() == before

    @pytest.mark.parametrize("role", ["agent", "light"])
    def test_others_may_not_even_for_themselves(self, client_of, role):
        member = MembershipFactory(role=role)
        other = MembershipFactory(workspace=member.workspace)
        before = kept()
        for whose in (other, member):
            for method in ("put", "patch"):
                answer = getattr(client_of(member), method)(of_user(whose), {"capacity": 5}, format="json")
                assert_refused(answer, 403, "not_allowed")
        assert kept() == before

    def test_a_foreign_member_is_like_an_unknown_one(self, api):
        foreign = MembershipFactory()
        before = kept()
        for path in (of_user(foreign), f"/api/users/{UNKNOWN}/availability"):
            for method in ("put", "patch"):
                assert_refused(getattr(api, method)(path, {"capacity": 5}, format="json"), 404, "not_found", "id")
        assert kept() == before

    def test_it_takes_a_token_and_no_other_method(self, api, member):
        assert_refused(APIClient().put(of_user(member), {}, format="json"), 401, "not_authenticated")
        for method in ("get", "post", "delete"):
            assert_refused(getattr(api, method)(of_user(member)), 405, "method_not_allowed")

    def test_the_service_judges_by_itself(self, member):
        agent = MembershipFactory(workspace=member.workspace)
        now = dt.datetime.now(dt.UTC)
        services.set_availability(membership=agent, is_available=False, by=agent, now=now)
        services.set_availability(membership=agent, capacity=3, by=None, now=now)
        before = kept()
        for by in (agent, MembershipFactory(role="owner")):
            with pytest.raises(NotAllowed):
                services.set_availability(membership=agent, capacity=5, by=by, now=now)
        with pytest.raises(NotAllowed):
            services.set_availability(membership=member, is_available=False, by=agent, now=now)
        for wrong in ({"capacity": 0}, {"capacity": True}, {"capacity": 10_001}, {"is_available": None}):
            with pytest.raises(InvalidInput) as refused:
                services.set_availability(membership=agent, by=member, now=now, **wrong)
            assert list(refused.value.errors) == list(wrong)
        assert [row for row in kept() if row["workspace_id"] == member.workspace_id] == [
            row for row in before if row["workspace_id"] == member.workspace_id
        ]


class TestUnknownAddresses:
    @pytest.mark.parametrize("path", ["/api/nothing", "/api", "/api/", "/api/me/more", "/api/users/5"])
    def test_they_are_404_problems(self, api, path):
        assert_refused(api.get(path), 404, "not_found")
