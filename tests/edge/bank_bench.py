"""A bank's core on its real store with a clock in the hand: what the tests of the controller stand on."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow, Row, content_hash
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.watch import Reading
from cubbyhole.edge import inputs as io
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.reader import JournalReader
from cubbyhole.edge.store import BankStore
from cubbyhole.protocol.digest import credential_digest
from cubbyhole.protocol.journal import decode_line
from cubbyhole.protocol.messages import SyncReply

BANK_KEY = b"k" * 32
NOON_MS = 1_794_830_400_000  # 2026-11-16 12:00 UTC, a Monday
HOUR_MS = 3_600_000
MIDNIGHTS = tuple(NOON_MS + 12 * HOUR_MS + day * 24 * HOUR_MS for day in range(40))
SETTINGS = io.BankSettings(
    bank="A", label="Lobby", area="Ground floor", site="Kestrel House", columns=("M M M M", "L L+ S S"),
    senses_lock=True, drives_lights=True, held_open_ms=60_000,
)  # fmt: skip


@dataclass
class HandClock:
    """Wall and monotonic time, moved by hand."""

    wall: int = NOON_MS
    mono: int = 1_000_000

    def wall_ms(self) -> int:
        return self.wall

    def mono_ms(self) -> int:
        return self.mono

    def pass_ms(self, ms: int) -> None:
        self.wall += ms
        self.mono += ms


def person(name: str, *groups: str, active: bool = True) -> PersonRow:
    return PersonRow(person=f"p_{name}", name=name, groups=groups, active=active, commitment=name.encode().hex())


def badge(name: str, *, blocked: bool = False) -> CredentialRow:
    digest = credential_digest(BANK_KEY, f"uid:{name}")
    return CredentialRow(digest=digest, credential=f"b_{name}", person=f"p_{name}", kind="badge", blocked=blocked)


def whole_directory(version: int, rows: Iterable[Row]) -> io.DirectoryCame:
    kept = list(rows)
    return io.DirectoryCame(
        SyncReply(
            upto=version, full=True, content_hash=content_hash(kept), key=base64.b64encode(BANK_KEY).decode(),
            calendar=Calendar(timezone="UTC", midnights=MIDNIGHTS),
            people=[r for r in kept if isinstance(r, PersonRow)],
            credentials=[r for r in kept if isinstance(r, CredentialRow)],
            rules=[r for r in kept if isinstance(r, Rule)], deletes=[],
        )
    )  # fmt: skip


def change(
    version: int, whole: Iterable[Row], rows: Iterable[Row] = (), deletes: Iterable[str] = ()
) -> io.DirectoryCame:
    """The step to ``version``, which leaves ``whole``."""
    put = list(rows)
    return io.DirectoryCame(
        SyncReply(
            upto=version, full=False, content_hash=content_hash(whole), key=base64.b64encode(BANK_KEY).decode(),
            calendar=Calendar(timezone="UTC", midnights=MIDNIGHTS),
            people=[r for r in put if isinstance(r, PersonRow)],
            credentials=[r for r in put if isinstance(r, CredentialRow)], rules=[], deletes=list(deletes),
        )
    )  # fmt: skip


PEOPLE: tuple[Row, ...] = (person("ada"), badge("ada"), person("ben"), badge("ben"), person("cleo"), badge("cleo"))


@dataclass
class BankBench:
    """One bank: `tap` and `see` it, then look at `journal` or `core.state`."""

    folder: Path
    settings: io.BankSettings = SETTINGS
    clock: HandClock = field(default_factory=HandClock)
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    ids: itertools.count[int] = field(default_factory=itertools.count)
    synced: bool = True

    def __post_init__(self) -> None:
        self.core = self.boot()

    @property
    def path(self) -> Path:
        return self.folder / f"bank-{self.settings.bank}.db"

    def mint(self, prefix: str) -> str:
        return f"{prefix}_{next(self.ids):016x}" if prefix else f"{next(self.ids):032x}"

    def boot(self, store: BankStore | None = None) -> BankCore:
        """Start a controller on this disk, as after a power cut."""
        self.store = store or BankStore(self.path, self.settings.bank)
        core = BankCore(self.settings, self.store, self.key, "ctl_test", self.clock, self.mint, self.mint(""), "test")
        core.start(self.synced)
        self.core = core
        return core

    def ready(self, *rows: Row) -> BankBench:
        """Give it a directory and let every door be seen closed."""
        self.core.handle([whole_directory(1, rows or PEOPLE), io.ServerAnswered(self.clock.wall, 5)])
        self.see()
        return self

    def see(self, **doors: bool) -> list[io.Effect]:
        """Poll until debounced: doors named ``d03=True`` are open, all others as they are (closed if unknown)."""
        effects: list[io.Effect] = []
        for _ in range(2):
            readings = {}
            for number, s in self.core.state.lockers.items():
                is_open = doors.get(f"d{number}", s.door.value == "open")
                readings[number] = Reading(is_open, not is_open, None)
            effects += self.core.handle([io.Polled("bus/1", readings, self.clock.mono)])
            self.clock.pass_ms(50)
        return effects

    def tap(self, name: str, locker: str | None = "03") -> list[io.Effect]:
        return self.core.handle([io.TapSeen(locker, f"uid:{name}", self.clock.mono)])

    def pulse(self, effects: list[io.Effect]) -> io.Unlock:
        """The one unlock that was asked for, sent to the board."""
        (unlock,) = [e for e in effects if isinstance(e, io.Unlock)]
        self.core.handle([io.PulseSent(unlock.grant, unlock.locker, unlock.asked_ms, self.clock.mono)])
        return unlock

    def open_with(self, name: str, locker: str = "03") -> None:
        """Tap, pulse, the door swings open."""
        self.pulse(self.tap(name, locker))
        self.see(**{f"d{locker}": True})

    def tick(self, ms: int = 1_000) -> list[io.Effect]:
        self.clock.pass_ms(ms)
        return self.core.handle([io.Tick(self.clock.mono, self.synced)])

    def journal(self) -> list[ev.Event | ev.UnknownEvent]:
        reader = JournalReader(self.path)
        try:
            return [decode_line(raw).event for _, raw in reader.lines(self.core.epoch, 1, 10_000, 1 << 24)]
        finally:
            reader.close()

    def of(self, kind: type[ev.Event]) -> list[ev.Event | ev.UnknownEvent]:
        return [e for e in self.journal() if isinstance(e, kind)]


def unlocks(effects: list[io.Effect]) -> list[io.Unlock]:
    return [e for e in effects if isinstance(e, io.Unlock)]
