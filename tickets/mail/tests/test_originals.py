"""The message as it came: who may see it, and that nothing of it runs, loads or leads astray."""

import re
import time
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.models import Membership
from helpdesk.accounts.tests.factories import WorkspaceFactory
from tickets.mail.parsing import message
from tickets.mail.services import originals
from tickets.mail.tests.mails import GIF, SVG, keep, make_mail
from tickets.models import Ticket
from tickets.services import base, conversation, editing
from tickets.tests.factories import NOW, make_agent, make_ticket

REMOTE = "https://pixel.example/1.png"


def cleaned(html: str, *, with_images: bool = False, inline: dict[str, bytes] | None = None) -> tuple[str, int]:
    read = message.read(make_mail(html=html, inline=inline).as_bytes())
    return originals.clean(read, with_images=with_images, inline_address=lambda place: f"/inline/{place}")


class TestCleaning:
    def test_tables_colours_and_lists_look_as_they_did(self) -> None:
        html = (
            '<table bgcolor="#eeeeee" width="600" align="center"><tr><td colspan="2" valign="top">'
            '<font color="#cc0000" size="4">Sale</font><ul><li>One</li></ul></td></tr></table>'
        )
        shown, _ = cleaned(html)
        for part in ('bgcolor="#eeeeee"', 'width="600"', 'colspan="2"', 'color="#cc0000"', "<li>One</li>"):
            assert part in shown

    @pytest.mark.parametrize(
        "bad",
        [
            "<script>alert(1)</script>",
            '<p style="position:fixed">x</p>',
            "<style>p{color:red}</style>",
            '<p onclick="alert(1)" class="sidebar" id="composer">x</p>',
            '<a href="javascript:alert(1)">x</a>',
            '<a href=" jAvA&#9;script:alert(1)">x</a>',
            '<a href="data:text/html,<script>alert(1)</script>">x</a>',
            '<a href="/settings/members">x</a>',
            '<a href="cid:a">x</a>',
            '<form action="https://evil.example"><input name="password"><button>Send</button></form>',
            '<iframe src="https://evil.example"></iframe>',
            '<svg><a href="https://evil.example"><text>x</text></a></svg>',
            '<img src="data:image/svg+xml,<svg/>">',
            '<img src="file:///etc/passwd">',
            '<img src="/tickets/mine.png" srcset="https://evil.example/2.png 2x">',
            '<meta http-equiv="refresh" content="0;url=https://evil.example">',
            '<base href="https://evil.example/">',
            '<link rel="stylesheet" href="https://evil.example/a.css">',
            '<table background="https://evil.example/a.png"><tr><td>x</td></tr></table>',
            '<video src="https://evil.example/a.mp4" autoplay></video>',
        ],
    )
    @pytest.mark.parametrize("with_images", [False, True])
    def test_nothing_runs_styles_loads_or_leads_to_our_own_pages(self, bad: str, with_images: bool) -> None:
        shown, _ = cleaned(bad, with_images=with_images)
        assert not re.search(
            r"script|alert|style|onclick|class=|id=|data:|file:|cid:|<form|<input|<iframe|<svg|<meta|<base|<link|"
            r"<video|src=|srcset|background|/settings|evil",
            shown,
        )

    def test_links_tell_nobody_where_they_were_followed(self) -> None:
        shown, _ = cleaned('<a href="https://shop.example/x">x</a> <a href="mailto:a@b.example">y</a>')
        assert shown.count('rel="noopener noreferrer nofollow"') == 2
        assert 'href="https://shop.example/x"' in shown and 'href="mailto:a@b.example"' in shown

    def test_remote_images_wait_until_somebody_asks_and_then_come_over_tls(self) -> None:
        html = f'<img src="{REMOTE}"><img src="http://a.example/b.png" alt="Logo"><img src="//c.example/d.png">'
        shown, remote = cleaned(html)
        assert (remote, "src=" in shown, 'alt="Logo"' in shown) == (3, False, True)
        shown, remote = cleaned(html, with_images=True)
        assert remote == 3 and shown.count('referrerpolicy="no-referrer"') == 3
        assert re.findall(r'src="([^"]+)"', shown) == [REMOTE, "https://a.example/b.png", "https://c.example/d.png"]

    def test_pictures_that_came_with_it_are_served_by_us(self) -> None:
        shown, remote = cleaned('<img src="cid:dot@x"><img src="cid:unknown">', inline={"dot@x": GIF})
        assert (re.findall(r'src="([^"]+)"', shown), remote) == (["/inline/0"], 0)

    @given(st.text(alphabet=st.sampled_from(list("<>/=\"' abhrefscidatjv:imgonlk&#9;\n")), max_size=200))
    def test_whatever_the_html_only_known_addresses_remain(self, html: str) -> None:
        shown, _ = originals.clean(
            message.Message(**{**vars(EMPTY), "html": html}),
            with_images=True,
            inline_address=lambda place: f"/inline/{place}",
        )
        for value in re.findall(r'(?:href|src)="([^"]*)"', shown):
            assert value.lower().startswith(("http://", "https://", "mailto:", "tel:", "/inline/"))
        assert not re.search(r"<[^>]*\s(?:on\w+|style|class|id)=", shown)


