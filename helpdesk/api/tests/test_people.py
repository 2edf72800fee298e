"""Members, teams and contacts as the API tells them, and pages of a list."""

import pytest
from rest_framework.test import APIClient

from helpdesk.accounts.tests.factories import (
    ContactFactory,
    MembershipFactory,
    OrganizationFactory,
    TeamFactory,
    WorkspaceFactory,
)
from helpdesk.api.tests.problems import assert_refused

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
        TeamFactory(workspace=member.workspace, name="Empty")
        TeamFactory()
        body = api.get("/api/teams").json()
        assert body["teams"][0] == {"id": str(team.pk), "name": "Billing", "member_ids": [str(member.user_id)]}
        assert [entry["member_ids"] for entry in body["teams"][1:]] == [[]]

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


class TestUnknownAddresses:
    @pytest.mark.parametrize("path", ["/api/nothing", "/api", "/api/", "/api/me/more", "/api/users/5"])
    def test_they_are_404_problems(self, api, path):
        assert_refused(api.get(path), 404, "not_found")
