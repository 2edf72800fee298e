"""Files: names, kinds, sizes, signatures."""

import datetime as dt

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from helpdesk.accounts.tests.factories import WorkspaceFactory
from helpdesk.errors import InvalidInput, NotFound
from tickets.models import Attachment, Comment
from tickets.services import base, files
from tickets.tests.factories import NOW, make_agent, make_reply, make_ticket

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\jane\\photo.png", "photo.png"),
        ('a"b;c\r\nSet-Cookie: x.txt', "a_b_cSet-Cookie_ x.txt"),
        ("‮gnp.exe", "gnp.exe"),
        ("．．／．．／x", "x"),
        ("", "file"),
        ("...", "file"),
        ("\ud800.txt", "_.txt"),
        ("é漢.txt", "é漢.txt"),
    ],
)
def test_names_are_normalised_then_checked(sent, kept):
    assert files.clean_name(sent) == kept


@given(st.text(max_size=300))
def test_whatever_the_name_it_can_be_written_into_a_header(name):
    clean = files.clean_name(name)
    assert 0 < len(clean) <= 120
    assert not set(clean) & set('/\\"\r\n\0;')
    assert clean.encode()


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (PNG, "photo.png", "image/png"),
        (PNG, "invoice.txt", "image/png"),
        (b"%PDF-1.7\n", "a.pdf", "application/pdf"),
        (b"just words", "words", "text/plain"),
        (b"\x80\x81\x00\x9c", "x", "application/octet-stream"),
    ],
)
def test_the_kind_is_recognised_from_the_content_not_the_name(head, name, kind):
    assert files.content_type(head, name) == kind


@pytest.mark.django_db
class TestAttaching:
    @pytest.fixture
    def workspace(self):
        return WorkspaceFactory()

    @pytest.fixture
    def maria(self, workspace):
        return make_agent(workspace)

    @pytest.fixture
    def ticket(self, workspace):
        return make_ticket(workspace)

    def attach(self, ticket, member, name="locked.png", content=PNG):
        return files.attach(
            ticket=ticket,
            upload=SimpleUploadedFile(name, content),
            uploaded_by=member.user,
            actor=base.agent(member),
            now=NOW,
        )

    def test_a_file_is_kept_under_a_name_made_here(self, ticket, maria):
        attachment = self.attach(ticket, maria, "../evil.png")
        assert attachment.name == "evil.png"
        assert attachment.file.name == f"{ticket.workspace_id}/{attachment.pk.hex[:2]}/{attachment.pk.hex}"
        assert attachment.file.read() == PNG

    def test_it_takes_the_visibility_of_the_comment_that_names_it(self, ticket, maria):
        public, internal = self.attach(ticket, maria), self.attach(ticket, maria)
        make_reply(ticket, maria, attachment_ids=[public.pk])
        make_reply(ticket, maria, attachment_ids=[internal.pk], internal=True)
        public.refresh_from_db()
        internal.refresh_from_db()
        assert (public.is_internal, internal.is_internal) == (False, True)

    def test_only_a_waiting_file_of_this_ticket_and_person_can_be_used(self, workspace, ticket, maria):
        attachment = self.attach(ticket, maria)
        other = make_ticket(workspace)
        for where, who in ((other, maria), (ticket, make_agent(workspace))):
            with pytest.raises(NotFound) as caught:
                make_reply(where, who, attachment_ids=[attachment.pk])
            assert "attachment_ids" in caught.value.errors
        assert not Comment.unscoped.exists()

    @pytest.mark.parametrize("content", [b"", b"x" * 1025])
    def test_empty_and_too_large_files_are_refused(self, ticket, maria, settings, content):
        settings.ATTACHMENT_MAX_BYTES = 1024
        with pytest.raises(InvalidInput) as caught:
            self.attach(ticket, maria, content=content)
        assert "file" in caught.value.errors
        assert not Attachment.unscoped.exists()

    def test_a_signature_opens_one_file_for_fifteen_minutes(self, ticket, maria):
        one, other = self.attach(ticket, maria), self.attach(ticket, maria)
        with time_machine.travel(NOW, tick=False):
            signature = files.sign(one)
            assert files.is_signed(one.pk, signature)
            assert not files.is_signed(other.pk, signature)
            assert not files.is_signed(one.pk, signature[:-1])
            assert not files.is_signed(one.pk, "")
        with time_machine.travel(NOW + dt.timedelta(minutes=15, seconds=1), tick=False):
            assert not files.is_signed(one.pk, signature)
