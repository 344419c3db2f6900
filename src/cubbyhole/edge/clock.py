"""Whether the bank may believe its clock. Wall time decides rights, so doubt about it is itself an event."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Protocol

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.moment import Moment

JUMP_MS = 5_000
AGREE_MS = 5_000
DISAGREE_MS = 60_000
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


class Clock(Protocol):
    """The controller's clocks: wall ms since the Unix epoch, monotonic ms since the boot."""

    def wall_ms(self) -> int: ...
    def mono_ms(self) -> int: ...


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


def kernel_sync() -> bool:
    """Whether the kernel says that its clock is disciplined (adjtimex(2)); False where it cannot say."""
    try:
        buffer = ctypes.create_string_buffer(512)
        return int(ctypes.CDLL(None).adjtimex(buffer)) not in (-1, _TIME_ERROR)
    except (OSError, AttributeError):
        return False


@dataclass(slots=True)
class ClockJudge:
    """Turns clock readings into doubt and trust. The offset is what the server taught
    a clock that nobody disciplines."""

    trust_rtc: bool
    offset_ms: int = 0
    _last_wall: int | None = None
    _last_mono: int = 0

    def at_boot(self, wall_ms: int, mono_ms: int, highest_ms: int, synced: bool) -> ev.ClockDoubted | None:
        """What a start says: a clock behind the journal is wrong; one that nobody confirms may be.

        In doubt the bank's time goes on from its journal's highest, at the monotonic clock's pace, until the server or
        the kernel says what time it is: a wrong time ahead, once journaled, could not be taken back.
        """
        self._last_wall, self._last_mono = wall_ms, mono_ms
        behind = highest_ms - wall_ms
        if behind > JUMP_MS:
            self.offset_ms = behind
            return ev.ClockDoubted(why="behind_journal", offset_ms=behind)
        if not (synced or self.trust_rtc) and highest_ms:
            self.offset_ms = behind
            return ev.ClockDoubted(why="unconfirmed", offset_ms=0)
        return None

    def tick(self, wall_ms: int, mono_ms: int, synced: bool, in_doubt: bool) -> ev.ClockDoubted | None:
        """A jump of the wall clock against the monotonic one, that no time source explains, is doubt."""
        last_wall, last_mono = self._last_wall, self._last_mono
        self._last_wall, self._last_mono = wall_ms, mono_ms
        if synced:
            self.offset_ms = 0  # what the server taught was for a clock without a time source
            return None
        if last_wall is None:
            return None
        jump = (wall_ms - last_wall) - (mono_ms - last_mono)
        if abs(jump) <= JUMP_MS:
            return None
        # The bank's time goes on as if nothing had happened; the server will teach a new offset.
        self.offset_ms -= jump
        return None if in_doubt else ev.ClockDoubted(why="jumped", offset_ms=jump)

    def heard(
        self,
        wall_ms: int,
        highest_ms: int,
        server_ms: int,
        round_trip_ms: int,
        synced: bool,
        in_doubt: bool,
    ) -> ev.ClockDoubted | ev.ClockTrusted | None:
        """The server's clock, ``round_trip_ms`` old at most. An undisciplined clock follows it."""
        if not synced and abs(server_ms - (wall_ms + self.offset_ms)) > max(AGREE_MS // 5, round_trip_ms):
            self.offset_ms = server_ms - wall_ms
        apart = server_ms - (wall_ms + self.offset_ms)
        ahead = highest_ms - server_ms
        if in_doubt:
            if abs(apart) <= AGREE_MS + round_trip_ms and ahead <= AGREE_MS + round_trip_ms:
                return ev.ClockTrusted(source="server")
            return None
        if abs(apart) > DISAGREE_MS or ahead > DISAGREE_MS:
            return ev.ClockDoubted(
                why="server_disagrees",
                offset_ms=apart if abs(apart) > DISAGREE_MS else -ahead,
            )
        return None


class BankTime:
    """The time that a bank decides by: its judged clock, and never below its journal's highest."""

    def __init__(self, clock: Clock, trust_rtc: bool, boot: str) -> None:
        self._clock, self._judge, self._boot = clock, ClockJudge(trust_rtc), boot
        self._synced = False  # whether the kernel says that its clock is disciplined

    def moment(self, state: BankState) -> Moment:
        wall_ms = self._clock.wall_ms() + self._judge.offset_ms
        return Moment(
            max(wall_ms, state.highest_ms), self._clock.mono_ms(), self._boot, not state.clock_in_doubt
        )

    def begin(self, state: BankState, synced: bool) -> ev.ClockDoubted | None:
        """What a start has to say about the clock."""
        self._synced = synced
        return self._judge.at_boot(self._clock.wall_ms(), self._clock.mono_ms(), state.highest_ms, synced)

    def watch(self, state: BankState, synced: bool | None) -> ev.ClockDoubted | None:
        """Look for a jump. ``synced`` is the kernel's newest word, None where it has not been asked again."""
        if synced is not None:
            self._synced = synced
        return self._judge.tick(
            self._clock.wall_ms(), self._clock.mono_ms(), self._synced, state.clock_in_doubt
        )

    def heard(
        self, state: BankState, server_ms: int, round_trip_ms: int
    ) -> ev.ClockDoubted | ev.ClockTrusted | None:
        """What follows from the server's clock, ``round_trip_ms`` old at most."""
        return self._judge.heard(
            self._clock.wall_ms(), state.highest_ms, server_ms, round_trip_ms, self._synced, state.clock_in_doubt
        )

    def kernel_agrees(self, state: BankState, synced: bool) -> bool:
        """Whether the kernel ends a doubt: it is disciplined, and not behind what the journal says."""
        return synced and self._clock.wall_ms() >= state.highest_ms - AGREE_MS
