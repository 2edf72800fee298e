"""Errors of the domain, raised by services and translated by every door (page, API, command)."""

from collections.abc import Mapping, Sequence


class DomainError(Exception):
    """A rule of the helpdesk refused the action; nothing was written.

    `code` is a stable word for programs, `detail` a sentence for people, `errors` names the
    fields at fault (`{"subject": ["…"]}`), and `status` is the HTTP status the API answers with.
    """

    status = 400
    code = "refused"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors: dict[str, list[str]] = {name: list(texts) for name, texts in (errors or {}).items()}


class InvalidInput(DomainError):
    """A value is not acceptable; `errors` says which field and why (HTTP 400)."""

    status = 400
    code = "invalid"

    @classmethod
    def of(cls, field: str, message: str) -> "InvalidInput":
        """The error of one field."""
        return cls(message, errors={field: [message]})

    @classmethod
    def of_all(cls, errors: Mapping[str, Sequence[str]]) -> "InvalidInput":
        """The errors of several fields (one or more); its sentence is the first one's."""
        return cls(next(iter(errors.values()))[0], errors=errors)


class NotAllowed(DomainError):
    """The person's role does not permit this (HTTP 403)."""

    status = 403
    code = "not_allowed"


class NotFound(DomainError):
    """There is no such thing in this workspace (HTTP 404); the same for a foreign id."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The state of the thing does not permit this now (HTTP 409)."""

    status = 409
    code = "conflict"


class LostUpdate(DomainError):
    """Somebody changed the thing since it was read (HTTP 412)."""

    status = 412
    code = "lost_update"
