"""What really happened at the hardware: every pulse and every tap, by the boards' own record.

Kept in memory (the newest of each, bounded) and, where configured, as one JSON line each in a file, written before
the board answers, so that it survives a ``kill -9`` of the rig.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

KEPT_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Pulse:
    """Current on one lock. ``mono_ns`` is when the board had the whole frame (= ``frame_last_ns``); ``frame_first_ns``
    when its first byte began; ``pulse_ms`` 0 means until switched off; ``released``: the latch let go."""

    bank: str
    locker: str | None
    board: int
    channel: int
    at_ms: int
    mono_ns: int
    pulse_ms: int
    frame_first_ns: int
    frame_last_ns: int
    released: bool


@dataclass(frozen=True, slots=True)
class Tap:
    """A badge held against a reader; ``last_byte_ns`` is when the reader had sent its line."""

    bank: str
    reader: str
    badge: str
    last_byte_ns: int
    at_ms: int


class Truth:
    """The record. Not thread-safe; one rig, one event loop."""

    def __init__(self, path: Path | None) -> None:
        self._pulses: deque[Pulse] = deque(maxlen=KEPT_MAX)
        self._taps: deque[Tap] = deque(maxlen=KEPT_MAX)
        self._file: TextIO | None = path.open("a", encoding="utf-8", buffering=1) if path is not None else None

    def pulse(self, record: Pulse) -> None:
        self._pulses.append(record)
        self._write("pulse", asdict(record))

    def tap(self, record: Tap) -> None:
        self._taps.append(record)
        self._write("tap", asdict(record))

    def of(self, bank: str) -> dict[str, object]:
        """The record of one bank, oldest first."""
        return {
            "pulses": [asdict(pulse) for pulse in self._pulses if pulse.bank == bank],
            "taps": [asdict(tap) for tap in self._taps if tap.bank == bank],
        }

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, kind: str, facts: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"kind": kind, **facts}, separators=(",", ":")) + "\n")


def wall_ms() -> int:
    """Now, ms since the Unix epoch."""
    return time.time_ns() // 1_000_000
