"""A bank's journal and directory on the controller's own disk: SQLite in WAL mode with `synchronous=FULL`.

One commit carries the lines of one group of decisions, their head, and the directory rows that came with them. When
`commit` returns, all of it has been synced; when it raises, none of it is there. A file of RESERVE_BYTES is kept
beside the database: when the disk is full it is given up so that alarms and denials still find room.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import msgspec

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import genesis, link
from cubbyhole.domain.directory import (
    Calendar,
    CredentialRow,
    Directory,
    PersonRow,
    content_hash,
    row_key,
)
from cubbyhole.domain.events import UnknownEvent
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol.journal import LineError, decode_line, decode_state, encode_state
from cubbyhole.protocol.messages import Head

RESERVE_BYTES = 4 * 1024 * 1024
SNAPSHOT_EVERY = 2_000
_ROWS: dict[str, type[PersonRow | CredentialRow | Rule]] = {
    "person": PersonRow,
    "credential": CredentialRow,
    "rule": Rule,
}

# The present epoch's lines lie in order of their number: appending touches one page and a half instead of four.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS line (epoch TEXT NOT NULL, seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL,
  hash BLOB NOT NULL, signature TEXT);
CREATE TABLE IF NOT EXISTS old_line (epoch TEXT NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL,
  hash BLOB NOT NULL, signature TEXT, PRIMARY KEY (epoch, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot (epoch TEXT PRIMARY KEY, seq INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS row (key TEXT PRIMARY KEY, json BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


class StoreFull(Exception):
    """The disk cannot take the commit; nothing of it was kept."""


_WHAT_NOW = (
    "move the file away and enrol the controller again, it then goes on from what the server has; keep the file:"
    " `cubbyhole audit import` takes it as evidence"
)


class StoreBroken(Exception):
    """The database cannot be read or written for another reason; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryChange:
    """What one commit changes in the stored directory."""

    version: int
    full: bool
    rows: tuple[PersonRow | CredentialRow | Rule, ...]
    deletes: tuple[str, ...]
    calendar: Calendar
    key: bytes

    def followed_by(self, later: DirectoryChange) -> DirectoryChange:
        """Both changes as one."""
        if later.full:
            return later
        kept = tuple(row for row in self.rows if row_key(row) not in later.deletes)  # deletes are carried out first
        return replace(later, full=self.full, rows=(*kept, *later.rows), deletes=(*self.deletes, *later.deletes))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the disk holds: the folded state and the hash of its last line."""

    state: BankState
    last_hash: bytes
    acked: int


class BankStore:
    """The store of one bank. Used from one thread at a time."""

    def __init__(
        self,
        path: Path,
        bank: str,
        *,
        vfs: str | None = None,
        synchronous: str = "FULL",
        exclusive: bool = False,
    ) -> None:
        """Open or make the database. ``vfs``, ``synchronous`` and ``exclusive`` exist for the durability tests.

        Raises StoreBroken.
        """
        self.path, self.bank, self._synchronous = path, bank, synchronous
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = apsw.Connection(str(path), vfs=vfs)
            self._db.set_busy_timeout(2_000)
            if exclusive:
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={synchronous}")
            self._db.execute("PRAGMA wal_autocheckpoint=2000")
            self._db.execute(_SCHEMA)
        except apsw.FullError:
            raise StoreFull(f"{path.name}: the disk is full; free some space and start again") from None
        except apsw.Error as error:
            raise StoreBroken(
                f"{path.name}: {error}; if the file is damaged, move it away and enrol the controller again"
            ) from None
        self._reserve = path.with_suffix(".reserve")
        self.keep_reserve()

    def close(self) -> None:
        self._db.close()

    # -- reserve ------------------------------------------------------------------------------------------------

    def keep_reserve(self) -> bool:
        """Allocate the reserve again if it was given up; False where the disk has no room for it yet."""
        try:
            if self._reserve.exists() and self._reserve.stat().st_size >= RESERVE_BYTES:
                return True
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            # A part of it would only take the room that is left.
            self._reserve.unlink(missing_ok=True)
            return False
        return True

    def give_up_reserve(self) -> None:
        """Free the reserve's room for alarms and denials."""
        self._reserve.unlink(missing_ok=True)

    # -- journal ------------------------------------------------------------------------------------------------

    def epoch(self) -> str | None:
        value = self._fact("epoch")
        return None if value is None else value.decode()

    def begin_epoch(self, epoch: str) -> None:
        """Name the epoch that the next commit begins. Old epochs' lines stay as evidence, in a table of their own."""
        with self._db:
            self._db.execute("INSERT INTO old_line SELECT epoch, seq, bytes, hash, signature FROM line")
            self._db.execute("DELETE FROM line")
            self._db.execute("DELETE FROM fact WHERE name='trimmed'")
            self._put("epoch", epoch.encode())
            self._put("acked", b"0")

    def commit(
        self,
        epoch: str,
        first: int,
        lines: Sequence[tuple[bytes, bytes]],
        head: Head,
        change: DirectoryChange | None = None,
    ) -> None:
        """Append ``lines`` (bytes, hash) from sequence ``first`` with their head. Durable on return.

        Raises StoreFull or StoreBroken, with nothing written.
        """
        try:
            with self._db:
                # The head stands in the row of its last line: one b-tree, fewer pages to sync.
                last = len(lines) - 1
                self._db.executemany(
                    "INSERT INTO line VALUES (?,?,?,?,?)",
                    [
                        (
                            epoch,
                            first + i,
                            raw,
                            h,
                            head.signature if i == last else None,
                        )
                        for i, (raw, h) in enumerate(lines)
                    ],
                )
                if change is not None:
                    self._change_directory(change)
        except (apsw.FullError, apsw.IOError) as error:
            raise StoreFull(str(error)) from None
        except apsw.Error as error:
            raise StoreBroken(f"{self.path.name}: {error}") from None

    def load(self) -> Loaded | None:
        """Fold what is on the disk; None where no epoch has begun. Raises StoreBroken on a damaged chain."""
        try:
            return self._fold()
        except (apsw.CorruptError, LineError) as error:
            raise StoreBroken(f"{self.path.name} is damaged ({error}); {_WHAT_NOW}") from None

    def _fold(self) -> Loaded | None:
        epoch = self.epoch()
        if epoch is None:
            return None
        state, seq, last = BankState(bank=self.bank), 0, genesis(self.bank, epoch)
        found = self._db.execute(
            "SELECT s.seq, s.state, l.hash FROM snapshot s JOIN line l USING (epoch, seq) WHERE s.epoch=?",
            (epoch,),
        ).fetchone()
        if found is not None:
            seq, state, last = found[0], decode_state(found[1]), found[2]
        for number, raw, line_hash in self._db.execute(
            "SELECT seq, bytes, hash FROM line WHERE epoch=? AND seq>? ORDER BY seq",
            (epoch, seq),
        ):
            if number != seq + 1:
                raise StoreBroken(f"{self.path.name}: line {seq + 1} is missing; {_WHAT_NOW}")
            if link(last, raw) != line_hash:
                raise StoreBroken(f"{self.path.name}: line {number} is damaged; {_WHAT_NOW}")
            line = decode_line(raw)
            if isinstance(line.event, UnknownEvent):
                raise StoreBroken(
                    f"{self.path.name}: line {number} ({line.type}) is of a newer release; update this controller again"
                )
            state.apply(line.event, number, line.moment)
            seq, last = number, line_hash
        state.epoch = epoch
        if seq == 0:
            return None
        return Loaded(state, last, self.acked())

    def snapshot(self, state: BankState) -> None:
        """Remember a folded state so that the next start is quick. Without room for it the start is slower."""
        try:
            with self._db:
                self._db.execute(
                    "INSERT OR REPLACE INTO snapshot VALUES (?,?,?)",
                    (state.epoch, state.seq, encode_state(state)),
                )
        except (apsw.FullError, apsw.IOError):
            return
        except apsw.Error as error:
            raise StoreBroken(f"{self.path.name}: {error}") from None

    def acked(self) -> int:
        value = self._fact("acked")
        return int(value) if value is not None else 0

    def acknowledge(self, seq: int) -> None:
        """Remember what the server has committed. Losing it costs a repeated batch, so it is not synced by itself."""
        self._db.execute("PRAGMA synchronous=NORMAL")
        try:
            with self._db:
                self._put("acked", str(seq).encode())
        except apsw.Error:
            pass
        finally:
            self._db.execute(f"PRAGMA synchronous={self._synchronous}")

    def trim(self, epoch: str, up_to: int) -> None:
        """Drop acknowledged lines before ``up_to`` that a snapshot covers.

        The hash of the last of them is kept: a server that was restored to an earlier day and asks for them gets a
        signed `journal.gap`, from which the chain goes on.
        """
        covered = self._db.execute("SELECT seq FROM snapshot WHERE epoch=?", (epoch,)).fetchone()
        if covered is None:
            return
        keep = min(up_to, covered[0])
        with self._db:
            last = self._db.execute("SELECT hash FROM line WHERE epoch=? AND seq=?", (epoch, keep - 1)).fetchone()
            if last is not None:
                self._put("trimmed", f"{keep - 1} {last[0].hex()}".encode())
                self._db.execute("DELETE FROM line WHERE epoch=? AND seq<?", (epoch, keep))

    # -- directory ----------------------------------------------------------------------------------------------

    def directory(self) -> tuple[Directory, bytes | None]:
        """The stored directory and the bank's HMAC key (None before the first sync)."""
        directory = Directory()
        rows = [
            msgspec.json.decode(raw, type=_ROWS[key.partition(":")[0]])
            for key, raw in self._db.execute("SELECT key, json FROM row")
        ]
        version = self._fact("directory_version")
        if version is not None:
            directory.apply(
                version=int(version),
                rows=rows,
                deletes=(),
                expected_hash=content_hash(rows),
                full=True,
            )
            directory.calendar = msgspec.json.decode(self._fact("calendar") or b"", type=Calendar)
        return directory, self._fact("bank_key")

    def _change_directory(self, change: DirectoryChange) -> None:
        if change.full:
            self._db.execute("DELETE FROM row")
        self._db.executemany("DELETE FROM row WHERE key=?", [(key,) for key in change.deletes])
        self._db.executemany(
            "INSERT OR REPLACE INTO row VALUES (?,?)",
            [(row_key(row), msgspec.json.encode(row)) for row in change.rows],
        )
        self._put("directory_version", str(change.version).encode())
        self._put("calendar", msgspec.json.encode(change.calendar))
        self._put("bank_key", change.key)

    def _fact(self, name: str) -> bytes | None:
        found = self._db.execute("SELECT value FROM fact WHERE name=?", (name,)).fetchone()
        return None if found is None else found[0]

    def _put(self, name: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO fact VALUES (?,?)", (name, value))
