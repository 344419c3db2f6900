"""The parts of a snapshot: what a new journal begins with, and what a journal with a hole goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain.locker import LockerState, Share
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
    renewed: int = 0
    hold_until_ms: int | None = None
    shares: tuple[Share, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMark:
    """Lines ``first`` to ``last`` are gone, as the `journal.gap` in line ``seq`` says; ``hash`` is line ``last``'s."""

    first: int
    last: int
    hash: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankNow:
    """How a bank stands, as its journal would tell with all of its lines; ``answered`` are the newest outcomes."""

    label: str
    area: str
    site: str
    columns: tuple[str, ...]
    reader: str
    senses_lock: bool
    senses_occupancy: bool
    replaced: bool
    directory: int
    clock_in_doubt: bool
    contact_lost_ms: int | None
    last_contact_ms: int | None
    standing: int
    lockers: tuple[LockerState, ...]
    removed: tuple[LockerState, ...]
    answered: tuple[Answered, ...]
    gaps: tuple[GapMark, ...]
