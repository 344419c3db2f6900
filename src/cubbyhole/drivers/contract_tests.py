"""What every board driver must do, as tests. Subclass ``DriverContract`` and give it a ``Bench`` with your board on it.

    class TestMyBoards(DriverContract):
        @pytest.fixture
        def bench(self) -> Iterator[Bench]: ...

The bench is real bytes on a real line (a pty, a gateway, or hardware on a desk whose cable you can pull). It needs no
plugin: each test runs its own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict, TypeVar, Unpack

import pytest

from cubbyhole.drivers.port import (
    BadReply,
    BoardBus,
    BusSettings,
    DriverError,
    Line,
    LinkDown,
    NoReply,
    NotSent,
    Sense,
    Unconfirmed,
)

_T = TypeVar("_T")

CALL_MAX_S = 3.0
PULSE_MS = 300
SETTLE_S = 0.4


@dataclass(frozen=True, slots=True)
class SeenPulse:
    """A pulse on the board's own record."""

    board: int
    channel: int
    pulse_ms: int


class Fault(TypedDict, total=False):
    """What can be wrong with a line. Chances are 0 to 1; ``direction`` is both, request or reply."""

    drop: float
    corrupt: float
    noise: float
    delay_ms: int
    absent: bool
    unplugged: bool
    direction: str
    seed: int


class Bench(Protocol):
    """A board with at least 8 lockers with springs, all shut, empty and secured, and the power to disturb it."""

    @property
    def settings(self) -> BusSettings:
        """The bus, with one board first in ``boards`` whose polarity is right."""
        ...

    def create(self, settings: BusSettings) -> BoardBus: ...

    def fault(self, **wrong: Unpack[Fault]) -> None:
        """Set what is wrong with the line; what is not named becomes right."""
        ...

    def hand(self, channel: int, act: str) -> None:
        """``force``, ``close``, ``fill`` or ``empty`` a locker."""
        ...

    def pulses(self) -> list[SeenPulse]:
        """Every pulse since this test began."""
        ...

    def unlock_frames(self) -> int:
        """How many whole unlock frames came over the wire since this test began."""
        ...


