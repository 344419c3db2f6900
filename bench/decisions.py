"""F3: durable, audited tap decisions per second, one at a time and 32 at a time, against bare fdatasync.

A decision goes from the canonical badge to a synced commit with its signed head, on the controller's own store. Each
group also carries the outcome of the unlock before, so one decision is two journal lines. Bare fdatasync appends as
many bytes to a plain file; both take turns, so that the machine's moods hit them alike.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.figure import Figure, median
from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow, content_hash
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.domain.watch import Reading
from cubbyhole.edge import inputs as io
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.runner import settle_memory
from cubbyhole.edge.store import BankStore
from cubbyhole.protocol.digest import credential_digest
from cubbyhole.protocol.messages import SyncReply

LOCKERS = 120
PEOPLE = 20_000
ROUNDS = 40
PER_ROUND = 50
LINE_BYTES = 420 * 2
_KEY = b"b" * 32


class _Clock:
    """A second passes between any two taps, so that no two are one presentation."""

    def __init__(self) -> None:
        self.ms = 0

    def wall_ms(self) -> int:
        return 1_794_830_400_000 + self.ms

    def mono_ms(self) -> int:
        return 1_000_000 + self.ms


class BenchBank:
    """A bank of LOCKERS lockers that as many of PEOPLE people hold; `group` makes the next inputs."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.clock = _Clock()
        ids = itertools.count()
        columns = tuple(" ".join("M" for _ in range(6)) for _ in range(LOCKERS // 6))
        settings = io.BankSettings(bank="A", label="Bench", area="", site="", columns=columns)

        def mint(prefix: str) -> str:
            return f"{prefix}_{next(ids):016x}" if prefix else f"{next(ids):032x}"

        key = Ed25519PrivateKey.generate()
        self.core = BankCore(
            settings, BankStore(folder / "bank-A.db", "A"), key, "ctl_bench", self.clock, mint, "0" * 32, "bench"
        )
        self.core.start(True)
        self.core.handle([self._directory()])
        for _ in range(2):
            readings = {number: Reading(False, None, None) for number in self.core.state.lockers}
            self.core.handle([io.Polled("bus/1", readings, self.clock.mono_ms())])
        self._numbers = itertools.cycle(self.core.state.lockers)
        self._open: list[io.Unlock] = []
        for _ in range(LOCKERS):
            self.decide(1)
        settle_memory()  # as a controller does once it has its directory

    def _directory(self) -> io.DirectoryCame:
        people = [
            PersonRow(person=f"p_{i:016x}", name=f"P{i}", groups=(), active=True, commitment="0" * 64)
            for i in range(PEOPLE)
        ]
        badges = [
            CredentialRow(
                digest=credential_digest(_KEY, f"uid:{i:08x}"),
                credential=f"b_{i:016x}",
                person=f"p_{i:016x}",
                kind="badge",
            )
            for i in range(PEOPLE)
        ]
        calendar = Calendar(
            timezone="UTC", midnights=tuple(1_794_830_400_000 + day * 86_400_000 for day in range(30, 60))
        )
        reply = SyncReply(
            upto=1, full=True, content_hash=content_hash([*people, *badges]), key=base64.b64encode(_KEY).decode(),
            calendar=calendar, people=people, credentials=badges, rules=[], deletes=[],
        )  # fmt: skip
        return io.DirectoryCame(reply)

    def decide(self, count: int) -> None:
        """One group of ``count`` taps, each by the holder at a locker of their own; all must be granted."""
        self.clock.ms += 1000
        group: list[io.Input] = [io.PulseFailed(u.grant, u.locker, Outcome.NOT_SENT) for u in self._open]
        for number in itertools.islice(self._numbers, count):
            group.append(io.TapSeen(number, f"uid:{int(number):08x}", self.clock.mono_ms()))
        effects = self.core.handle(group)
        self._open = [e for e in effects if isinstance(e, io.Unlock)]
        assert len(self._open) == count, "every tap of the bench is granted"


def _rounds(bank: BenchBank, together: int, raw: int) -> Iterator[tuple[float, float]]:
    """Seconds per decision and seconds per bare fdatasync, round by round."""
    block = b"x" * (LINE_BYTES * together)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(PER_ROUND // (1 if together == 1 else 5)):
            bank.decide(together)
        taken = (time.perf_counter() - began) / (PER_ROUND // (1 if together == 1 else 5))
        began = time.perf_counter()
        for _ in range(PER_ROUND):
            os.write(raw, block)
            os.fdatasync(raw)
        yield taken / together, (time.perf_counter() - began) / PER_ROUND


def run(folder: Path) -> list[Figure]:
    """Both figures. The first rounds let the write-ahead log reach its size and do not count."""
    bank = BenchBank(folder / "decisions")
    raw = os.open(folder / "decisions" / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    figures = []
    try:
        for _ in range(2000):
            bank.decide(1)
        for together, goal in ((1, 0.7), (32, None)):
            pairs = list(_rounds(bank, together, raw))
            ours, bare = median([1 / a for a, _ in pairs]), median([1 / b for _, b in pairs])
            figures.append(
                Figure(
                    name=f"F3 tap decisions, {together} at a time", unit="decisions/s", value=ours, limit=bare,
                    limit_is=f"bare fdatasync of {LINE_BYTES * together} bytes, per second",
                    span="badge number known → commit synced, head signed", goal=goal, at_least=True,
                )
            )  # fmt: skip
    finally:
        os.close(raw)
    return figures
