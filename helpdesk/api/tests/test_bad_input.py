"""What cannot be read or stored is refused, says where it is, and changes nothing."""

import json

import pytest

from helpdesk.accounts.models import Team
from helpdesk.accounts.tests.factories import MembershipFactory
from helpdesk.api.errors import flatten
from helpdesk.api.tests.problems import assert_refused

pytestmark = [pytest.mark.django_db, pytest.mark.urls("helpdesk.api.tests.urls")]


@pytest.fixture
def api(client_of):
    return client_of(MembershipFactory(role="admin"))


@pytest.fixture(autouse=True)
def _nothing_is_written(api):
    yield
    assert not Team.unscoped.exists()


def post(api, raw, content_type="application/json", **headers):
    return api.generic("POST", "/api/test/teams", raw, content_type=content_type, **headers)


class TestBodies:
    @pytest.mark.parametrize(
        ("raw", "where"),
        [
            ('{"name": "x"', "line 1 column 13"),
            ('{"name": \n nope}', "line 2 column 2"),
            ("{'name': 'x'}", "line 1 column 2"),
            ("not json", "line 1 column 1"),
            ("\ufeff{}", "line 1 column 1"),
        ],
    )
    def test_broken_json_is_told_where(self, api, raw, where):
        body = assert_refused(post(api, raw), 400, "malformed", "body")
        assert where in body["detail"]

    @pytest.mark.parametrize("raw", ["[]", '"x"', "5", "null", "true", '[{"name": "x"}]'])
    def test_what_is_no_object_is_refused(self, api, raw):
        assert_refused(post(api, raw), 400, "invalid", "body")

    @pytest.mark.parametrize(
        ("raw", "path"),
        [
            ('{"name": NaN}', "name"),
            ('{"share": Infinity}', "share"),
            ('{"extra": {"deep": [1, -Infinity]}}', "extra.deep.1"),
            ('{"share": 1e999}', "share"),
            ('{"size": 1' + "0" * 5000 + "}", "size"),
            ('{"size": 9223372036854775808}', "size"),
            ('{"name": "a\\u0000b"}', "name"),
            ('{"name": "\\ud800"}', "name"),
            ('{"place": {"city": "x\\udfff"}}', "place.city"),
            ('{"words": ["fine", "\\udc00\\ud800"]}', "words.1"),
            ('{"extra": {"a\\u0000": 1}}', "extra.a\\x00"),
            ('{"a\\ud800": 1}', "a\\ud800"),
            ('{"name": "x", "name": "y"}', "name"),
            ('{"extra": ' + '{"a":' * 30 + "1" + "}" * 31, "extra" + ".a" * 19),
        ],
    )
    def test_what_cannot_be_stored_is_named_by_its_path(self, api, raw, path):
        assert_refused(post(api, raw), 400, "invalid", path)

    def test_a_real_emoji_is_text(self, api):
        assert_refused(post(api, '{"name": "\\ud83d\\ude00", "nope": 1}'), 400, "invalid", "nope")

    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_a_hundred_thousand_levels_are_refused(self, api, opening):
        assert post(api, '{"extra": ' + opening * 100_000).status_code == 400

    @pytest.mark.parametrize("size", [2 * 1024 * 1024 + 1, 10_000_000])
    def test_a_big_body_is_413(self, api, size):
        raw = b'{"name": "' + b"x" * size + b'"}'
        assert_refused(post(api, raw), 413, "too_big", "body")

    def test_a_big_body_of_unknown_length_is_413_and_read_to_its_end(self):
        from io import BytesIO

        from helpdesk.api.errors import BodyTooBig
        from helpdesk.api.parsing import read_limited

        for declared in (None, "5", "50"):
            stream = BytesIO(b"x" * 50)
            with pytest.raises(BodyTooBig):
                read_limited(stream, declared=declared, most=10)
            assert stream.read() == b""

    @pytest.mark.parametrize("raw", [b"\xff\xfe", b'{"name": "\xe9"}', '{"name": "x"}'.encode("utf-16")])
    def test_another_encoding_is_refused(self, api, raw):
        assert_refused(post(api, raw), 400, "malformed", "body")
        assert_refused(post(api, b"{}", content_type="application/json; charset=latin-1"), 400, "malformed", "body")

    @pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""])
    def test_another_type_is_415(self, api, content_type):
        assert_refused(post(api, b"<a/>", content_type=content_type), 415, "unsupported_media_type")

    def test_a_body_without_a_length_is_411(self, api):
        answer = api.post("/api/test/teams", HTTP_TRANSFER_ENCODING="chunked")
        assert_refused(answer, 411, "length_required")

    def test_an_empty_body_misses_its_fields(self, api):
        assert_refused(post(api, b""), 400, "invalid", "name")


