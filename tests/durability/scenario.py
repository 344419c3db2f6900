"""A short day at one bank on the real store, run into a power cut and read back from what survived."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.decision import Denied
from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow, content_hash
from cubbyhole.domain.rules import DEFAULT
from cubbyhole.domain.vocabulary import Outcome, Reason
from cubbyhole.domain.watch import Reading
from cubbyhole.edge import inputs as io
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.store import BankStore
from cubbyhole.protocol.digest import credential_digest
from cubbyhole.protocol.messages import SyncReply
from cubbyhole.protocol.signing import is_signed
from cubbyhole.simulator.world.powercut import Keep, PowerCut, PowerCutDisk, PowerCutVFS, after_the_cut

NOON_MS = 1_767_610_800_000
BANK_KEY = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NUMBERS = tuple(f"{n:02}" for n in range(1, 7))
_vfs_names = itertools.count()

CoreMaker = Callable[..., BankCore]


class StepClock:
    """A clock that moves only when it is told to."""

    def __init__(self, mono_ms: int = 0) -> None:
        self.now_ms = mono_ms

    def wall_ms(self) -> int:
        return NOON_MS + self.now_ms

    def mono_ms(self) -> int:
        return self.now_ms


@dataclass(slots=True)
class Run:
    """One life of the bank: what was handed out before the power went, and the disk that is left."""

    disk: PowerCutDisk
    unlocks: list[io.Unlock] = field(default_factory=list)
    denied: list[Reason] = field(default_factory=list)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Survivor:
    """What the next start read from the disk."""

    grants: frozenset[str]
    lines: int
    settled_unknown: int
    types: frozenset[str] = frozenset()


def sync_reply(people: int = 6) -> SyncReply:
    rows = [
        PersonRow(person=f"p_{n}", name=f"Person {n}", groups=(), active=True, commitment=f"{n:064x}")
        for n in range(people)
    ]
    cards = [
        CredentialRow(
            digest=credential_digest(BANK_KEY, f"uid:{n:08x}"), credential=f"k_{n}", person=f"p_{n}", kind="badge"
        )
        for n in range(people)
    ]
    return SyncReply(
        upto=1, full=True, content_hash=content_hash([*rows, *cards, DEFAULT]), key=base64.b64encode(BANK_KEY).decode(),
        calendar=Calendar(timezone="UTC", midnights=(NOON_MS + 12 * 3_600_000,)), people=rows, credentials=cards,
        rules=[DEFAULT], deletes=[],
    )  # fmt: skip


def _closed(numbers: Sequence[str], mono_ms: int) -> io.Polled:
    return io.Polled("bus/1", {n: Reading(False, None, None) for n in numbers}, mono_ms)


def live(
    folder: Path,
    *,
    cut_at: int | None,
    synchronous: str = "FULL",
    make_core: CoreMaker = BankCore,
    checkpoint_pages: int | None = None,
    taps: int = 12,
    full_at: range = range(0),
) -> Run:
    """Run the day until it ends or the power goes at point ``cut_at``."""
    disk = PowerCutDisk()
    disk.cut_at = cut_at
    run = Run(disk)
    vfs = PowerCutVFS(f"powercut-{next(_vfs_names)}", disk)
    with after_the_cut():
        store = None
        try:
            store = _open(folder, vfs.title, synchronous)
            _day(run, store, make_core, checkpoint_pages, taps, full_at)
        except Exception:
            if not disk.dead:
                raise
        disk.cut_at, disk.dead, run.cut = 0, True, disk.dead
        if store is not None:
            with suppress(apsw.Error, PowerCut):
                store.close()
        del store
        vfs.unregister()
    return run


def _day(
    run: Run, store: BankStore, make_core: CoreMaker, checkpoint_pages: int | None, taps: int, full_at: range
) -> None:
    clock = StepClock()
    if checkpoint_pages is not None:
        store._db.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
    settings = io.BankSettings(bank="A", label="A", area="", site="", columns=("S S S", "M M L"))
    core = make_core(settings, store, KEY, "ctl_1", clock, _mint("life"), "b" * 32, "test")
    vars(core)["emitted"] = run.unlocks  # read by wrong cores only
    core.start(kernel_sync=True)

    def handle(*group: io.Input) -> None:
        effects = core.handle(group)
        run.disk.alive()  # a machine without power emits nothing
        run.denied += [e.decision.reason for e in effects if isinstance(e, io.Said) and isinstance(e.decision, Denied)]
        run.unlocks += [e for e in effects if isinstance(e, io.Unlock) and e not in run.unlocks]

    handle(io.DirectoryCame(sync_reply()), io.ServerAnswered(clock.wall_ms(), 5))
    handle(_closed(NUMBERS, clock.now_ms))
    handle(_closed(NUMBERS, clock.now_ms))
    for turn in range(taps):
        run.disk.full = turn in full_at
        clock.now_ms += 2_000
        number = NUMBERS[turn % len(NUMBERS)]
        seen = len(run.unlocks)
        second = NUMBERS[(turn + 3) % len(NUMBERS)]
        handle(
            io.TapSeen(number, f"uid:{turn % 6:08x}", clock.now_ms),
            io.TapSeen(second, f"uid:{(turn + 3) % 6:08x}", clock.now_ms),
        )
        for unlock in run.unlocks[seen:]:
            clock.now_ms += 10
            handle(io.PulseSent(unlock.grant, unlock.locker, unlock.asked_ms, clock.now_ms))
            for is_open in (True, True, False, False):
                clock.now_ms += 250
                handle(io.Polled("bus/1", {unlock.locker: Reading(is_open, None, None)}, clock.now_ms))
        handle(io.Acked(core.epoch, core.state.seq), io.Tick(clock.now_ms, True))


def _open(folder: Path, vfs: str, synchronous: str) -> BankStore:
    # The database is in the disk's images; only the reserve beside it is in the test's folder.
    return BankStore(folder / "bank.db", "A", vfs=vfs, synchronous=synchronous, exclusive=True)


def _mint(life: str) -> Callable[[str], str]:
    counter = itertools.count()

    def mint(prefix: str) -> str:
        n = next(counter)
        return f"{prefix}_{life}{n:012d}" if prefix else f"{abs(hash(life)) % 16:x}" * 16 + f"{n:016x}"

    return mint


def revive(run: Run, folder: Path, keep: Keep, seed: int) -> Survivor:
    """Start again from what survived: check the chain with the test's own eyes, then let the real core load it."""
    disk = PowerCutDisk(run.disk.survivors(keep, seed))
    vfs = PowerCutVFS(f"powercut-{next(_vfs_names)}", disk)
    try:
        store = _open(folder, vfs.title, "FULL")
        epoch = store.epoch()
        query = "SELECT seq, bytes, hash, signature FROM line WHERE epoch=? ORDER BY seq"
        rows = [] if epoch is None else list(store._db.execute(query, (epoch,)))
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "the surviving journal has a gap"
        grants, types = set(), set()
        if epoch is not None and rows:
            last = genesis("A", epoch)
            for _, raw, line_hash, _ in rows:
                last = link(last, raw)
                assert last == line_hash, "the surviving chain is broken"
                line = msgspec.json.decode(raw)
                types.add(line["type"])
                if line["type"] == "access.granted":
                    grants.add(line["data"]["grant"])
            signature = rows[-1][3]
            assert signature is not None, "the last surviving line has no head"
            assert is_signed(KEY.public_key(), head_text("A", epoch, len(rows), last), signature)
        settings = io.BankSettings(bank="A", label="A", area="", site="", columns=("S S S", "M M L"))
        core = BankCore(settings, store, KEY, "ctl_1", StepClock(10_000_000), _mint("next"), "c" * 32, "test")
        core.start(kernel_sync=True)
        assert not core.state.open_grants(), "a grant of the life before is still open"
        query = "SELECT bytes FROM line WHERE epoch=? AND seq>?"
        new: list[tuple[bytes]] = store._db.execute(query, (core.epoch, len(rows))).fetchall()  # type: ignore[assignment]
        settled = [msgspec.json.decode(raw) for (raw,) in new]
        unknown = sum(s["type"] == "unlock.settled" and s["data"]["outcome"] == Outcome.UNKNOWN for s in settled)
        store.close()
        return Survivor(frozenset(grants), len(rows), unknown, frozenset(types))
    finally:
        vfs.unregister()
