"""Reads a bank's journal beside the store's own thread: what can be sent, and what is gone.

A line counts as there only where its hash follows from the line before and its own bytes: a damaged disk must not make
a bank send what it has not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import apsw
import msgspec

from cubbyhole.domain.chain import genesis, link
from cubbyhole.domain.snapshot import GapMark
from cubbyhole.edge.inputs import LinesGone
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.messages import MAX_BATCH_BYTES, MAX_BATCH_LINES, GapProof, Head

SKIPPED_MOST = 64  # lines that are passed over at once where the disk cannot be read


@dataclass(frozen=True, slots=True)
class _Row:
    seq: int
    raw: bytes
    hash: bytes
    signature: str | None

    def follows(self, seq: int, before: bytes | None) -> bool:
        """Whether this is the line behind line ``seq`` with the hash ``before``."""
        return before is not None and self.seq == seq + 1 and link(before, self.raw) == self.hash


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines that the server lacks, from ``first`` to one with a head; ``gap``: what shows why none before are sent."""

    first: int
    lines: list[msgspec.Raw]
    heads: list[Head]
    gap: GapProof | None


class Reader(Protocol):
    """The journal as far as it is durable: `JournalReader`, or the world simulator's disk."""

    def lines(
        self, epoch: str, first: int, most: int, most_bytes: int, before: bytes | None = None
    ) -> list[tuple[int, bytes]]: ...
    def heads(self, epoch: str, first: int, last: int) -> list[Head]: ...
    def proof(self, epoch: str, gap: GapMark) -> GapProof | None: ...
    def gone(self, epoch: str, first: int, seen: int, before: bytes | None = None) -> LinesGone | None: ...


def next_stretch(reader: Reader, epoch: str, acked: int, gaps: Sequence[GapMark]) -> Stretch | LinesGone | None:
    """What to send to a server that has everything up to line ``acked``; None where it has all.

    ``gaps`` are those that the journal has owned up to. `LinesGone`: nothing can be sent before the core has written
    that these are gone.
    """
    before = next((bytes.fromhex(gap.hash) for gap in gaps if gap.last == acked), None)
    found = _stretch(reader, epoch, acked + 1, before, None)
    if found is not None:
        return found
    for gap in reversed(gaps):
        proof = reader.proof(epoch, gap) if gap.first <= acked + 1 <= gap.last else None
        if proof is not None:
            found = _stretch(reader, epoch, gap.last + 1, bytes.fromhex(gap.hash), proof)
            if found is not None:
                return found
    return reader.gone(epoch, acked + 1, gaps[-1].seq if gaps else 0, before)


def _stretch(reader: Reader, epoch: str, first: int, before: bytes | None, gap: GapProof | None) -> Stretch | None:
    most_bytes = MAX_BATCH_BYTES if gap is None else MAX_BATCH_BYTES // 4  # the proof may be as long as a line may be
    lines = reader.lines(epoch, first, MAX_BATCH_LINES, most_bytes, before)
    heads = reader.heads(epoch, first, lines[-1][0]) if lines else []
    if not heads:
        return None
    return Stretch(first, [msgspec.Raw(raw) for seq, raw in lines if seq <= heads[-1].seq], heads, gap)


