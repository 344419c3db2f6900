"""Reads a journal that was found: a controller's own ``bank-*.db``, or a file that `cubbyhole audit export` wrote.

What comes out are stretches: lines whose hashes follow from each other up to one with a signature. A disk that died may
have holes; what stands between them is still worth having, because the signature at the end of a stretch covers all
of it.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cubbyhole.domain.chain import genesis, link
from cubbyhole.domain.events import EpochStarted
from cubbyhole.protocol.export import MAX_RECORD_BYTES, HeadRecord, LineRecord, RecordError, decode_record
from cubbyhole.protocol.journal import Line, LineError, decode_line
from cubbyhole.protocol.verify import verify

MAX_FILE_BYTES = 4 * 1024**3
_SQLITE = b"SQLite format 3\0"
_SKIPPED_MOST = 64


class NoEvidence(Exception):
    """The file proves nothing; the message says why and what would be needed."""


@dataclass(slots=True)
class Stretch:
    """Lines in order from ``first``, each with its hash; the last one that counts has ``signature``. ``before`` is the
    hash that stands before them."""

    first: int
    before: bytes
    lines: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    signatures: dict[int, str] = field(default_factory=dict)  # by line

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    def cut(self) -> None:
        """Leave out what no signature covers."""
        keep = max(self.signatures, default=self.first - 1) - self.first + 1
        del self.lines[keep:], self.hashes[keep:]


@dataclass(slots=True)
class FoundEpoch:
    """One journal in the file. ``started``: its first line, if it is there. ``damaged``: ranges that are there and
    cannot be used."""

    bank: str
    epoch: str
    started: EpochStarted | None = None
    stretches: list[Stretch] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)


def file_sha256(path: Path) -> str:
    """Of a file of at most MAX_FILE_BYTES. Raises NoEvidence."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise NoEvidence(f"{path.name} is larger than {MAX_FILE_BYTES // 1024**3} GiB: no journal is")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NoEvidence(f"{path} cannot be read: {error.strerror or error}") from None


def read_found(path: Path, authority: Ed25519PublicKey) -> list[FoundEpoch]:
    """Everything in the file that hangs together. Signatures of a controller's own file are the caller's to check;
    an export is verified as a whole with the server's ``authority``. Raises NoEvidence."""
    try:
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise NoEvidence(f"{path} cannot be read: {error.strerror or error}") from None
    found = _read_database(path) if is_database else _read_export(path, authority)
    if not any(epoch.stretches for epoch in found):
        raise NoEvidence(f"{path.name} has no line that a signature covers")
    return found


def _read_database(path: Path) -> list[FoundEpoch]:
    # A copy is opened: the file itself stays as it was found, and its last commits may still be in the log beside it.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "journal.db"
        shutil.copyfile(path, copy)
        log = path.with_name(path.name + "-wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + "-wal"))
        try:
            with closing(sqlite3.connect(copy)) as db:
                return [_epoch_of(db, table, epoch) for table, epoch in _epochs_of(db)]
        except sqlite3.DatabaseError as error:
            raise NoEvidence(f"{path.name} is no bank's journal, or nothing of it can be read ({error})") from None


def _epochs_of(db: sqlite3.Connection) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for table in ("old_line", "line"):
        found += [(table, epoch) for (epoch,) in db.execute(f"SELECT DISTINCT epoch FROM {table}")]
    return found


def _epoch_of(db: sqlite3.Connection, table: str, epoch: str) -> FoundEpoch:
    found: FoundEpoch | None = None
    stretch: Stretch | None = None
    at, running = _trimmed(db, epoch) if table == "line" else (0, b"")
    for seq, raw, line_hash, signature in _rows(db, table, epoch, at + 1):
        line = _line(raw, seq, epoch)
        if found is None and line is not None:
            found = FoundEpoch(line.bank, epoch)
            if at == 0:
                running = genesis(line.bank, epoch)
        if line is None or found is None or seq != at + 1 or link(running, raw) != line_hash:
            if found is not None and seq > at + 1:
                found.damaged.append((at + 1, seq - 1))
            if found is not None:
                found.damaged.append((seq, seq))
            stretch, at, running = None, seq, line_hash
            continue
        if line.bank != found.bank:
            raise NoEvidence(f"line {seq} is of bank {line.bank[:24]!r}, others are of bank {found.bank[:24]!r}")
        if stretch is None:
            stretch = Stretch(seq, running)
            found.stretches.append(stretch)
        if seq == 1 and isinstance(line.event, EpochStarted):
            found.started = line.event
        stretch.lines.append(raw)
        stretch.hashes.append(line_hash)
        if signature is not None:
            stretch.signatures[seq] = signature
        at, running = seq, line_hash
    if found is None:
        return FoundEpoch("", epoch)
    for one in found.stretches:
        end = one.last
        one.cut()
        if one.last < end:
            found.damaged.append((one.last + 1, end))
    found.stretches = [one for one in found.stretches if one.lines]
    found.damaged = _joined(found.damaged)
    return found


def _rows(db: sqlite3.Connection, table: str, epoch: str, first: int) -> Iterator[tuple[int, bytes, bytes, str | None]]:
    """Rows in order; what the disk does not give any more is passed over, some lines at a time."""
    query = f"SELECT seq, bytes, hash, signature FROM {table} WHERE epoch=? AND seq>=? ORDER BY seq"
    seq, step, newest = first, 1, first
    while seq <= newest:
        try:
            for row in db.execute(query, (epoch, seq)):
                seq, step = row[0] + 1, 1
                if isinstance(row[1], bytes) and isinstance(row[2], bytes):
                    yield row
            return
        except sqlite3.DatabaseError:
            (last,) = db.execute(f"SELECT max(seq) FROM {table} WHERE epoch=?", (epoch,)).fetchone()
            newest, seq, step = int(last or 0), seq + step, min(2 * step, _SKIPPED_MOST)


def _trimmed(db: sqlite3.Connection, epoch: str) -> tuple[int, bytes]:
    facts = dict(db.execute("SELECT name, value FROM fact WHERE name IN ('trimmed', 'epoch')"))
    if "trimmed" not in facts or facts.get("epoch") != epoch.encode():
        return 0, b""
    seq, _, line_hash = facts["trimmed"].decode().partition(" ")
    return int(seq), bytes.fromhex(line_hash)


def _line(raw: bytes, seq: int, epoch: str) -> Line | None:
    try:
        line = decode_line(raw)
    except LineError:
        return None
    return line if (line.seq, line.epoch) == (seq, epoch) else None


def _read_export(path: Path, authority: Ed25519PublicKey) -> list[FoundEpoch]:
    with path.open("rb") as file:
        verdict = verify(iter(lambda: file.readline(MAX_RECORD_BYTES + 2), b""), authority)
    if not verdict.ok:
        where = f"line {verdict.line}: " if verdict.line else ""
        neither = f"{path.name} is neither a bank's journal nor an export that this server's key verifies"
        raise NoEvidence(f"{neither} ({where}{verdict.why})")
    hashes = {epoch.epoch: epoch.hashes for epoch in verdict.epochs}
    found = {epoch.epoch: FoundEpoch(verdict.bank, epoch.epoch) for epoch in verdict.epochs}
    heads: list[HeadRecord] = []
    with path.open("rb") as file:
        for raw in file:
            try:
                record = decode_record(raw.rstrip(b"\r\n"))
            except RecordError:
                continue  # an empty line; everything else was verified
            if isinstance(record, HeadRecord):
                heads.append(record)
            elif isinstance(record, LineRecord):
                _add(found, hashes, record.text.encode())
    for head in heads:
        for stretch in found[head.epoch].stretches:
            if stretch.first <= head.seq <= stretch.last:
                stretch.signatures[head.seq] = head.signature
    return list(found.values())


def _add(found: dict[str, FoundEpoch], hashes: dict[str, dict[int, bytes]], raw: bytes) -> None:
    line = decode_line(raw)
    epoch, known = found[line.epoch], hashes[line.epoch]
    if not epoch.stretches or epoch.stretches[-1].last + 1 != line.seq:
        epoch.stretches.append(Stretch(line.seq, known[line.seq - 1]))
    if line.seq == 1 and isinstance(line.event, EpochStarted):
        epoch.started = line.event
    epoch.stretches[-1].lines.append(raw)
    epoch.stretches[-1].hashes.append(known[line.seq])


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined
