"""A bank's state and its fold: the same code on the bank, on the server and in the simulator.

`BankState.apply` is the only thing that changes a state, event by event in the order of the journal. It decides
nothing and refuses nothing: what an event says has happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.fold import FOLD
from cubbyhole.domain.layout import LayoutError
from cubbyhole.domain.locker import Assignment as Assignment
from cubbyhole.domain.locker import Former as Former
from cubbyhole.domain.locker import LockerState as LockerState
from cubbyhole.domain.locker import Share as Share
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.rules import Place
from cubbyhole.domain.snapshot import GapMark


class FoldError(ValueError):
    """A line says what cannot have happened at this bank (an unknown locker, a layout that cannot be built).

    No controller of ours writes such a line; the server quarantines a journal that has one.
    """


@dataclass(slots=True, kw_only=True)
class BankState:
    """The fold of a bank's journal up to and including line ``seq``.

    ``removed`` has lockers that the bank is not built with any more and that may not be empty. ``gaps`` are the ranges
    of this journal that the controller has lost and said so. ``blind_until``: lines before this state are gone, and
    what follows means nothing until that line, a `journal.gap`, says how the bank stands; 0 where nothing is missing.
    """

    bank: str
    epoch: str = ""
    seq: int = 0
    boot: str = ""
    highest_ms: int = 0
    label: str = ""
    area: str = ""
    site: str = ""
    columns: tuple[str, ...] = ()
    reader: str = "door"
    senses_lock: bool = False
    senses_occupancy: bool = False
    replaced: bool = False
    directory_version: int = 0
    clock_in_doubt: bool = False
    contact_lost_ms: int | None = None
    last_contact_ms: int | None = None
    standing: int = 0
    unknown_types: int = 0
    lockers: dict[str, LockerState] = field(default_factory=dict)
    bound: dict[str, str] = field(default_factory=dict)
    answered: dict[str, ev.Answered] = field(default_factory=dict)
    removed: dict[str, LockerState] = field(default_factory=dict)
    gaps: tuple[GapMark, ...] = ()
    blind_until: int = 0

    def lose(self, last: int, until: int) -> None:
        """Lines behind this state up to ``last`` are gone; line ``until`` (behind ``last``) is the `journal.gap` that
        says so. Nothing is folded until it, or an earlier one that stands behind the lost lines too."""
        if not self.blind_until > last:
            self.blind_until = until
        self.blind_until, self.seq = min(self.blind_until, until), last

    def apply(self, event: ev.Event | ev.UnknownEvent, seq: int, moment: Moment) -> None:
        """Fold one journal line. ``seq`` must be the next (1 for `EpochStarted`).

        Raises FoldError, with nothing changed.
        """
        if seq < self.blind_until:
            pass
        elif isinstance(event, ev.UnknownEvent):
            self.unknown_types += 1
        elif isinstance(event, ev.EpochStarted) and seq != 1:
            raise FoldError(f"line {seq} begins an epoch; only line 1 can")
        else:
            try:
                FOLD[type(event)](self, event, moment)
            except KeyError as error:
                raise FoldError(f"line {seq}, {event.TYPE}: there is no locker {error.args[0]!r} here") from None
            except LayoutError as error:
                raise FoldError(f"line {seq}, {event.TYPE}: {error}") from None
        self.seq = seq
        self.boot = moment.boot
        if moment.at_ms > self.highest_ms:
            self.highest_ms = moment.at_ms

    def place(self, number: str) -> Place:
        return Place(self.site, self.area, self.bank, number)

    def held_by(self, person: str) -> list[LockerState]:
        """The lockers that ``person`` holds here, in order of number."""
        return [s for s in self.lockers.values() if s.assignment is not None and s.assignment.person == person]

    def offered(self) -> Iterator[LockerState]:
        return (s for s in self.lockers.values() if s.not_offered() is None)

    def open_grants(self) -> list[tuple[str, str]]:
        """Grants whose outcome is not known yet, as (grant, locker number)."""
        return [(s.grant, s.number) for s in self.lockers.values() if s.grant is not None]