class TestFields:
    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"name": None}, "name"),
            ({"name": 5}, "name"),
            ({"name": True}, "name"),
            ({"name": ["x"]}, "name"),
            ({"name": {"x": 1}}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 81}, "name"),
            ({"size": "5"}, "size"),
            ({"size": True}, "size"),
            ({"size": 1.5}, "size"),
            ({"share": "0.5"}, "share"),
            ({"share": False}, "share"),
            ({"is_open": "true"}, "is_open"),
            ({"is_open": 1}, "is_open"),
            ({"kind": "other"}, "kind"),
            ({"kind": 1}, "kind"),
            ({"kind": ["inner"]}, "kind"),
            ({"words": "x"}, "words"),
            ({"words": {"x": 1}}, "words"),
            ({"words": ["x", 5]}, "words"),
            ({"place": "x"}, "place"),
            ({"place": {}}, "place.city"),
            ({"place": {"city": 5}}, "place.city"),
            ({"place": {"city": "x", "zip": "1"}}, "place.zip"),
            ({"others": [{"city": "x"}, {}]}, "others.1.city"),
            ({"nope": 1}, "nope"),
            ({"id": "x"}, "id"),
        ],
    )
    def test_types_are_not_converted_and_unknown_names_are_refused(self, api, changes, path):
        assert_refused(post(api, json.dumps({"name": "x"} | changes)), 400, "invalid", path)

    def test_all_errors_are_told_at_once(self, api):
        answer = post(api, '{"size": "5", "nope": 1, "place": {}}')
        assert_refused(answer, 400, "invalid", "name", "size", "nope", "place.city")

    @pytest.mark.parametrize(
        ("detail", "flat"),
        [
            (["a"], {"body": ["a"]}),
            ({"x": ["a", "b"]}, {"x": ["a", "b"]}),
            ({"x": {"y": ["a"], "non_field_errors": ["b"]}}, {"x.y": ["a"], "x": ["b"]}),
            ({"non_field_errors": ["a"]}, {"body": ["a"]}),
            ({"x": [{}, {"y": ["a"]}]}, {"x.1.y": ["a"]}),
            ({"x": {0: ["a"]}}, {"x.0": ["a"]}),
        ],
    )
    def test_nested_errors_are_flattened(self, detail, flat):
        assert flatten(detail) == flat


class TestOtherRefusals:
    def test_a_conflict_is_409_and_undone(self, api):
        from django.db import transaction

        with transaction.atomic():
            assert_refused(post(api, '{"name": "taken"}'), 409, "conflict")
            transaction.set_rollback(True)

    def test_a_lost_update_is_412(self, api):
        assert_refused(api.put("/api/test/teams", {}), 412, "lost_update")

    def test_a_404_does_not_tell_of_tables(self, api):
        body = assert_refused(api.get("/api/test/teams"), 404, "not_found")
        assert "Team" not in body["detail"]

    @pytest.mark.django_db(transaction=True)
    def test_a_value_that_only_the_database_refuses_is_400(self, api):
        assert_refused(api.delete("/api/test/teams"), 400, "invalid", "body")

    def test_a_database_that_is_away_is_503(self, api, monkeypatch):
        from django.db import OperationalError

        from helpdesk.accounts import tokens

        def away(claims):
            raise OperationalError("connection refused")

        monkeypatch.setattr(tokens, "member_of", away)
        body = assert_refused(api.get("/api/me"), 503, "unavailable")
        assert "refused" not in body["detail"]
