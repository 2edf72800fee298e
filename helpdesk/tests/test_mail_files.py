"""The demo's mail: files instead of messages, and the pages that show them to whoever sits at the machine."""

import datetime as dt
import stat
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection
from django.test import Client
from django.urls import reverse

from helpdesk import mail_files
from helpdesk.tests.browser import accessible, picture

NOW = dt.datetime(2025, 3, 12, 10, 0, tzinfo=dt.UTC)
HTML = "<p style='color:teal'>Good day <b>Jane</b>, <a href='https://desk.example/rate'>rate us</a>.</p>"


@pytest.fixture
def demo(settings: Any, tmp_path: Any) -> Any:
    """The demo, with an empty folder."""
    settings.ENVIRONMENT = "demo"
    settings.DATA_DIR = tmp_path
    settings.EMAIL_BACKEND = "helpdesk.mail_files.FileBackend"
    return settings


def write(subject: str = "Your order ☕", **more: Any) -> str:
    """Send a mail through the backend; gives the name of its file."""
    known = set(mail_files.names())
    mail = EmailMultiAlternatives(
        subject,
        "Good day Jane, see https://desk.example/rate & <b>rate</b> us.",
        '"Acme Support" <support@acme.example>',
        ["Jane Doe <jane@customer.example>"],
        connection=get_connection("helpdesk.mail_files.FileBackend"),
        headers={"Auto-Submitted": "auto-generated", "Message-ID": "<1@acme.example>"},
        **more,
    )
    mail.attach_alternative(HTML, "text/html")
    assert mail.send() == 1
    (name,) = set(mail_files.names()) - known
    return name


class TestWriting:
    def test_each_mail_is_a_whole_file_that_nobody_else_reads(self, demo: Any) -> None:
        name = write(bcc=["quiet@acme.example"])
        path = mail_files.folder() / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [entry.name for entry in path.parent.iterdir()] == [name]
        top, _, _ = path.read_bytes().partition(b"MIME-Version")
        assert b"Delivered-To: quiet@acme.example\r\n" in path.read_bytes()
        assert top.startswith(b"Return-Path: ")
        assert path.read_bytes().replace(b"\r\n", b"").count(b"\n") == 0

    def test_a_mail_to_nobody_is_not_written(self, demo: Any) -> None:
        mail = EmailMultiAlternatives("x", "x", "a@acme.example", [])
        assert get_connection("helpdesk.mail_files.FileBackend").send_messages([mail]) == 0
        assert mail_files.names() == []

    def test_names_sort_by_time(self, demo: Any) -> None:
        made = [mail_files.keep(b"Subject: x\r\n\r\n", now=NOW + dt.timedelta(seconds=n / 7)) for n in range(20)]
        assert mail_files.names() == made[::-1]

    def test_nothing_that_came_between_can_be_read_as_a_header(self, demo: Any) -> None:
        with pytest.raises(ValueError, match="newlines"):
            write(subject="x\r\nBcc: everybody@acme.example")
        assert mail_files.names() == []

    def test_what_is_no_mail_is_read_nevertheless(self, demo: Any) -> None:
        for raw in (b"", b"\0\xff\xfe", b"Content-Type: text/plain; charset=nonsense\r\n\r\nh\xe9", b"a" * 100_000):
            letter = mail_files.read(mail_files.keep(raw, now=NOW))
            assert letter is not None
        assert len(mail_files.lines(mail_files.names())) == 4