class JournalReader:
    """What is committed of one bank's journal. Used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._db.set_busy_timeout(2_000)

    def close(self) -> None:
        self._db.close()

    def lines(
        self, epoch: str, first: int, most: int, most_bytes: int, before: bytes | None = None
    ) -> list[tuple[int, bytes]]:
        """Up to ``most`` lines from ``first``, about ``most_bytes`` together, in order; it ends where one is missing or
        damaged. ``before``: the hash that stands before them, where the line of it is gone."""
        return [(row.seq, row.raw) for row in self._intact(epoch, first, most, most_bytes, before)]

    def heads(self, epoch: str, first: int, last: int) -> list[Head]:
        query = (
            "SELECT seq, hash, signature FROM line "
            "WHERE epoch=? AND seq BETWEEN ? AND ? AND signature IS NOT NULL ORDER BY seq"
        )
        found = []
        try:
            for seq, line_hash, signature in self._db.execute(query, (epoch, first, last)):
                found.append(Head(seq, line_hash.hex(), signature))
        except apsw.CorruptError:
            pass  # a page behind them: what was read is right
        return found

    def proof(self, epoch: str, gap: GapMark) -> GapProof | None:
        """What shows that the `journal.gap` in line ``gap.seq`` was signed; None where that line is gone itself."""
        before = self._hash_of(epoch, gap.seq - 1)
        if before is None:
            return None
        lines = []
        for row in self._intact(epoch, gap.seq, MAX_BATCH_LINES, 1 << 30, before):
            lines.append(msgspec.Raw(row.raw))
            if row.signature is not None:
                return GapProof(before=before.hex(), lines=lines, head=Head(row.seq, row.hash.hex(), row.signature))
        return None

    def gone(self, epoch: str, first: int, seen: int, before: bytes | None = None) -> LinesGone | None:
        """Which lines from ``first`` on cannot be sent any more; None where nothing is wrong with them.

        It ends at the first line behind the damage from which an intact chain leads to a signed one. What has lost its
        own signature, or the hash before it, cannot be shown to anybody: it counts as gone too.
        """
        known = before or self._hash_of(epoch, first - 1)
        running, at, is_damaged = known, first - 1, False
        start: tuple[int, bytes] | None = None  # a line whose hash may be where the chain goes on
        trimmed = self._trimmed(epoch)
        if trimmed is not None and trimmed[0] >= first:
            at, running = trimmed
            start, is_damaged = trimmed, True
        for row in self._rows(epoch, at + 1):
            if row.seq == 1 and running is None:
                running = _genesis_of(epoch, row.raw)
            if not row.follows(at, running):
                is_damaged, start = True, (row.seq, row.hash)
            elif row.signature is not None:
                if not is_damaged:
                    return None
                if start is not None:
                    why = "trimmed" if trimmed is not None and start == trimmed else "damaged"
                    return _gone(epoch, first, start, known, why, seen)
            at, running = row.seq, row.hash
        return _gone(epoch, first, None, known, "damaged", seen) if is_damaged else None

    def _intact(self, epoch: str, first: int, most: int, most_bytes: int, before: bytes | None) -> Iterator[_Row]:
        running, at, size = before or self._hash_of(epoch, first - 1), first - 1, 0
        for row in self._rows(epoch, first):
            if row.seq == 1 and running is None:
                running = _genesis_of(epoch, row.raw)
            size += len(row.raw)
            taken = at - first + 1
            if not row.follows(at, running) or taken == most or (taken and size > most_bytes):
                return
            yield row
            at, running = row.seq, row.hash

    def _rows(self, epoch: str, first: int) -> Iterator[_Row]:
        """Rows as they are on the disk. What cannot be read is passed over, some lines at a time."""
        query = "SELECT seq, bytes, hash, signature FROM line WHERE epoch=? AND seq>=? ORDER BY seq"
        seq, step, newest = first, 1, None
        while newest is None or seq <= newest:
            try:
                for number, raw, line_hash, signature in self._db.execute(query, (epoch, seq)):
                    if isinstance(raw, bytes) and isinstance(line_hash, bytes):
                        yield _Row(number, raw, line_hash, signature)
                    seq, step = number + 1, 1
                return
            except apsw.CorruptError:
                newest = self._newest()
                seq, step = seq + step, min(2 * step, SKIPPED_MOST)

    def _newest(self) -> int:
        try:
            row = self._db.execute("SELECT max(seq) FROM line").fetchone()
        except apsw.CorruptError:
            return 0
        return int(row[0] or 0) if row is not None else 0

    def _hash_of(self, epoch: str, seq: int) -> bytes | None:
        try:
            row = self._db.execute("SELECT hash FROM line WHERE epoch=? AND seq=?", (epoch, seq)).fetchone()
        except apsw.CorruptError:
            return None
        if row is not None:
            return row[0] if isinstance(row[0], bytes) else None
        trimmed = self._trimmed(epoch)
        return trimmed[1] if trimmed is not None and trimmed[0] == seq else None

    def _trimmed(self, epoch: str) -> tuple[int, bytes] | None:
        """The last line that was dropped because the server had it, and its hash."""
        facts = dict(self._db.execute("SELECT name, value FROM fact WHERE name IN ('trimmed', 'epoch')"))
        if "trimmed" not in facts or facts.get("epoch") != epoch.encode():
            return None
        seq, _, line_hash = facts["trimmed"].decode().partition(" ")
        return int(seq), bytes.fromhex(line_hash)


def _gone(
    epoch: str, first: int, start: tuple[int, bytes] | None, known: bytes | None, why: str, seen: int
) -> LinesGone:
    return LinesGone(
        epoch=epoch, first=first, last=start[0] if start is not None else None,
        hash_before=known.hex() if known is not None else None,
        hash_after=start[1].hex() if start is not None else None, why=why, seen=seen,
    )  # fmt: skip


def _genesis_of(epoch: str, raw: bytes) -> bytes | None:
    try:
        return genesis(decode_line(raw).bank, epoch)
    except LineError:
        return None
