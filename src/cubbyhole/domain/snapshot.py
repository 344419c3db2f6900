"""The parts of a snapshot that a new journal begins with."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain.vocabulary import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """An assignment as it stands in a snapshot."""

    assignment: str
    locker: str
    person: str
    mode: Mode
    since_ms: int
    ends_ms: int | None
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """A locker that was out of service when a snapshot was taken."""

    locker: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A command whose outcome is final."""

    command: str
    outcome: str
    reason: str | None = None
