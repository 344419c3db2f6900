"""What came of verifying an export: epoch by epoch, what is proved and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cubbyhole.protocol.export import Endorsement


def when(at_ms: int) -> str:
    """A point in time in words, whatever the number."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


class Wrong(Exception):
    """The first thing that is wrong: ``line`` is the line number in the file (0: no single line)."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


@dataclass(slots=True)
class Epoch:
    """One epoch as the file shows it. ``gone``: ranges that are not in it, as the controller itself has signed, with
    the line that says so."""

    epoch: str
    first_file_line: int
    journal_key: str
    previous_epoch: str | None
    previous_seq: int
    previous_hash: str | None
    last: int = 0
    signed: int = 0
    receipted: int = 0
    endorsed: Endorsement | None = None
    gone: list[tuple[int, int, int]] = field(default_factory=list)
    hashes: dict[int, bytes] = field(default_factory=dict)  # by line; 0: what stands before line 1

    def is_gone(self, seq: int) -> bool:
        """Whether the line is gone and so is its hash: of the last line of a range the hash is known."""
        return any(first <= seq < last for first, last, _ in self.gone)

    def ranges(self) -> str:
        """The lines that are there, in words."""
        starts = [1, *(last + 1 for _, last, _ in self.gone)]
        ends = [*(first - 1 for first, _, _ in self.gone), self.last]
        return " and ".join(f"{start} to {end}" for start, end in zip(starts, ends, strict=True) if start <= end)


@dataclass(slots=True)
class Verdict:
    """What came of it. ``ok`` False: ``line`` and ``why`` name the first wrong line."""

    ok: bool
    bank: str
    line: int = 0
    why: str = ""
    lines: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)
    not_proved: list[str] = field(default_factory=list)