class DriverContract:
    """The contract; see the module. Override ``bench``."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError("give your contract tests a bench")

    def test_a_board_at_rest_reads_shut_and_empty(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            senses = await bus.poll(board)
            assert sorted(senses) == list(range(bench.settings.boards[0].channels))
            for sense in senses.values():
                assert sense.door_open is (False if bus.manifest.senses_door else None)
                assert sense.lock_secured is (True if bus.manifest.senses_lock else None)
                assert sense.occupied is (False if bus.manifest.senses_occupancy else None)

        _run(bench, scenario)

    def test_a_moved_door_and_its_contents_show_on_their_own_channel_only(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            for channel in (0, 7):
                before = await bus.poll(board)
                bench.hand(channel, "force")
                bench.hand(channel, "fill")
                await asyncio.sleep(SETTLE_S)
                after = await bus.poll(board)
                assert after[channel].door_open is True
                assert after[channel].occupied is (True if bus.manifest.senses_occupancy else None)
                assert {c: s for c, s in after.items() if c != channel} == {
                    c: s for c, s in before.items() if c != channel
                }
                bench.hand(channel, "close")
                bench.hand(channel, "empty")
                await asyncio.sleep(SETTLE_S)
                assert await bus.poll(board) == before

        _run(bench, scenario)

    def test_an_unlock_pulses_exactly_the_named_lock_for_the_named_time(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 3), PULSE_MS)
            assert bench.pulses() == [SeenPulse(board, 3, PULSE_MS)]
            await asyncio.sleep(SETTLE_S)
            assert (await bus.poll(board))[3].door_open is True
            await bus.unlock(Line(board, 5), 500)
            assert bench.pulses()[1:] == [SeenPulse(board, 5, 500)]
            assert bench.unlock_frames() == 2

        _run(bench, scenario)

    def test_wrong_polarity_turns_every_reading_round_and_opens_nothing(self, bench: Bench) -> None:
        board = bench.settings.boards[0]
        turned = replace(
            board,
            door_open_level=not board.door_open_level,
            lock_secured_level=not board.lock_secured_level,
            occupied_level=not board.occupied_level,
        )

        async def scenario(bus: BoardBus, address: int) -> None:
            for sense in (await bus.poll(address)).values():
                assert sense.door_open in (True, None)
                assert sense.lock_secured in (False, None)
                assert sense.occupied in (True, None)
            assert bench.unlock_frames() == 0

        _run(bench, scenario, replace(bench.settings, boards=(turned, *bench.settings.boards[1:])))

    def test_a_silent_board_is_no_reply_in_bounded_time_and_comes_back(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            bench.fault(absent=True)
            for _ in range(3):
                with pytest.raises(NoReply):
                    await bus.poll(board)
            bench.fault()
            assert (await bus.poll(board))[0].door_open is False

        _run(bench, scenario)

    def test_a_damaged_reply_is_a_bad_reply_and_never_a_reading(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            for seed in range(5):
                bench.fault(corrupt=1.0, direction="reply", seed=seed)
                with pytest.raises(BadReply):
                    await bus.poll(board)
            bench.fault()
            assert (await bus.poll(board))[0].door_open is False

        _run(bench, scenario)

    def test_after_garbage_on_the_line_the_next_poll_is_right(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            right = await bus.poll(board)
            for seed in range(5):
                bench.fault(noise=1.0, seed=seed)
                with contextlib.suppress(BadReply, NoReply):
                    assert await bus.poll(board) == right
                bench.fault()
                assert await bus.poll(board) == right

        _run(bench, scenario)

    def test_a_lossy_line_is_never_misread(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            bench.hand(2, "force")
            await asyncio.sleep(SETTLE_S)
            right = await bus.poll(board)
            bench.fault(drop=0.1, corrupt=0.1, seed=7)
            good = 0
            for _ in range(25):
                try:
                    assert await bus.poll(board) == right
                    good += 1
                except (BadReply, NoReply):
                    pass
            assert good >= 12

        _run(bench, scenario)

    def test_a_late_reply_is_not_taken_for_the_next_one(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            bench.fault(delay_ms=230)
            with pytest.raises(NoReply):
                await bus.poll(board)
            bench.hand(1, "force")
            bench.fault()
            await asyncio.sleep(0.03)
            # The late one still says that door 1 is shut.
            assert (await bus.poll(board))[1].door_open is True

        _run(bench, scenario)

    def test_an_unlock_whose_confirmation_is_lost_is_unconfirmed_and_never_sent_again(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 0), PULSE_MS)
            bench.fault(drop=1.0, direction="reply")
            with pytest.raises(Unconfirmed):
                await bus.unlock(Line(board, 4), PULSE_MS)
            bench.fault()
            await asyncio.sleep(1.0)
            await bus.poll(board)
            assert bench.unlock_frames() == 2
            assert bench.pulses() == [SeenPulse(board, 0, PULSE_MS), SeenPulse(board, 4, PULSE_MS)]

        _run(bench, scenario)

    def test_an_unlock_to_an_absent_board_is_unconfirmed_and_does_not_arrive_later(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 0), PULSE_MS)
            bench.fault(absent=True)
            with pytest.raises((Unconfirmed, NotSent)):
                await bus.unlock(Line(board, 4), PULSE_MS)
            bench.fault()
            await asyncio.sleep(1.0)
            await bus.poll(board)
            assert bench.pulses() == [SeenPulse(board, 0, PULSE_MS)]

        _run(bench, scenario)

    def test_a_damaged_unlock_opens_no_door(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 0), PULSE_MS)
            for seed in range(3):
                bench.fault(corrupt=1.0, direction="request", seed=seed)
                with pytest.raises((Unconfirmed, NotSent)):
                    await bus.unlock(Line(board, 6), PULSE_MS)
                bench.fault()
                await bus.poll(board)
            assert bench.pulses() == [SeenPulse(board, 0, PULSE_MS)]

        _run(bench, scenario)

    def test_a_cancelled_unlock_is_not_sent_again(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 0), PULSE_MS)
            task = asyncio.create_task(bus.unlock(Line(board, 6), PULSE_MS))
            await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.5)
            await bus.poll(board)
            assert bench.unlock_frames() <= 2

        _run(bench, scenario)

    def test_an_unplugged_port_is_link_down_nothing_is_sent_and_it_can_be_opened_again(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            bench.fault(unplugged=True)
            await asyncio.sleep(0.1)
            with pytest.raises(LinkDown):
                await bus.poll(board)
            with pytest.raises(NotSent):
                await bus.unlock(Line(board, 0), PULSE_MS)
            await bus.close()
            with pytest.raises(LinkDown):
                await bus.open()
            with pytest.raises(LinkDown):
                await bus.poll(board)
            bench.fault()
            await bus.open()
            assert (await bus.poll(board))[0].door_open is False
            assert bench.pulses() == []

        _run(bench, scenario)

    def test_a_port_pulled_in_the_middle_of_an_unlock_leaves_it_unconfirmed(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.unlock(Line(board, 0), PULSE_MS)
            bench.fault(delay_ms=1000)
            task = asyncio.create_task(bus.unlock(Line(board, 4), PULSE_MS))
            await asyncio.sleep(0.05)
            bench.fault(unplugged=True)
            with pytest.raises(Unconfirmed):
                await task
            bench.fault()
            await bus.close()
            await bus.open()
            await bus.poll(board)
            assert bench.unlock_frames() == 2

        _run(bench, scenario)

    def test_an_impossible_unlock_is_refused_before_anything_is_sent(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            channels = bench.settings.boards[0].channels
            for line in (Line(board, channels), Line(board, -1), Line(board + 1, 0)):
                with pytest.raises(NotSent):
                    await bus.unlock(line, PULSE_MS)
            for pulse_ms in (0, -1, bus.manifest.pulse_max_ms + 1):
                with pytest.raises(NotSent):
                    await bus.unlock(Line(board, 0), pulse_ms)
            assert bench.unlock_frames() == 0

        _run(bench, scenario)

    def test_lights_are_driven_or_refused_and_never_unlock(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            for on in (True, False):
                if bus.manifest.drives_lights:
                    await bus.light(Line(board, 2), on)
                else:
                    with pytest.raises(DriverError):
                        await bus.light(Line(board, 2), on)
            assert bench.unlock_frames() == 0 and bench.pulses() == []

        _run(bench, scenario)

    def test_opening_and_closing_twice_does_nothing_more(self, bench: Bench) -> None:
        async def scenario(bus: BoardBus, board: int) -> None:
            await bus.open()
            await bus.poll(board)
            await bus.close()
            await bus.close()
            with pytest.raises(NotSent):
                await bus.unlock(Line(board, 0), PULSE_MS)
            await bus.open()
            await bus.poll(board)

        _run(bench, scenario)


class _Bounded:
    """A bus whose every call must end within ``CALL_MAX_S``."""

    def __init__(self, bus: BoardBus) -> None:
        self._bus = bus
        self.manifest = bus.manifest

    async def open(self) -> None:
        await _in_time(self._bus.open())

    async def close(self) -> None:
        await _in_time(self._bus.close())

    async def poll(self, board: int) -> dict[int, Sense]:
        return await _in_time(self._bus.poll(board))

    async def unlock(self, line: Line, pulse_ms: int) -> None:
        await _in_time(self._bus.unlock(line, pulse_ms))

    async def light(self, line: Line, on: bool) -> None:
        await _in_time(self._bus.light(line, on))


async def _in_time(call: Awaitable[_T]) -> _T:
    began = time.monotonic()
    try:
        return await call
    finally:
        assert time.monotonic() - began < CALL_MAX_S, "a driver's call took too long"


def _run(
    bench: Bench, scenario: Callable[[BoardBus, int], Awaitable[None]], settings: BusSettings | None = None
) -> None:
    used = settings or bench.settings

    async def whole() -> None:
        bus = bench.create(used)
        await bus.open()
        try:
            await scenario(_Bounded(bus), used.boards[0].address)
        finally:
            await bus.close()

    asyncio.run(whole())
