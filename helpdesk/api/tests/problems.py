"""What every refusal of the API looks like."""

from typing import Any


def assert_refused(answer: Any, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The answer is a problem of this status and code, and names exactly these fields."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["code"] == code
    assert body["title"] and body["detail"] and body["type"]
    assert sorted(body["errors"]) == sorted(fields)
    if status == 401:
        assert answer["WWW-Authenticate"].startswith("Bearer")
    if status in (429, 503):
        assert int(answer["Retry-After"]) >= 1
    return body
