"""Who sees everything: durable lines, pulses, taps, what the server committed. Checkers listen here only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from cubbyhole.edge.inputs import Said, TapSeen
from cubbyhole.simulator.world.clockwork import Kernel
from cubbyhole.simulator.world.coverage import Coverage

if TYPE_CHECKING:
    from cubbyhole.domain.directory import Row
    from cubbyhole.server.banks.receive import Accepted
    from cubbyhole.simulator.world.server import BankRecord

Doc = dict[str, Any]


class Violated(Exception):
    """Something that must always hold did not. The message says what, where and when in the world's time."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class LineSeen:
    """One journal line at the moment from which it survives. ``true_ms`` is the world's time."""

    bank: str
    epoch: str
    seq: int
    type: str
    actor: str | None
    at_ms: int
    boot: str
    fields: Doc
    true_ms: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class PulseSeen:
    bank: str
    locker: str
    grant: str
    boot: str
    true_ms: int


@dataclass(slots=True)
class CommandIssued:
    """A command as the server's people meant it. ``deadline_ms`` is in the world's time."""

    command: str
    bank: str
    kind: str
    locker: str
    actor: str
    deadline_ms: int
    ordinal: int | None = None
    assignment: str | None = None
    person: str | None = None
    needs_directory: int = 0
    candidates: tuple[str, ...] = ()


@dataclass(slots=True)
class Contact:
    """Whether everything between a bank and the server has worked without a break, and since when."""

    healthy_since_ms: int | None = None


class Checker:
    """One line of "What must always hold". Subclasses override what they need and call `fail`."""

    invariant = ""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def fail(self, text: str) -> None:
        raise Violated(self.invariant, f"{text} (at {self.kernel.now_ms})")

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        """Which line types it listens to; "*" is all of them."""
        return {}

    def pulse(self, seen: PulseSeen) -> None: ...
    def tapped(self, bank: str, tap: TapSeen, owner: str | None) -> None: ...
    def decided(self, bank: str, said: Said) -> None: ...
    def refused(self, bank: str) -> None: ...
    def issued(self, command: CommandIssued) -> None: ...
    def committed(self, record: BankRecord, verdict: Accepted) -> None: ...
    def suspected(self, record: BankRecord, why: str) -> None: ...
    def server_line(self, line: LineSeen) -> None: ...
    def directory(self, bank: str, version: int, rows: Iterable[Row]) -> None: ...
    def backed_up(self) -> None: ...
    def restored(self) -> None: ...
    def finished(self) -> None: ...


@dataclass(slots=True)
class Witness:
    """Passes on what it sees. Built once per run."""

    kernel: Kernel
    coverage: Coverage
    checkers: list[Checker] = field(default_factory=list)
    contact: dict[str, Contact] = field(default_factory=dict)
    forged: set[str] = field(default_factory=set)  # banks in whose name somebody has lied
    line_count: int = 0
    pulse_count: int = 0
    tap_count: int = 0
    _listeners: dict[str, list[Callable[[LineSeen], None]]] = field(default_factory=dict)
    _all: list[Callable[[LineSeen], None]] = field(default_factory=list)

    def add(self, checker: Checker) -> None:
        self.checkers.append(checker)
        for name, listener in checker.lines().items():
            if name == "*":
                self._all.append(listener)
            else:
                self._listeners.setdefault(name, []).append(listener)

    def durable(self, bank: str, epoch: str, first: int, lines: Sequence[tuple[bytes, bytes]]) -> None:
        """Lines have reached a bank's disk."""
        now_ms, coverage = self.kernel.now_ms, self.coverage
        decode, listeners, everywhere = msgspec.json.decode, self._listeners, self._all
        for seq, (raw, _) in enumerate(lines, first):
            doc = decode(raw)
            kind = doc["type"]
            seen = LineSeen(bank, epoch, seq, kind, doc["actor"], doc["at"], doc["boot"], doc["data"], now_ms, raw)
            self.line_count += 1
            for listener in everywhere:
                listener(seen)
            for listener in listeners.get(kind, ()):
                listener(seen)
            if kind == "tap.denied":
                coverage.reasons[doc["data"]["reason"]] += 1
            elif kind == "unlock.settled":
                coverage.outcomes[doc["data"]["outcome"]] += 1
            elif kind == "command.done" and doc["data"]["reason"] is not None:
                coverage.reasons[doc["data"]["reason"]] += 1

    def pulse(self, seen: PulseSeen) -> None:
        self.pulse_count += 1
        for checker in self.checkers:
            checker.pulse(seen)

    def backed_up(self) -> None:
        """A backup of the server's database was made: what is committed from now on a restore would take back."""
        for checker in self.checkers:
            checker.backed_up()

    def restored(self) -> None:
        """The server has gone back to its last backup."""
        for checker in self.checkers:
            checker.restored()

    def finished(self) -> None:
        for checker in self.checkers:
            checker.finished()

    def committed(self, record: BankRecord, verdict: Accepted) -> None:
        for checker in self.checkers:
            checker.committed(record, verdict)

    def suspected(self, record: BankRecord, why: str) -> None:
        for checker in self.checkers:
            checker.suspected(record, why)

    def issued(self, command: CommandIssued) -> None:
        for checker in self.checkers:
            checker.issued(command)

    def directory(self, bank: str, version: int, rows: Iterable[Row], deletes: Iterable[str]) -> None:
        for checker in self.checkers:
            checker.directory(bank, version, rows)
