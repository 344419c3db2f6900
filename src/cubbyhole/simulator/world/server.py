"""The server as the world sees it: what banks ask of it, what people do there, and what it says that it has.

`office.Office` keeps everything in memory and is quick; `installation.Installation` runs the real services over the
real database.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.directory import Row
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol import messages as m
from cubbyhole.server.banks.receive import Accepted
from cubbyhole.simulator.world.clockwork import Kernel
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.people import Human
from cubbyhole.simulator.world.witness import CommandIssued

NUDGES = 10

Answered = Callable[[bytes], None]


@dataclass(slots=True)
class BankRecord:
    """What the server has committed of one bank. ``ring`` carries a live command there and its answer back."""

    bank: str
    timezone: str
    epoch: str = ""
    last_seq: int = 0
    state: BankState = field(default_factory=lambda: BankState(bank=""))
    encoded: bytes = b""
    stale: bool = False  # it has lines that this release of the server does not understand
    quarantined_under: str | None = None
    nudge: Callable[[bytes], object] = lambda raw: None
    ring: Callable[[bytes, Answered], object] = lambda raw, answered: None


class Server(ABC):
    """Every ``serve_*`` takes a payload and returns the reply, or None while the server is down."""

    real = False

    def __init__(self, kernel: Kernel, chance: random.Random, coverage: Coverage) -> None:
        self.kernel, self._chance, self._coverage = kernel, chance, coverage
        self.banks: dict[str, BankRecord] = {}
        self.up = True
        self.crash_at_commit = False
        self.crashed: Callable[[int], None] = lambda downtime_ms: None
        self.restarted: Callable[[int], None] = lambda downtime_ms: None
        self.committed: Callable[[BankRecord, Accepted], None] = lambda record, verdict: None
        self.suspected: Callable[[BankRecord, str], None] = lambda record, why: None
        self.issued: Callable[[CommandIssued], None] = lambda issued: None
        self.directory_committed: Callable[[str, int, Iterable[Row], Iterable[str]], None] = lambda b, v, r, d: None

    # -- life ---------------------------------------------------------------------------------------------------

    def crash(self, downtime_ms: int) -> None:
        """The process is gone; what was committed stays."""
        if self.up:
            self.up = False
            self._coverage.fault("server_crash")
            self.crashed(downtime_ms)
            self.kernel.after(downtime_ms, self._back)

    def _back(self) -> None:
        self.up = True
        self.restarted(0)

    def _reply_is_lost(self) -> bool:
        """Whether the server dies now, between its commit and its reply."""
        if not self.crash_at_commit or not self.up:
            return False
        self.crash_at_commit = False
        self._coverage.fault("reply_lost_in_server_crash")
        self.crash(self._chance.randint(2_000, 60_000))
        return True

    # -- what people do -----------------------------------------------------------------------------------------

    @abstractmethod
    def add_bank(self, bank: str, timezone: str) -> BankRecord:
        """Know a bank; it has no controller yet."""

    @abstractmethod
    def enrol(self, bank: str, journal_key: str) -> str:
        """A new controller may speak for ``bank``, the one before may not any more. Returns its name."""

    @abstractmethod
    def enter(self, bank: str, people: Sequence[Human], rules: Sequence[Rule] = ()) -> None:
        """Enter people who come to ``bank``, with their badges, and its rules."""

    @abstractmethod
    def block(self, bank: str, human: Human) -> None:
        """The badge that ``human`` has is lost."""

    @abstractmethod
    def give_badge(self, bank: str, human: Human) -> None:
        """``human`` has another badge from now on."""

    @abstractmethod
    def open_now(self, bank: str, locker: str, actor: str) -> None:
        """Somebody at the desk asks for a door, now or never."""

    @abstractmethod
    def new_standing(
        self, bank: str, kind: str, locker: str, *, assignment: str | None = None, person: str | None = None,
        for_ms: int = 6 * 3_600_000, **more: Any,
    ) -> None:  # fmt: skip
        """Keep a standing command for ``bank`` and nudge it; ``more`` are further fields of the message."""

    # -- what it has --------------------------------------------------------------------------------------------

    @abstractmethod
    def directory_head(self, bank: str) -> int:
        """The newest version of the directory of ``bank``."""

    @abstractmethod
    def standing_head(self, bank: str) -> int:
        """The ordinal of the newest standing command for ``bank``."""

    # -- what banks ask -----------------------------------------------------------------------------------------

    @abstractmethod
    def serve_beat(self, payload: bytes) -> bytes | None: ...
    @abstractmethod
    def serve_events(self, payload: bytes) -> bytes | None: ...
    @abstractmethod
    def serve_sync(self, payload: bytes) -> bytes | None: ...
    @abstractmethod
    def serve_standing(self, payload: bytes) -> bytes | None: ...
    @abstractmethod
    def serve_claim(self, payload: bytes) -> bytes | None: ...
    @abstractmethod
    def resume(self, bank: str) -> m.ResumeReply | None:
        """What a controller without a journal starts from; None while the server is down."""
