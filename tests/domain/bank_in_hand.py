"""One bank as pure state with a clock in the hand: what the tests of the domain stand on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decide import decide_open, decide_tap
from cubbyhole.domain.decision import Decision, Denied, Executed, Granted, Tap
from cubbyhole.domain.directory import Calendar, CredentialRow, Directory, PersonRow, Row, content_hash, row_key
from cubbyhole.domain.ending import all_due, end, untimed
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.opening import Offset
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.standing import Standing, execute
from cubbyhole.domain.vocabulary import Cause, Door, Occupancy, Outcome, Reason
from cubbyhole.protocol.journal import Line, decode_line, encode_line

NOON_MS = 1_794_830_400_000  # 2026-11-16 12:00 UTC, a Monday
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHTS = tuple(NOON_MS + 12 * HOUR_MS + day * DAY_MS for day in range(40))
EPOCH, BOOT = "e" * 32, "b" * 32


def person(name: str, *groups: str, active: bool = True, until_ms: int | None = None) -> PersonRow:
    return PersonRow(
        person=f"p_{name}", name=name, groups=groups, active=active, commitment=name.encode().hex(), until_ms=until_ms
    )


def badge(name: str, *, blocked: bool = False) -> CredentialRow:
    return CredentialRow(digest=f"d_{name}", credential=f"b_{name}", person=f"p_{name}", kind="badge", blocked=blocked)


def people(*names: str) -> list[Row]:
    return [row for name in names for row in (person(name), badge(name))]


def directory_of(rows: Iterable[Row], version: int = 1, midnights: Sequence[int] = MIDNIGHTS) -> Directory:
    kept = list(rows)
    directory = Directory()
    directory.apply(version=version, rows=kept, deletes=(), expected_hash=content_hash(kept), full=True)
    directory.calendar = Calendar(timezone="UTC", midnights=tuple(midnights), offsets=(Offset(0, 0),))
    return directory


@dataclass
class BankInHand:
    """Fold events, tap, command; ``lines`` has the journal's bytes. Doors start closed unless ``seen`` is False."""

    rows: list[Row] = field(default_factory=lambda: people("ada", "ben", "cleo"))
    columns: tuple[str, ...] = ("M M M", "L+ S_ T")
    senses_occupancy: bool = False
    seen: bool = True
    started: ev.EpochStarted | None = None
    at_ms: int = NOON_MS

    def __post_init__(self) -> None:
        self.state = BankState(bank="A")
        self.directory = directory_of(self.rows)
        self.lines: list[bytes] = []
        self._ids = itertools.count(1)
        self.fold(self.started or ev.EpochStarted(controller="ctl_0123456789ab", journal_key="key"))
        self.fold(ev.BootStarted(version="1"))
        self.fold(
            ev.BankConfigured(
                label="Lobby", area="Ground", site="Kestrel", columns=self.columns, reader="door", senses_lock=True,
                senses_occupancy=self.senses_occupancy, drives_lights=True,
            )
        )  # fmt: skip
        self.fold(ev.DirectoryApplied(version=1, content_hash=self.directory.content_hash))
        if self.seen:
            for number in self.state.lockers:
                self.fold(ev.DoorSeen(locker=number, door=Door.CLOSED))

    def mint(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids):016x}"

    @property
    def now(self) -> Moment:
        return Moment(self.at_ms, self.at_ms - NOON_MS + 1_000, BOOT, not self.state.clock_in_doubt)

    def fold(self, *events: ev.Event) -> None:
        for event in events:
            seq = self.state.seq + 1
            raw = encode_line(bank="A", epoch=EPOCH, seq=seq, moment=self.now, actor=None, event=event)
            self.lines.append(raw)
            self.state.apply(event, seq, self.now)
            self.state.epoch = EPOCH

    @property
    def journal(self) -> list[Line]:
        return [decode_line(raw) for raw in self.lines]

    def locker(self, number: str) -> LockerState:
        return self.state.lockers[number]

    # -- what people do -----------------------------------------------------------------------------------------

    def tap(self, name: str, locker: str | None, *, again: bool = False, second_factor: bool = False) -> Decision:
        tap = Tap(locker, f"d_{name}", f"x_{name}", again, second_factor)
        made = decide_tap(self.state, self.directory, tap, self.now, self.mint)
        self.fold(*made.events)
        return made

    def tap_and_open(self, name: str, locker: str | None) -> Granted:
        made = self.tap(name, locker)
        assert isinstance(made, Granted), made
        if made.unlock:
            self.open_door(made.locker, made.grant)
        return made

    def take(self, name: str, locker: str | None) -> str:
        """Tap, open, close; returns the number."""
        made = self.tap_and_open(name, locker)
        self.fold(ev.DoorClosed(locker=made.locker))
        return made.locker

    def refused(self, name: str, locker: str | None) -> Reason:
        made = self.tap(name, locker)
        assert isinstance(made, Denied), made
        denied = made.events[-1]
        assert isinstance(denied, ev.TapDenied)
        assert denied.reason is made.reason
        return made.reason

    def open_door(self, number: str, grant: str | None) -> None:
        self.fold(ev.DoorOpened(locker=number, grant=grant))
        if grant is not None:
            self.fold(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.OPENED, tap_to_open_ms=200))

    def sense(self, number: str, occupancy: Occupancy) -> None:
        self.fold(ev.OccupancyChanged(locker=number, occupancy=occupancy))

    def end(self, number: str, cause: Cause = Cause.OPERATOR) -> ev.AssignmentEnded:
        ended = end(self.state, self.directory, self.locker(number), cause, self.now)
        self.fold(ended)
        return ended

    def tick(self) -> list[ev.Event]:
        made = all_due(self.state, self.directory, self.now)
        self.fold(*made)
        later = untimed(self.state, self.directory, self.now)
        self.fold(*later)
        return [*made, *later]

    def order(self, kind: str, number: str, **more: object) -> Executed:
        ordinal = self.state.standing + 1
        command = Standing(
            command=self.mint("c"), ordinal=ordinal, kind=kind, locker=number, reason="desk",
            **{"not_after_ms": self.at_ms + DAY_MS, "needs_directory": 1, **more},  # type: ignore[arg-type]
        )  # fmt: skip
        made = execute(self.state, self.directory, command, self.now, self.mint)
        self.fold(*made.events)
        return made

    def remote_open(self, number: str, person: str | None = None) -> Granted | Denied:
        made = decide_open(
            self.state, self.directory, self.mint("c"), number, "desk", None, person, self.now, self.mint
        )  # fmt: skip
        self.fold(*made.events)
        return made

    def learn(self, *rows: Row) -> None:
        """The directory becomes ``rows`` instead of what it was for the same keys."""
        keyed = {row_key(row): row for row in (*self.directory.rows(), *rows)}
        self.rows = list(keyed.values())
        self.directory = directory_of(self.rows, self.directory.version + 1)


def rule(name: str, **settings: object) -> Rule:
    return Rule(rule=name, title=name, **settings)  # type: ignore[arg-type]


def types(events: Iterable[ev.Event]) -> list[str]:
    return [event.TYPE for event in events]
