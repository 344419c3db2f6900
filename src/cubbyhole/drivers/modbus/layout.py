"""Where on a Modbus board the doors, locks, contents sensors and lights are; checked once, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cubbyhole.drivers.port import BoardSettings, DriverError, OptionValue, Sense

SPAN_MAX = 256
_PULSE_AREA = range(0x0200, 0x0500)
OPTIONS = frozenset({"door_inputs", "lock_inputs", "occupancy_inputs", "light_coils", "reply_ms"})


@dataclass(frozen=True, slots=True)
class Layout:
    """One board's addresses. ``None`` where the board has no such sensors or lights.

    All sensors are read in **one** request for the span ``start .. start + count``: the picture is of one moment, and
    a late reply can never be taken for another block's.
    """

    board: BoardSettings
    door_inputs: int
    lock_inputs: int | None
    occupancy_inputs: int | None
    light_coils: int | None
    start: int
    count: int

    def senses(self, bits: Sequence[bool]) -> dict[int, Sense]:
        """What ``count`` input levels mean, channel by channel, polarity applied."""

        def level(first: int | None, channel: int, meaning: bool) -> bool | None:
            return None if first is None else bits[first - self.start + channel] == meaning

        board = self.board
        return {
            channel: Sense(
                door_open=level(self.door_inputs, channel, board.door_open_level),
                lock_secured=level(self.lock_inputs, channel, board.lock_secured_level),
                occupied=level(self.occupancy_inputs, channel, board.occupied_level),
            )
            for channel in range(board.channels)
        }


def layout_of(board: BoardSettings) -> Layout:
    """The layout of a board that ``boards_of`` has let pass. Raises ``DriverError`` that names what to change."""
    where = f"Modbus board {board.address}"
    doors = _address(where, board.options, "door_inputs", default=0)
    locks = _address(where, board.options, "lock_inputs")
    occupancy = _address(where, board.options, "occupancy_inputs")
    lights = _address(where, board.options, "light_coils")
    assert doors is not None
    blocks = [start for start in (doors, locks, occupancy) if start is not None]
    for index, one in enumerate(blocks):
        if any(abs(one - other) < board.channels for other in blocks[index + 1 :]):
            raise DriverError(f"{where}: the blocks of inputs overlap; each takes {board.channels} addresses.")
    start, end = min(blocks), max(blocks) + board.channels
    if end - start > SPAN_MAX:
        raise DriverError(f"{where}: the blocks of inputs must lie within {SPAN_MAX} addresses of each other.")
    if lights is not None and _touches_locks(lights, board.channels):
        raise DriverError(f"{where}: light_coils must lie outside the lock relays and outside 0x0200 to 0x04FF.")
    return Layout(board, doors, locks, occupancy, lights, start, end - start)


def _touches_locks(lights: int, channels: int) -> bool:
    # A light written into a relay or into the pulse commands would open a locker.
    span = range(lights, lights + channels)
    return lights < channels or (span.start < _PULSE_AREA.stop and _PULSE_AREA.start < span.stop)


def _address(where: str, options: Mapping[str, OptionValue], name: str, default: int | None = None) -> int | None:
    value = options.get(name, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF - SPAN_MAX:
        raise DriverError(f"{where}: {name} must be an address from 0 to {0xFFFF - SPAN_MAX}.")
    return value
