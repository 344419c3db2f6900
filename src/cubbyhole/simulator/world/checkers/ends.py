"""8: rights end when they are used too late; day lockers end at local midnight; in doubt nothing is released early."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cubbyhole.domain.directory import PersonRow, Row
from cubbyhole.simulator.world.banks import TIMEZONE, BankScene, World
from cubbyhole.simulator.world.clockwork import HOUR_MS
from cubbyhole.simulator.world.witness import Checker, LineSeen

CLOCK_MS = 70_000  # how wrong a clock that nobody doubts may be

AT_START = (
    "epoch.started",
    "boot.started",
    "clock.doubted",
)  # written before a controller that has just started has judged its clock


@lru_cache(maxsize=4096)
def _midnight_after(hour: int) -> int:
    """The local midnight that follows the hour (of the Unix epoch); no zone of the world has others than full hours."""
    zone = ZoneInfo(TIMEZONE)
    tomorrow = datetime.fromtimestamp(hour * 3600, zone).date() + timedelta(days=1)
    return round(datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).timestamp() * 1000)


@dataclass(slots=True)
class _Bank:
    at_ms: int = 0
    doubt: bool = False
    ends: dict[str, int | None] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)  # assignments that end at midnights
    holds: dict[str, tuple[str, int]] = field(default_factory=dict)  # person, and when it lapses
    passed_on: tuple[int | None, ...] = ()  # the end of what was handed over or moved just now
    windows: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)


class Ends(Checker):
    invariant = "8 rights end at their use, and in doubt nothing is released early"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._scenes = scenes
        self._banks = {s.bank: _Bank() for s in scenes}

    def directory(self, bank: str, version: int, rows: Iterable[Row]) -> None:
        for row in rows:
            if isinstance(row, PersonRow) and (row.from_ms is not None or row.until_ms is not None):
                self._banks[bank].windows[row.person] = (row.from_ms, row.until_ms)

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {
            "*": self._any, "epoch.started": self._epoch, "clock.doubted": self._doubted,
            "clock.trusted": self._trusted,
            "assignment.started": self._started, "assignment.timed": self._timed, "assignment.ended": self._ended,
            "assignment.renewed": self._renewed,
            "access.granted": self._granted,
        }  # fmt: skip

    def _any(self, line: LineSeen) -> None:
        b = self._banks[line.bank]
        if line.at_ms < b.at_ms and line.seq > 1:
            self.fail(f"the time of {line.bank} ran back by {b.at_ms - line.at_ms} ms at line {line.seq}")
        b.at_ms = line.at_ms
        if not b.doubt and line.type not in AT_START and abs(line.at_ms - line.true_ms) > CLOCK_MS:
            off_ms = line.at_ms - line.true_ms
            self.fail(f"{line.bank} writes line {line.seq} ({line.type}) {off_ms} ms off and doubts nothing")

    def _epoch(self, line: LineSeen) -> None:
        windows = self._banks[line.bank].windows
        carried = line.fields["assignments"]
        ends = {a["assignment"]: a["ends_ms"] for a in carried}
        days = {a["assignment"] for a in carried if a["mode"] == "day"}
        holds = {a["assignment"]: (a["person"], a["hold_until_ms"]) for a in carried if a["hold_until_ms"] is not None}
        self._banks[line.bank] = _Bank(line.at_ms, False, ends, days, holds, windows=windows)

    def _doubted(self, line: LineSeen) -> None:
        self._banks[line.bank].doubt = True

    def _trusted(self, line: LineSeen) -> None:
        self._banks[line.bank].doubt = False

    def _started(self, line: LineSeen) -> None:
        b, ends_ms = self._banks[line.bank], line.fields["ends_ms"]
        if line.fields["hold_until_ms"] is not None:
            b.holds[line.fields["assignment"]] = line.fields["person"], line.fields["hold_until_ms"]
        # What is handed over or moved keeps the end of the assignment that it follows.
        follows, b.passed_on = b.passed_on == (ends_ms,), ()
        b.ends[line.fields["assignment"]] = ends_ms
        if line.fields["mode"] != "day":
            return
        b.days.add(line.fields["assignment"])
        if follows:
            return
        if b.doubt and ends_ms is not None:
            self.fail(f"{line.bank} set an end while it doubted its clock")
        if not b.doubt:
            self._is_midnight(line, ends_ms)

    def _timed(self, line: LineSeen) -> None:
        b, name = self._banks[line.bank], line.fields["assignment"]
        b.ends[name] = line.fields["ends_ms"]
        if name in b.days:
            self._is_midnight(line, line.fields["ends_ms"])

    def _renewed(self, line: LineSeen) -> None:
        b, name, ends_ms = self._banks[line.bank], line.fields["assignment"], line.fields["ends_ms"]
        before_ms = b.ends.get(name)
        if b.doubt or before_ms is None or ends_ms <= before_ms:
            self.fail(f"{line.bank} renewed {name} from {before_ms} to {ends_ms}")
        elif name in b.days and ends_ms != _midnight_after(before_ms // HOUR_MS):
            self.fail(f"{line.bank} renewed the day locker {name} from {before_ms} to {ends_ms}: no midnight later")
        b.ends[name] = ends_ms

    def _is_midnight(self, line: LineSeen, ends_ms: int | None) -> None:
        midnight = _midnight_after(line.at_ms // HOUR_MS)
        if ends_ms != midnight:
            self.fail(f"{line.bank} ends a day locker at {ends_ms}; the next local midnight is {midnight}")

    def _ended(self, line: LineSeen) -> None:
        b = self._banks[line.bank]
        ends_ms = b.ends.pop(line.fields["assignment"], None)
        if line.fields["cause"] in ("handed_over", "moved"):
            b.passed_on = (ends_ms,)
        hold = b.holds.pop(line.fields["assignment"], None)
        if line.fields["cause"] == "lapsed":
            if hold is None or b.doubt or line.true_ms < hold[1] - CLOCK_MS:
                self.fail(f"{line.bank} let {line.fields['locker']} lapse, whose hold is {hold}")
            return
        if line.fields["cause"] != "expired":
            return
        if b.doubt:
            self.fail(f"{line.bank} released {line.fields['locker']} while it doubted its clock")
        if ends_ms is None or line.true_ms < ends_ms - CLOCK_MS:
            early = None if ends_ms is None else ends_ms - line.true_ms
            self.fail(f"{line.bank} released {line.fields['locker']} {early} ms too early")

    def _granted(self, line: LineSeen) -> None:
        b, person = self._banks[line.bank], line.fields["person"]
        if person is not None and b.holds.get(line.fields["assignment"] or "", ("", 0))[0] == person:
            del b.holds[line.fields["assignment"]]
        if line.fields["way"] == "command":
            return
        ends_ms = b.ends.get(line.fields["assignment"] or "")
        if ends_ms is not None and not b.doubt and line.true_ms > ends_ms + CLOCK_MS:
            self.fail(
                f"{line.bank} opened {line.fields['locker']} {line.true_ms - ends_ms} ms after the assignment's end"
            )
        window = b.windows.get(person)
        if window is None:
            return
        if b.doubt:
            self.fail(f"{line.bank} let the visitor {person} in while it doubted its clock")
        first, last = window
        if (first is not None and line.true_ms < first - CLOCK_MS) or (
            last is not None and line.true_ms > last + CLOCK_MS
        ):
            self.fail(f"{line.bank} let the visitor {person} in outside of {window}")

    def finished(self) -> None:
        for scene in self._scenes:
            b = self._banks[scene.bank]
            if b.doubt:
                self.fail(f"{scene.bank} still doubts its clock, although it has had contact for an hour")
            late = [a for a, e in b.ends.items() if e is not None and e < self.kernel.now_ms - HOUR_MS // 2]
            if late:
                self.fail(f"{scene.bank} never ended {late[:3]}, whose end is long past")
