"""Who may do what: the roles of a workspace and the permissions they carry. Pure.

Owner ⊃ admin ⊃ agent ⊃ light agent: each role has everything the next one has.
"""

from enum import StrEnum


class Role(StrEnum):
    """What a member is in a workspace."""

    OWNER = "owner"
    ADMIN = "admin"
    AGENT = "agent"
    LIGHT = "light"


class Permission(StrEnum):
    """One thing that a door may ask for."""

    READ = "read"  # see tickets, conversations, settings lists
    NOTE = "note"  # write internal notes
    WORK = "work"  # create, reply, change, resolve, assign, merge
    MANAGE = "manage"  # categories, canned responses of all, members, trash, workspace
    OWN = "own"  # make and unmake owners


_LIGHT = frozenset({Permission.READ, Permission.NOTE})
_AGENT = _LIGHT | {Permission.WORK}
_ADMIN = _AGENT | {Permission.MANAGE}
_OWNER = _ADMIN | {Permission.OWN}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.LIGHT: _LIGHT,
    Role.AGENT: _AGENT,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _OWNER,
}

# What an API key's scopes leave of its owner's permissions.
SCOPES: dict[str, frozenset[Permission]] = {
    "read": frozenset({Permission.READ}),
    "write": frozenset({Permission.READ, Permission.NOTE, Permission.WORK}),
    "admin": frozenset(Permission),
}


def permits(role: str, permission: Permission) -> bool:
    """Whether `role` carries `permission`; an unknown role carries none."""
    try:
        return permission in PERMISSIONS[Role(role)]
    except ValueError:
        return False


def scopes_permit(scopes: list[str], permission: Permission) -> bool:
    """Whether any of an API key's scopes carries `permission`."""
    return any(permission in SCOPES.get(scope, frozenset()) for scope in scopes)
