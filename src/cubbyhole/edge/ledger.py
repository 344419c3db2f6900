"""A bank's journal as its core writes it: what was appended holds at once, and is durable or undone as one commit."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.directory import Directory, Row
from cubbyhole.domain.fold import now_of
from cubbyhole.domain.moment import Moment
from cubbyhole.edge import inputs as io
from cubbyhole.edge.store import SNAPSHOT_EVERY, DirectoryChange, Loaded
from cubbyhole.protocol.journal import LineError, encode_line
from cubbyhole.protocol.messages import Head, SyncReply
from cubbyhole.protocol.signing import sign

ANSWERED_IN_A_GAP = (500, 50, 0)  # outcomes that `journal.gap` tells: as many as one line holds


class Store(Protocol):
    """Where the journal is kept: `edge.store.BankStore`, or the world simulator's disk."""

    def epoch(self) -> str | None: ...
    def begin_epoch(self, epoch: str) -> None: ...
    def load(self) -> Loaded | None: ...
    def directory(self) -> tuple[Directory, bytes | None]: ...
    def commit(
        self,
        epoch: str,
        first: int,
        lines: Sequence[tuple[bytes, bytes]],
        head: Head,
        change: DirectoryChange | None = None,
    ) -> None: ...
    def snapshot(self, state: BankState) -> None: ...
    def acknowledge(self, seq: int) -> None: ...
    def keep_reserve(self) -> bool: ...
    def give_up_reserve(self) -> None: ...


class Ledger:
    """One bank's journal, the state that it folds to, and the directory that is stored with it.

    ``touched`` collects the lockers that appended events were about, for whoever empties it.
    """

    def __init__(self, bank: str, store: Store, key: Ed25519PrivateKey) -> None:
        self._bank, self._store, self._key = bank, store, key
        self.state = BankState(bank=bank)
        self.directory = Directory()
        self.bank_key: bytes | None = None
        self.epoch = ""
        self.touched: set[str] = set()
        self._hash = b""
        self._staged: list[tuple[bytes, bytes]] = []
        self._change: DirectoryChange | None = None
        self._snapshot_seq = 0
        self._durable = (0, b"")  # the last line on the disk and its hash

    def open(self, mint: Callable[[str], str]) -> bool:
        """Load what the disk has. True where it has no journal yet: one is begun, and its first event is the caller's.

        Raises StoreFull or StoreBroken.
        """
        loaded = self._store.load()
        self.directory, self.bank_key = self._store.directory()
        if loaded is not None:
            self._take(loaded)
            return False
        self.epoch = mint("")
        self._store.begin_epoch(self.epoch)
        self._hash = genesis(self._bank, self.epoch)
        return True

    @property
    def is_staged(self) -> bool:
        """Whether anything waits for `commit`."""
        return bool(self._staged)

    def append(self, event: ev.Event, actor: str | None, moment: Moment) -> None:
        """Write the next line and fold it; `commit` makes it durable."""
        state = self.state
        seq = state.seq + 1
        raw = encode_line(bank=self._bank, epoch=self.epoch, seq=seq, moment=moment, actor=actor, event=event)
        self._hash = link(self._hash, raw)
        self._staged.append((raw, self._hash))
        state.apply(event, seq, moment)
        state.epoch = self.epoch
        number = ev.locker_of(event)
        if number is not None:
            self.touched.add(number)
        elif isinstance(event, ev.LinkLost | ev.LinkRestored):
            self.touched.update(event.lockers)

    def say_gone(self, gone: io.LinesGone, moment: Moment) -> None:
        """Write that lines are gone, and how the bank stands all the same, unless it is written already.

        The state itself was never lost: it comes from a snapshot behind the hole, or has been in memory all the time.
        """
        known = any(gap.seq > gone.seen and gap.first <= gone.first <= gap.last for gap in self.state.gaps)
        if gone.epoch != self.epoch or known:
            return
        last, hash_after = gone.last, gone.hash_after
        if last is None or hash_after is None:
            last, hash_after = self._durable[0], self._durable[1].hex()
        if last < gone.first:
            return
        for most in ANSWERED_IN_A_GAP:
            event = ev.JournalGap(
                first=gone.first, last=last, hash_before=gone.hash_before, hash_after=hash_after, why=gone.why,
                state=now_of(self.state, most),
            )  # fmt: skip
            try:
                self.append(event, None, moment)
            except LineError:
                continue
            self.touched.update(self.state.lockers)
            # Whoever starts from here must not have to fold across the hole.
            self._snapshot_seq = self.state.seq - SNAPSHOT_EVERY
            return

    def learn(self, reply: SyncReply) -> bool:
        """Take a part of the directory, which the next commit stores. True where its version is new here.

        Raises DirectoryError where it does not fit what is here.
        """
        if not reply.full and reply.upto < self.directory.version:
            return False
        is_new = reply.full or reply.upto != self.directory.version
        rows: tuple[Row, ...] = (*reply.people, *reply.credentials, *reply.rules)
        self.directory.apply(
            version=reply.upto, rows=rows, deletes=reply.deletes, expected_hash=reply.content_hash, full=reply.full
        )
        self.directory.calendar = reply.calendar
        self.bank_key = base64.b64decode(reply.key)
        change = DirectoryChange(
            version=reply.upto, full=reply.full, rows=rows, deletes=tuple(reply.deletes), calendar=reply.calendar,
            key=self.bank_key,
        )  # fmt: skip
        self._change = change if self._change is None else self._change.followed_by(change)
        return is_new

    def commit(self) -> None:
        """Make all that was appended durable, its head signed. Raises StoreFull or StoreBroken with nothing written;
        after StoreFull, `roll_back`."""
        staged, change = self._staged, self._change
        self._staged, self._change = [], None
        seq = self.state.seq
        signature = sign(self._key, head_text(self._bank, self.epoch, seq, self._hash))
        head = Head(seq, self._hash.hex(), signature)
        self._store.commit(self.epoch, seq - len(staged) + 1, staged, head, change)
        self._durable = (seq, self._hash)
        if seq - self._snapshot_seq >= SNAPSHOT_EVERY:
            self._snapshot_seq = seq
            self._store.snapshot(self.state)

    def roll_back(self) -> int:
        """Go back to what the disk has; the number of events that are gone with it. Raises StoreBroken."""
        self._staged, self._change = [], None
        loaded = self._store.load()
        assert loaded is not None, "a journal was begun before anything could be refused"
        lost = self.state.seq - loaded.state.seq
        self._take(loaded)
        self.directory, self.bank_key = self._store.directory()
        self.touched.update(self.state.lockers)
        return lost

    def _take(self, loaded: Loaded) -> None:
        self.state, self._hash, self.epoch = loaded.state, loaded.last_hash, loaded.state.epoch
        self._durable = (self.state.seq, self._hash)