EMPTY = message.read(b"Subject: x\r\n\r\nx")


@pytest.mark.django_db
class TestThePage:
    @pytest.fixture(autouse=True)
    def _files(self, settings: Any, tmp_path: Any) -> None:
        settings.STORAGES = settings.STORAGES | {
            "default": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(tmp_path)},
            }
        }

    @pytest.fixture
    def maria(self) -> Membership:
        return make_agent(WorkspaceFactory(name="Acme"))

    @pytest.fixture
    def ticket(self, maria: Membership) -> Ticket:
        return make_ticket(maria.workspace, channel="email")

    def get(self, member: Membership, name: str, *args: Any, **query: str) -> Any:
        client = Client()
        client.force_login(member.user)
        return client.get(reverse(f"mail:{name}", args=args), query)

    def test_shows_who_wrote_when_and_what_as_it_was_sent(self, maria: Membership, ticket: Ticket) -> None:
        keep(ticket, make_mail("Plain words", "<p>Rich <b>words</b></p>", Cc="sam@customers.example"))
        page = self.get(maria, "ticket-original", ticket.pk)
        html = page.content.decode()
        for part in ("Jane Smith", "jane@customers.example", "help@acme.example", "sam@customers.example"):
            assert part in html
        assert "2 Mar 2026, 09:00" in html and "<p>Rich <b>words</b></p>" in html and "Not verified" in html
        assert page["Cache-Control"] == "private, no-store"
        text = self.get(maria, "ticket-original", ticket.pk, **{"as": "text"}).content.decode()
        assert "Plain words" in text and "<p>Rich" not in text

    def test_hostile_headers_and_text_stay_text(self, maria: Membership, ticket: Ticket) -> None:
        nasty = "<script>alert(1)</script>"
        keep(ticket, make_mail(nasty, Subject=nasty, X_Odd=nasty, From=f'"{nasty}" <jane@customers.example>'))
        assert "<script>alert" not in self.get(maria, "ticket-original", ticket.pk).content.decode()

    def test_only_showing_images_loosens_the_policy_of_that_one_page(self, maria: Membership, ticket: Ticket) -> None:
        row = keep(ticket, make_mail(html=f'<img src="{REMOTE}">'))
        page = self.get(maria, "original", row.pk)
        assert "https:" not in page["Content-Security-Policy"] and REMOTE not in page.content.decode()
        assert "tells the sender" in page.content.decode()
        page = self.get(maria, "original", row.pk, images="1")
        policy = dict(part.strip().split(" ", 1) for part in page["Content-Security-Policy"].split(";") if part.strip())
        assert policy["img-src"].split() == ["'self'", "data:", "https:"]
        assert "https:" not in policy["script-src"] and f'src="{REMOTE}"' in page.content.decode()
        assert page["Referrer-Policy"] == "same-origin"
        assert "https:" not in self.get(maria, "original", row.pk)["Content-Security-Policy"]

    def test_pictures_within_it_are_shown_whatever_they_are_called(self, maria: Membership, ticket: Ticket) -> None:
        row = keep(ticket, make_mail(html='<img src="cid:dot"><img src="cid:bad">', inline={"dot": GIF, "bad": SVG}))
        assert reverse("mail:original-inline", args=[row.pk, 0]) in self.get(maria, "original", row.pk).content.decode()
        picture = self.get(maria, "original-inline", row.pk, 0)
        assert (picture.content, picture["Content-Type"]) == (GIF, "image/gif")
        assert picture["X-Content-Type-Options"] == "nosniff"
        assert (
            "default-src 'none'" in picture["Content-Security-Policy"]
            and "sandbox" in picture["Content-Security-Policy"]
        )
        # Declared as a picture, and a document that runs: never from our address.
        assert self.get(maria, "original-inline", row.pk, 1).status_code == 404
        assert self.get(maria, "original-inline", row.pk, 7).status_code == 404

    def test_is_downloaded_as_it_came(self, maria: Membership, ticket: Ticket) -> None:
        raw = make_mail("Hello").as_bytes()
        row = keep(ticket, raw, subject='../../<Bill>"; x=\r\n')
        answer = self.get(maria, "original-download", row.pk)
        assert answer.content == raw and answer["Content-Type"] == "application/octet-stream"
        assert (
            answer["Content-Disposition"].startswith("attachment; filename=")
            and ".eml" in answer["Content-Disposition"]
        )
        assert "/" not in answer["Content-Disposition"] and "<" not in answer["Content-Disposition"]

    def test_bytes_that_cannot_be_read_can_still_be_downloaded(self, maria: Membership, ticket: Ticket) -> None:
        row = keep(ticket, b"")
        page = self.get(maria, "original", row.pk)
        assert page.status_code == 200 and "cannot be read" in page.content.decode()
        assert self.get(maria, "original-download", row.pk).status_code == 200

    @pytest.mark.parametrize("part", ["<div>", "<table><tr><td>", "&nbsp;", "<a href=x>"])
    def test_hostile_layouts_are_shown_as_text_at_once(self, maria: Membership, ticket: Ticket, part: str) -> None:
        row = keep(ticket, make_mail("The plain words", part * 100_000))
        began = time.monotonic()
        html = self.get(maria, "original", row.pk).content.decode()
        assert time.monotonic() - began < 5
        assert "too heavy to show" in html and "The plain words" in html

    def test_says_so_when_the_bytes_are_gone(self, maria: Membership, ticket: Ticket) -> None:
        row = keep(ticket, make_mail())
        row.raw.storage.delete(row.raw.name)
        for answer in (
            self.get(maria, "ticket-original", ticket.pk),
            self.get(maria, "original-download", row.pk),
            self.get(maria, "original-inline", row.pk, 0),
        ):
            assert answer.status_code == 404
        assert "not kept any more" in self.get(maria, "ticket-original", ticket.pk).content.decode()

    def test_a_ticket_that_came_otherwise_has_none(self, maria: Membership) -> None:
        assert self.get(maria, "ticket-original", make_ticket(maria.workspace).pk).status_code == 404

    def test_a_comment_leads_to_its_own_message(self, maria: Membership, ticket: Ticket) -> None:
        keep(ticket, make_mail("The first"))
        answered = conversation.customer_reply(
            ticket=ticket, contact=ticket.requester, body="The second", channel="email", now=NOW
        )
        keep(ticket, make_mail("The second"), comment=answered.comment)
        assert answered.comment is not None
        html = self.get(maria, "comment-original", answered.comment.pk).content.decode()
        assert "The second" in html and "The first" not in html

    def test_of_a_trashed_ticket_and_of_no_ticket_only_admins_see_it(self, maria: Membership, ticket: Ticket) -> None:
        admin = make_agent(maria.workspace, "admin")
        trashed, loose = keep(ticket, make_mail()), keep(ticket, make_mail(), ticket=None, outcome="quarantined")
        editing.trash(ticket=ticket, actor=base.agent(maria), now=NOW)
        for row in (trashed, loose):
            assert self.get(maria, "original", row.pk).status_code == 404
            assert self.get(maria, "original-download", row.pk).status_code == 404
            assert self.get(admin, "original", row.pk).status_code == 200

    def test_another_workspaces_message_is_like_none(self, maria: Membership, ticket: Ticket) -> None:
        row = keep(make_ticket(WorkspaceFactory(), channel="email"), make_mail())
        for pk in (row.pk, uuid4()):
            for name, *more in (("original",), ("original-download",), ("original-inline", 0)):
                assert self.get(make_agent(maria.workspace, "owner"), name, pk, *more).status_code == 404