class TestPages:
    def test_the_list_shows_the_newest_first(self, demo: Any, client: Client) -> None:
        for number in range(3):
            write(f"Mail {number}")
        page = client.get(reverse("dev-mail")).content.decode()
        assert page.index("Mail 2") < page.index("Mail 1") < page.index("Mail 0")
        assert "Jane Doe" in page and "jane@customer.example" in page

    def test_a_long_list_has_pages(self, demo: Any, client: Client) -> None:
        for number in range(51):
            mail_files.keep(f"Subject: Mail {number:02}\r\n\r\n".encode(), now=NOW + dt.timedelta(seconds=number))
        first, second = (client.get(reverse("dev-mail"), {"page": page}).content.decode() for page in (1, 2))
        assert first.count("<li>") == 50 and "Mail 00" not in first
        assert second.count("<li>") == 1 and "Mail 00" in second
        assert "1–50 of 51" in first

    def test_an_empty_folder_says_what_to_do(self, demo: Any, client: Client) -> None:
        assert "No mail yet" in client.get(reverse("dev-mail")).content.decode()

    def test_a_mail_shows_headers_text_and_files(self, demo: Any, client: Client) -> None:
        name = write(attachments=[("plan.pdf", b"%PDF-" + b"x" * 2000, "application/pdf")])
        page = client.get(reverse("dev-mail-letter", args=[name])).content.decode()
        assert "Your order ☕" in page and "auto-generated" in page and "plan.pdf" in page
        assert "&lt;b&gt;rate&lt;/b&gt; us." in page and '<a href="https://desk.example/rate"' in page
        raw = client.get(reverse("dev-mail-raw", args=[name]))
        assert raw["Content-Type"] == "message/rfc822" and raw["Content-Disposition"].startswith("attachment")
        assert raw.content == mail_files.raw(name)

    def test_the_html_of_a_mail_runs_nothing_and_loads_nothing(self, demo: Any, client: Client) -> None:
        name = write()
        page = client.get(reverse("dev-mail-letter", args=[name]))
        assert "frame-src 'self'" in page["Content-Security-Policy"]
        assert 'sandbox="allow-popups' in page.content.decode() and "<b>Jane</b>" not in page.content.decode()
        html = client.get(reverse("dev-mail-html", args=[name]))
        policy = html["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "sandbox allow-popups" in policy
        assert "script-src 'none'" in policy and "allow-scripts" not in policy
        assert "img-src data:;" in policy + ";" and "http" not in policy
        assert html["X-Frame-Options"] == "SAMEORIGIN" and HTML in html.content.decode()

    @pytest.mark.parametrize(
        "name", ["..%2f..%2fsecret_key", "..", "%2e%2e%2fx.eml", "x.eml", ".20250312T100000000000Z-00000000.eml", "%00"]
    )
    def test_a_name_leads_nowhere_else(self, demo: Any, client: Client, name: str) -> None:
        (demo.DATA_DIR / "x.eml").write_text("secret")
        mail_files.keep(b"Subject: x\r\n\r\n", now=NOW)
        for tail in ("", "/html", "/raw"):
            assert client.get(f"/dev/mail/{name}{tail}").status_code in (400, 404)

    @pytest.mark.parametrize("environment", ["production", "test"])
    def test_there_are_no_such_pages_outside_the_demo(self, demo: Any, client: Client, environment: str) -> None:
        name = write()
        demo.ENVIRONMENT = environment
        assert statuses(client, name) == {404}

    @pytest.mark.parametrize(
        "meta",
        [
            {"REMOTE_ADDR": "192.0.2.7"},
            {"REMOTE_ADDR": "10.0.0.1"},
            {"REMOTE_ADDR": ""},
            {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
            {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        ],
    )
    def test_only_who_sits_at_the_machine_reads_them(self, demo: Any, meta: dict[str, str]) -> None:
        name = write()
        assert statuses(Client(**meta), name) == {404}
        assert statuses(Client(REMOTE_ADDR="::1"), name) == {200}


def statuses(client: Client, name: str) -> set[int]:
    """What the four addresses answer."""
    addresses = [reverse("dev-mail"), *(reverse(f"dev-mail-{page}", args=[name]) for page in ("letter", "html", "raw"))]
    return {client.get(address).status_code for address in addresses}


@pytest.mark.browser
def test_the_mail_of_the_demo_in_a_browser(demo: Any, live_server: Any, open_browser: Any) -> None:
    for number in range(4):
        write(f"Re: Cannot log in since the update of Tuesday, and neither can anybody in my team (#{1040 + number})")
    write("[Acme] Jane Doe answered #1042", attachments=[("plan.pdf", b"%PDF-" + b"x" * 2000, "application/pdf")])
    for name, width, height, dark in (
        ("wide", 1440, 900, False),
        ("wide-dark", 1440, 900, True),
        ("phone", 390, 844, False),
        ("phone-dark", 390, 844, True),
    ):
        page = open_browser(width, height, dark)
        page.goto(f"{live_server.url}/dev/mail")
        accessible(page)
        picture(page, f"mail-{name}")
        page.get_by_role("link", name="answered #1042").click()
        page.frame_locator("iframe").get_by_text("rate us").wait_for()
        page.get_by_text("more headers").click()
        accessible(page)
        picture(page, f"letter-{name}")
