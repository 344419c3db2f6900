"""One figure: a value, the limit that the machine itself sets, and their ratio against a goal."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MEMORY_FILESYSTEMS = {"tmpfs", "ramfs", "devtmpfs"}


class NoRealDisk(Exception):
    """The folder is in memory, where a sync costs nothing and a figure would say nothing."""


class NotMeasured(Exception):
    """A bench could not run as it must, so it has no figure; the message says what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """``ratio`` is value / limit. ``at_least``: the goal is a floor (throughput), otherwise a ceiling (time).

    ``span`` names the end points that were measured between. ``goal`` None: reported without a promise. ``value`` or
    ``limit`` None: not measured here, and ``why_not`` says why.
    """

    name: str
    unit: str
    value: float | None
    limit: float | None
    limit_is: str
    span: str
    goal: float | None
    at_least: bool
    why_not: str | None = None

    @property
    def ratio(self) -> float | None:
        if self.value is None or not self.limit:
            return None
        return self.value / self.limit

    @property
    def holds(self) -> bool | None:
        ratio = self.ratio
        if self.goal is None or ratio is None:
            return None
        return ratio >= self.goal if self.at_least else ratio <= self.goal

    def as_json(self) -> str:
        """One line, as `make bench` prints it."""
        line: dict[str, object] = {
            "name": self.name, "unit": self.unit, "value": _rounded(self.value), "limit": _rounded(self.limit),
            "ratio": _rounded(self.ratio), "goal": self.goal, "goal_is": "at least" if self.at_least else "at most",
            "holds": self.holds, "limit_is": self.limit_is, "span": self.span,
        }  # fmt: skip
        if self.why_not is not None:
            line["why_not"] = self.why_not
        return json.dumps(line, ensure_ascii=False)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def check_disk(folder: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Raises NoRealDisk where ``folder`` is in memory by what ``mounts`` says."""
    folder = folder.resolve()
    best, kind = "", ""
    for row in mounts.read_text().splitlines():
        _, mount, filesystem, *_ = row.split()
        inside = mount == "/" or f"{folder}/".startswith(f"{mount}/")
        if inside and len(mount) >= len(best):
            best, kind = mount, filesystem
    if kind in _MEMORY_FILESYSTEMS:
        raise NoRealDisk(f"{folder} is on {kind}: set BENCH_FOLDER to a folder on a real disk")


def bench_folder() -> Path:
    """Where the benches write: BENCH_FOLDER, or .bench beside the Makefile."""
    folder = Path(os.environ.get("BENCH_FOLDER", ".bench"))
    folder.mkdir(parents=True, exist_ok=True)
    check_disk(folder)
    return folder
