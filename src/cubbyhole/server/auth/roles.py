"""Who may do what. This is the only place that decides it.

An *act* is what a route is for; every route names one (`dependencies.needs`), or says that it is open to all. A role is
a set of acts, a token's scope is another. Reception and area managers have theirs only at the places that an owner
named; the other roles have theirs everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What an account is for. Each has what `RIGHTS` says and nothing besides."""

    PERSON = "person"  # everybody in the directory: their own lockers
    RECEPTION = "reception"  # helps people at the lockers of some places
    AREA_MANAGER = "area_manager"  # looks after some places
    MANAGER = "manager"  # the workplace manager: people, rules and lockers everywhere
    IT = "it"  # keeps the machines running; sees nobody's locker
    AUDITOR = "auditor"  # reads everything, changes nothing
    OWNER = "owner"  # everything, and alone: who has which role


class Scope(StrEnum):
    """What a bearer token is for; a wider scope does not contain a narrower one, name both."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


class Act(StrEnum):
    """Something that a caller may be allowed to do. Those of ``own`` concern the caller's own locker alone."""

    ACCOUNT = "account"  # one's own account: name, language, sessions, passkeys, password
    OWN_SEE = "own.see"  # what one has, and its history
    OWN_GET = "own.get"  # get a locker, wait for one, reserve one
    OWN_OPEN = "own.open"
    OWN_RENEW = "own.renew"
    OWN_RELEASE = "own.release"
    OWN_SHARE = "own.share"
    OWN_BADGE = "own.badge"  # block a lost badge, use a temporary one
    OWN_REPORT = "own.report"  # "it is not empty", "it is dirty", "it does not close"
    SEE = "see"  # pictures, events, who has what
    OPERATE = "operate"  # open, end, out of service: each with a reason
    ASSIGN = "assign"  # give others a locker, move them, renew theirs; wait-lists
    REPORTS = "reports"  # take up what people report; lost property
    PEOPLE_SEE = "people.see"  # look people up
    PEOPLE = "people"  # import, groups, badges, leavers
    RULES_SEE = "rules.see"  # and what a change would do
    RULES = "rules"
    FIGURES = "figures"  # use over time, without names
    AUDIT = "audit"  # export a journal, read the server's own record
    MANAGE = "manage"  # sites, areas, banks
    SYSTEM = "system"  # controllers, mail, tokens
    ACCOUNTS = "accounts"  # who has which role
    WORKBENCH = "workbench"  # the simulated hardware of the demo


_OWN = frozenset(act for act in Act if act.value.startswith("own."))
_ME = _OWN | {Act.ACCOUNT}
_DESK = frozenset({Act.SEE, Act.OPERATE, Act.ASSIGN, Act.REPORTS, Act.PEOPLE_SEE})

RIGHTS: dict[Role, frozenset[Act]] = {
    Role.PERSON: _ME,
    Role.RECEPTION: _ME | _DESK,
    Role.AREA_MANAGER: _ME | _DESK | {Act.RULES_SEE, Act.FIGURES},
    Role.MANAGER: _ME | _DESK | {Act.RULES_SEE, Act.FIGURES, Act.PEOPLE, Act.RULES, Act.MANAGE},
    Role.IT: _ME | {Act.SYSTEM},
    Role.AUDITOR: _ME | {Act.SEE, Act.PEOPLE_SEE, Act.RULES_SEE, Act.FIGURES, Act.AUDIT},
    Role.OWNER: frozenset(Act),
}
# What a program may do. No token gives roles, makes tokens or is anybody's own account.
_BY_SCOPE: dict[Scope, frozenset[Act]] = {
    Scope.READ: frozenset({Act.SEE, Act.PEOPLE_SEE, Act.RULES_SEE, Act.FIGURES}),
    Scope.OPERATE: frozenset({Act.OPERATE, Act.ASSIGN, Act.REPORTS}),
    Scope.ADMIN: frozenset({Act.PEOPLE, Act.RULES, Act.AUDIT, Act.MANAGE}),
}
# Roles whose rights, beyond those that everybody has, hold at named places only.
PLACED = frozenset({Role.RECEPTION, Role.AREA_MANAGER})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An area of a site; the whole site where ``area`` is empty."""

    site: str
    area: str = ""

    def contains(self, other: Place) -> bool:
        return self.site == other.site and self.area in ("", other.area)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request: an account by its session, or a program by its token. ``actor`` goes into the records.

    ``places`` None: everywhere. ``proved_ms``: when they last showed who they are.
    """

    actor: str
    name: str
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    account: str | None = None
    session: str | None = None  # public id of the session
    person: str | None = None  # who the account is in the directory
    language: str | None = None
    places: frozenset[Place] | None = field(default=None)
    proved_ms: int = 0


def may(caller: Caller, act: Act, at: Place | None = None) -> bool:
    """Whether ``caller`` may do ``act``, there where ``at`` is given. Without it: whether they may anywhere at all, and
    what they are shown still has to be only what lies at `Caller.places`."""
    if caller.role is not None and act in RIGHTS[caller.role]:
        everywhere = caller.places is None or act in RIGHTS[Role.PERSON]
        return everywhere or (any(place.contains(at) for place in caller.places or ()) if at else bool(caller.places))
    return any(act in _BY_SCOPE[scope] for scope in caller.scopes)


def acts_of(caller: Caller) -> frozenset[str]:
    """What the caller may do somewhere, by name: for showing what leads there, never for deciding."""
    return frozenset(act.value for act in Act if may(caller, act))
