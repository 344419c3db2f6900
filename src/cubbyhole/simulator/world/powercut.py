"""A disk on which only what was synced survives: a SQLite VFS over images in memory.

Killing a process says nothing about durability, because the page cache survives it. This disk keeps two images of
every file, the one that reads see and the one that a power cut leaves. `PowerCutDisk.cut_at` cuts the power at the
n-th write, truncation, sync or deletion; from then on every call fails.
While ``full``, writes fail and the rest works. What survives is the synced image plus,
by ``keep``, none, all or a seeded choice of the unsynced 512-byte sectors: drives promise no more than that.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import apsw

SECTOR = 512
Keep = Literal["nothing", "everything", "some"]


class PowerCut(Exception):
    """The power is gone; nothing more reaches the disk."""


@dataclass(slots=True)
class _Write:
    at: int
    raw: bytes


@dataclass(slots=True)
class _File:
    seen: bytearray = field(default_factory=bytearray)
    synced: bytes | None = None  # None: the file was never synced, so its name may be gone too
    unsynced: list[_Write | int] = field(default_factory=list)  # writes, and truncations as the new size


def _write(image: bytearray, at: int, raw: bytes) -> None:
    if len(image) < at:
        image.extend(bytes(at - len(image)))
    image[at : at + len(raw)] = raw


class PowerCutDisk:
    """The files of one machine. ``points`` counts what has been written, truncated, synced or deleted so far."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = {name: _File(bytearray(raw), raw) for name, raw in (files or {}).items()}
        self.points = 0
        self.cut_at: int | None = None
        self.dead = False
        self.full = False  # no write fits any more

    def point(self) -> None:
        """One thing more reaches the disk, unless the power is cut here."""
        self.alive()
        if self.cut_at is not None and self.points >= self.cut_at:
            self.dead = True
            raise PowerCut
        self.points += 1

    def alive(self) -> None:
        if self.dead:
            raise PowerCut

    def survivors(self, keep: Keep, seed: int = 0) -> dict[str, bytes]:
        """The files as the next start finds them."""
        chance = random.Random(seed)
        found: dict[str, bytes] = {}
        for name, file in sorted(self.files.items()):
            if file.synced is None and keep == "nothing":
                continue
            image = bytearray(file.synced or b"")
            for change in file.unsynced:
                if isinstance(change, int):
                    if keep == "everything" or (keep == "some" and chance.random() < 0.5):
                        del image[change:]
                    continue
                for start in range(0, len(change.raw), SECTOR):
                    if keep == "everything" or (keep == "some" and chance.random() < 0.5):
                        _write(image, change.at + start, change.raw[start : start + SECTOR])
            found[name] = bytes(image)
        return found


class PowerCutVFS(apsw.VFS):
    """Registers ``disk`` with SQLite under ``name``; locks are granted blindly, so open with locking_mode=EXCLUSIVE."""

    def __init__(self, name: str, disk: PowerCutDisk) -> None:
        self.disk = disk
        self.title = name
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        flags[1] = flags[0]
        return _OpenFile(self.disk, path or "", flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.disk.point()
        self.disk.files.pop(filename, None)

    def xAccess(self, pathname: str, flags: int) -> bool:
        self.disk.alive()
        return pathname in self.disk.files

    def xFullPathname(self, name: str) -> str:
        return name


class _OpenFile(apsw.VFSFile):
    def __init__(self, disk: PowerCutDisk, name: str, flags: list[int]) -> None:
        # The base class is not initialised on purpose: no byte of this file is on the machine's own disk.
        self._disk = disk
        self._file = disk.files.setdefault(name, _File()) if name else _File()

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.alive()
        return bytes(self._file.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.point()
        if self._disk.full:
            raise apsw.FullError
        _write(self._file.seen, offset, data)
        self._file.unsynced.append(_Write(offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._disk.point()
        del self._file.seen[newsize:]
        self._file.unsynced.append(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.point()
        self._file.synced, self._file.unsynced = bytes(self._file.seen), []

    def xFileSize(self) -> int:
        self._disk.alive()
        return len(self._file.seen)

    def xLock(self, level: int) -> None:
        """Granted: there is one connection."""

    def xUnlock(self, level: int) -> None:
        """Granted: there is one connection."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0

    def xClose(self) -> None:
        """The images stay: they are the disk's, not the handle's."""


@contextmanager
def after_the_cut() -> Iterator[None]:
    """Within it, what SQLite cannot report of a cut (a rollback's own failed reads) is not printed as unraisable."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, PowerCut):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
