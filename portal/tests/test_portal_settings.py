"""Settings → Portal: what can be set, what is refused, and what comes of it."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from helpdesk.accounts.models import Membership, Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput, NotAllowed
from portal.models import PortalSettings
from portal.services import portals
from portal.tests import pictures
from tickets.tests.factories import NOW, make_agent

pytestmark = pytest.mark.django_db

FILLED = {
    "welcome_title": "Hello!",
    "welcome_text": "Ask us anything.",
    "accent": "#0B7285",
    "language": "",
    "allowed_origins": "https://www.acme.example\nhttp://localhost:3000",
    "requests_per_hour": "200",
}


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory(name="Acme Help", slug="acme")


@pytest.fixture
def admin(workspace: Workspace) -> Membership:
    return make_agent(workspace, role="admin")


@pytest.fixture
def signed_in(client: Client, admin: Membership) -> Client:
    client.force_login(admin.user)
    return client


def upload(content: bytes, name: str = "logo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def change(workspace: Workspace, by: Membership, **changes: Any) -> PortalSettings:
    return portals.change_settings(workspace=workspace, by=by, changes=changes, now=NOW)


def kept(workspace: Workspace) -> PortalSettings | None:
    return PortalSettings.objects.for_workspace(workspace).first()


def test_the_page_has_the_whole_address_and_the_line_for_other_sites(signed_in: Client, settings: Any) -> None:
    settings.SITE_URL = "https://help.example"
    page = signed_in.get(reverse("portal:settings")).text
    assert 'value="https://help.example/portal/acme"' in page
    assert '&lt;script src="https://help.example/portal/acme/widget.js" defer&gt;&lt;/script&gt;' in page
    assert "only a hidden field keeps machines out. Require the key for chatbots, too." in page


def test_saving_sets_all_of_it_and_the_form_shows_it(signed_in: Client, workspace: Workspace) -> None:
    page = signed_in.get(reverse("portal:settings"))
    assert page.status_code == 200 and kept(workspace) is None  # looking writes nothing
    answer = signed_in.post(reverse("portal:settings"), FILLED | {"asks_proof": "on", "logo": upload(pictures.png())})
    assert answer.status_code == 302, answer.context["form"].errors
    own = kept(workspace)
    assert own is not None
    assert (own.welcome_title, own.welcome_text, own.accent) == ("Hello!", "Ask us anything.", "#0b7285")
    assert own.allowed_origins == ["https://www.acme.example", "http://localhost:3000"]
    assert (own.asks_proof, own.requests_per_hour, own.language) == (True, 200, "")
    assert (own.logo_type, own.logo_width, own.logo_height) == ("image/png", 64, 64)
    page = signed_in.get(reverse("portal:settings"))
    assert "https://www.acme.example\nhttp://localhost:3000" in page.text and 'value="#0b7285"' in page.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("welcome_title", "x" * 121, "at most 120 characters"),
        ("welcome_text", "x" * 501, "at most 500 characters"),
        ("accent", "blue", "not a colour"),
        ("accent", "#12345", "not a colour"),
        ("accent", "#12345g", "not a colour"),
        ("accent", "red;}body{", "not a colour"),
        ("language", "xx", "not one of the available choices"),
        ("allowed_origins", "www.acme.example", "not the address of a site"),
        ("allowed_origins", "*", "not the address of a site"),
        ("allowed_origins", "null", "not the address of a site"),
        ("allowed_origins", "https://acme.example/shop", "not the address of a site"),
        ("allowed_origins", "https://acme.example?x=1", "not the address of a site"),
        ("allowed_origins", "https://acme.example#top", "not the address of a site"),
        ("allowed_origins", "https://*.acme.example", "not the address of a site"),
        ("allowed_origins", "https://jane@acme.example", "not the address of a site"),
        ("allowed_origins", "https://acme.example:port", "not the address of a site"),
        ("allowed_origins", "https://", "not the address of a site"),
        ("allowed_origins", "ftp://acme.example", "not the address of a site"),
        ("allowed_origins", "javascript:alert(1)", "not the address of a site"),
        ("allowed_origins", "\n".join(f"https://{number}.example" for number in range(21)), "Up to 20 sites"),
        ("requests_per_hour", "0", "greater than or equal to 1"),
        ("requests_per_hour", "100001", "less than or equal to 100000"),
        ("requests_per_hour", "", "required"),
        ("logo", upload(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "logo.svg"), "must be a picture"),
        ("logo", upload(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "logo.png"), "must be a picture"),
        ("logo", upload(b"%PDF-1.7 and so on", "logo.png"), "must be a picture"),
        ("logo", upload(pictures.png()[:12]), "must be a picture"),
        ("logo", upload(pictures.png(8, 64)), "8 × 64 pixels"),
        ("logo", upload(pictures.gif(5000, 64)), "5000 × 64 pixels"),
        ("logo", upload(pictures.png() + b"\0" * 512 * 1024), "up to 512 KB"),
        ("logo", upload(b""), "The file is empty."),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_written(
    signed_in: Client, workspace: Workspace, field: str, value: Any, message: str
) -> None:
    page = signed_in.post(reverse("portal:settings"), FILLED | {field: value})
    assert page.status_code == 400
    assert message in page.context["form"].errors[field][0]
    assert f'id="id_{field}_error"' in page.text
    assert "Hello!" in page.text or field == "welcome_title"
    assert kept(workspace) is None


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"accent": "x", "requests_per_hour": True}, {"accent", "requests_per_hour"}),
        ({"asks_proof": "yes", "allowed_origins": "https://a.example"}, {"asks_proof", "allowed_origins"}),
        ({"colour": "#000000", "welcome_title": "a\0b"}, {"colour", "welcome_title"}),
    ],
)
def test_the_service_names_every_field_at_fault(
    workspace: Workspace, admin: Membership, changes: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        change(workspace, admin, **changes)
    assert set(refused.value.errors) == fields
    assert kept(workspace) is None


@pytest.mark.parametrize("role", ["agent", "light"])
def test_only_those_who_manage_the_workspace_may(workspace: Workspace, role: str) -> None:
    for member in (make_agent(workspace, role=role), make_agent(WorkspaceFactory(), role="owner")):
        with pytest.raises(NotAllowed):
            change(workspace, member, accent="#000000")
    assert kept(workspace) is None


@pytest.mark.parametrize(
    ("typed", "is_kept"),
    [
        ("HTTPS://WWW.Acme.Example/", "https://www.acme.example"),
        ("https://acme.example:443", "https://acme.example"),
        ("http://acme.example:80/", "http://acme.example"),
        ("https://acme.example:8443", "https://acme.example:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(
    workspace: Workspace, admin: Membership, typed: str, is_kept: str
) -> None:
    assert change(workspace, admin, allowed_origins=[typed, typed]).allowed_origins == [is_kept]


@pytest.mark.parametrize(
    ("typed", "is_kept"), [("#ABC", "#aabbcc"), ("0b7285", "#0b7285"), (" #0B7285 ", "#0b7285"), ("", "")]
)
def test_a_colour_may_be_written_as_people_do(
    workspace: Workspace, admin: Membership, typed: str, is_kept: str
) -> None:
    assert change(workspace, admin, accent=typed).accent == is_kept


def test_what_is_not_given_stays(workspace: Workspace, admin: Membership) -> None:
    change(workspace, admin, accent="#0b7285", logo=upload(pictures.png()))
    own = change(workspace, admin, welcome_title="Hello")
    assert (own.accent, own.logo_width, own.welcome_title) == ("#0b7285", 64, "Hello")


class TestTheLogo:
    def test_is_served_as_what_it_is_and_kept_for_ever_at_its_address(
        self, client: Client, workspace: Workspace, admin: Membership
    ) -> None:
        content = pictures.png(80, 40)
        change(workspace, admin, logo=upload(content, "../../<script>.html"))
        html = client.get(reverse("portal:home", args=["acme"])).text
        address = f"{reverse('portal:logo', args=['acme'])}?v={portals.find(slug='acme').logo_version}"
        assert f'src="{address}" width="80" height="40" alt=""' in html
        answer = client.get(address)
        assert b"".join(answer.streaming_content) == content
        assert answer["Content-Type"] == "image/png" and answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "sandbox" in answer["Content-Security-Policy"] and "script" not in answer["Content-Disposition"]
        assert "Set-Cookie" not in answer and "Cookie" not in answer.get("Vary", "")
        unversioned = client.get(reverse("portal:logo", args=["acme"]))
        unversioned.close()
        assert unversioned["Cache-Control"] == "public, max-age=300"

    def test_another_takes_its_place_and_the_file_of_the_first_goes(
        self, workspace: Workspace, admin: Membership, django_capture_on_commit_callbacks: Any
    ) -> None:
        first = change(workspace, admin, logo=upload(pictures.png())).logo
        with django_capture_on_commit_callbacks(execute=True):
            second = change(workspace, admin, logo=upload(pictures.webp(300, 60), "b.webp"))
        assert second.logo.name != first.name and second.logo_type == "image/webp"
        assert not first.storage.exists(first.name) and second.logo.storage.exists(second.logo.name)
        assert portals.find(slug="acme").has_wide_logo

    def test_is_taken_away(
        self,
        signed_in: Client,
        workspace: Workspace,
        admin: Membership,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        first = change(workspace, admin, logo=upload(pictures.png())).logo
        with django_capture_on_commit_callbacks(execute=True):
            signed_in.post(reverse("portal:settings"), FILLED | {"removes_logo": "on"})
        own = kept(workspace)
        assert own is not None and not own.logo and (own.logo_width, own.logo_type) == (0, "")
        assert not first.storage.exists(first.name)
        assert signed_in.get(reverse("portal:logo", args=["acme"])).status_code == 404
        assert "<img" not in signed_in.get(reverse("portal:home", args=["acme"])).text

    def test_whose_file_is_lost_is_404(self, client: Client, workspace: Workspace, admin: Membership) -> None:
        logo = change(workspace, admin, logo=upload(pictures.png())).logo
        logo.storage.delete(logo.name)
        assert client.get(reverse("portal:logo", args=["acme"])).status_code == 404


class TestTheStyleSheet:
    def test_carries_the_accent_and_is_linked_by_every_page_of_the_portal(
        self, client: Client, workspace: Workspace, admin: Membership
    ) -> None:
        change(workspace, admin, accent="#0b7285")
        address = f"{reverse('portal:brand', args=['acme'])}?v={portals.find(slug='acme').brand_version}"
        for name in ("home", "submit"):
            html = client.get(reverse(f"portal:{name}", args=["acme"])).text
            assert f'<link rel="stylesheet" href="{address}">' in html and " style=" not in html
        answer = client.get(address)
        assert answer["Content-Type"] == "text/css; charset=utf-8" and "--accent: light-dark(#0b7285, " in answer.text
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Cookie" not in answer.get("Vary", "")
        assert client.get(f"{reverse('portal:brand', args=['acme'])}?v=old")["Cache-Control"] == "public, max-age=300"

    def test_is_empty_without_an_accent_and_not_linked(self, client: Client, workspace: Workspace) -> None:
        assert client.get(reverse("portal:brand", args=["acme"])).text == ""
        assert "brand.css" not in client.get(reverse("portal:home", args=["acme"])).text

    def test_of_a_portal_that_does_not_exist_is_404(self, client: Client) -> None:
        for name in ("brand", "logo"):
            assert client.get(reverse(f"portal:{name}", args=["nobody"])).status_code == 404


def test_the_preview_shows_how_a_colour_comes_out(signed_in: Client) -> None:
    address = reverse("portal:settings-accent")
    assert "#0b7285" in signed_in.get(address, {"accent": "0B7285"}).text
    pale = signed_in.get(address, {"accent": "#ffd43b"}).text
    assert "too pale" in pale and " style=" not in pale
    for nothing in ("", "x", "<script>", "#12"):
        assert signed_in.get(address, {"accent": nothing}).text.strip() == ""


def test_the_page_takes_few_queries(
    signed_in: Client, workspace: Workspace, django_assert_max_num_queries: Any
) -> None:
    signed_in.get(reverse("portal:settings"))
    with django_assert_max_num_queries(6):
        signed_in.get(reverse("portal:settings"))
