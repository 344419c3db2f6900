"""A controller's disk as the core sees it (`edge.ledger.Store`): whole commits or nothing, at times full or slow.

The real store's promise is tested by cutting its power at every write (tests/durability); here the promise is taken
as given and everything above it is tested at scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import genesis
from cubbyhole.domain.directory import Calendar, Directory, Row, content_hash, row_key
from cubbyhole.domain.snapshot import GapMark
from cubbyhole.edge.inputs import LinesGone
from cubbyhole.edge.store import DirectoryChange, Loaded, StoreFull
from cubbyhole.protocol.journal import decode_line, decode_state, encode_state
from cubbyhole.protocol.messages import GapProof, Head

RESERVE_COMMITS = 25

Durable = Callable[[str, int, Sequence[tuple[bytes, bytes]]], None]


class PowerLost(BaseException):
    """The machine lost its power inside a call; nothing that it would have returned exists."""


class WorldDisk:
    """One bank's disk. ``durable`` hears of every line at the moment from which it survives."""

    def __init__(self, bank: str, durable: Durable) -> None:
        self._bank, self._durable = bank, durable
        self.full = False
        self.keeps = False  # also what the server has, for a server that may lose it again
        self.cut: Literal["before", "after"] | None = None  # the power goes inside the next commit
        self.commits = self.refused = 0
        self._room = 0
        self._reserve = True
        self._epoch: str | None = None
        self._base, self._base_hash = 0, b""
        self._lines: list[tuple[bytes, bytes, str | None]] = []
        self._snapshot: tuple[int, bytes] | None = None
        self._acked = self._acked_synced = 0
        self._rows: dict[str, Row] = {}
        self._version: int | None = None
        self._calendar: Calendar | None = None
        self._key: bytes | None = None

    # -- what the core asks for ---------------------------------------------------------------------------------

    def epoch(self) -> str | None:
        return self._epoch

    def begin_epoch(self, epoch: str) -> None:
        self._epoch, self._base, self._lines, self._snapshot = epoch, 0, [], None
        self._acked = self._acked_synced = 0

    def load(self) -> Loaded | None:
        if self._epoch is None:
            return None
        state, seq, last = BankState(bank=self._bank), 0, genesis(self._bank, self._epoch)
        if self._snapshot is not None:
            seq, state = self._snapshot[0], decode_state(self._snapshot[1])
            last = self._lines[seq - self._base - 1][1]
        for raw, line_hash, _ in self._lines[seq - self._base :]:
            seq += 1
            line = decode_line(raw)
            state.apply(line.event, seq, line.moment)
            last = line_hash
        state.epoch = self._epoch
        return None if seq == 0 else Loaded(state, last, self._acked)

    def directory(self) -> tuple[Directory, bytes | None]:
        directory = Directory()
        if self._version is not None and self._calendar is not None:
            rows = list(self._rows.values())
            directory.apply(version=self._version, rows=rows, deletes=(), expected_hash=content_hash(rows), full=True)
            directory.calendar = self._calendar
        return directory, self._key

    def commit(
        self,
        epoch: str,
        first: int,
        lines: Sequence[tuple[bytes, bytes]],
        head: Head,
        change: DirectoryChange | None = None,
    ) -> None:
        if self.cut == "before":
            self.cut = None
            raise PowerLost
        if self.full:
            if self._room <= 0:
                self.refused += 1
                raise StoreFull("the disk is full")
            self._room -= 1
        if epoch != self._epoch or first != self._base + len(self._lines) + 1:
            raise AssertionError(f"commit of line {first} behind line {self._base + len(self._lines)}")
        self.commits += 1
        last = len(lines) - 1
        self._lines += [(raw, h, head.signature if i == last else None) for i, (raw, h) in enumerate(lines)]
        self._acked_synced = self._acked
        if change is not None:
            if change.full:
                self._rows = {}
            for key in change.deletes:
                self._rows.pop(key, None)
            self._rows.update((row_key(row), row) for row in change.rows)
            self._version, self._calendar, self._key = change.version, change.calendar, change.key
        self._durable(epoch, first, lines)
        if self.cut == "after":
            self.cut = None
            raise PowerLost

    def snapshot(self, state: BankState) -> None:
        self._snapshot = (state.seq, encode_state(state))
        # Lines that the server has and the snapshot covers are not needed any more, but for the last one's hash.
        drop = min(self._acked_synced, state.seq - 1) - self._base
        if drop > 0 and not self.keeps:
            self._base_hash = self._lines[drop - 1][1]
            del self._lines[:drop]
            self._base += drop

    def acknowledge(self, seq: int) -> None:
        self._acked = seq

    def keep_reserve(self) -> bool:
        if self.full:
            return False
        self._reserve = True
        return True

    def give_up_reserve(self) -> None:
        if self._reserve:
            self._reserve, self._room = False, RESERVE_COMMITS

    # -- what the uplink reads ----------------------------------------------------------------------------------

    def lines(
        self, epoch: str, first: int, most: int, most_bytes: int, before: bytes | None = None
    ) -> list[tuple[int, bytes]]:
        start = first - self._base - 1
        if epoch != self._epoch or start < 0:
            return []
        taken: list[tuple[int, bytes]] = []
        size = 0
        for at in range(start, min(start + most, len(self._lines))):
            raw = self._lines[at][0]
            size += len(raw)
            if taken and size > most_bytes:
                break
            taken.append((self._base + at + 1, raw))
        return taken

    def heads(self, epoch: str, first: int, last: int) -> list[Head]:
        found = []
        for at in range(max(0, first - self._base - 1), min(last - self._base, len(self._lines))):
            _, line_hash, signature = self._lines[at]
            if signature is not None:
                found.append(Head(self._base + at + 1, line_hash.hex(), signature))
        return found

    def proof(self, epoch: str, gap: GapMark) -> GapProof | None:
        at = gap.seq - self._base - 1
        if epoch != self._epoch or at < 1:
            return None
        lines = []
        for seq, (raw, line_hash, signature) in enumerate(self._lines[at:], gap.seq):
            lines.append(msgspec.Raw(raw))
            if signature is not None:
                before = self._lines[at - 1][1].hex()
                return GapProof(before=before, lines=lines, head=Head(seq, line_hash.hex(), signature))
        return None

    def gone(self, epoch: str, first: int, seen: int, before: bytes | None = None) -> LinesGone | None:
        if epoch != self._epoch or first > self._base:
            return None
        return LinesGone(
            epoch=epoch, first=first, last=self._base, hash_before=None, hash_after=self._base_hash.hex(),
            why="trimmed", seen=seen,
        )  # fmt: skip

    @property
    def has_lines(self) -> bool:
        return self._epoch is not None and self._base + len(self._lines) > 0

    # -- what the world does to it ------------------------------------------------------------------------------

    def lose_unsynced(self) -> int:
        """The power went, and with it what was written without a sync. Returns what counts as acknowledged now."""
        self._acked = self._acked_synced
        self.cut = None
        return self._acked
