"""Who may do what. This is the only place that decides it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What an account is for. Only owners exist so far; the others are named so that their rights stand here."""

    OWNER = "owner"
    ADMIN = "admin"
    DESK = "desk"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """What a bearer token is for; a wider scope does not contain a narrower one, name both."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


class Act(StrEnum):
    """Something that a caller may be allowed to do."""

    SEE = "see"  # pictures, events, who has what
    OPERATE = "operate"  # open, end, out of service: each with a reason
    PEOPLE = "people"  # import, groups, badges
    AUDIT = "audit"  # export a journal
    MANAGE = "manage"  # controllers, tokens, accounts, rules
    WORKBENCH = "workbench"  # the simulated hardware of the demo


_ALL = frozenset(Act)
_BY_ROLE = {
    Role.OWNER: _ALL,
    Role.ADMIN: _ALL - {Act.WORKBENCH},
    Role.DESK: frozenset({Act.SEE, Act.OPERATE}),
    Role.AUDITOR: frozenset({Act.SEE, Act.AUDIT}),
}
_BY_SCOPE = {
    Scope.READ: frozenset({Act.SEE}),
    Scope.OPERATE: frozenset({Act.OPERATE}),
    Scope.ADMIN: frozenset({Act.PEOPLE, Act.AUDIT, Act.MANAGE}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request: an account by its session, or a program by its token. ``actor`` goes into the records."""

    actor: str
    name: str
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    account: str | None = None
    session: str | None = None  # public id of the session


def may(caller: Caller, act: Act) -> bool:
    """Whether ``caller`` may do ``act``."""
    if caller.role is not None and act in _BY_ROLE[caller.role]:
        return True
    return any(act in _BY_SCOPE[scope] for scope in caller.scopes)
