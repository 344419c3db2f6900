"""A bus of Kerong CU12/CU16 boards, seen through the driver port."""

from __future__ import annotations

import asyncio

from cubbyhole.drivers.cu16 import codec
from cubbyhole.drivers.cu16.line import CuLine
from cubbyhole.drivers.port import (
    BoardSettings,
    BusSettings,
    DriverError,
    Line,
    LinkDown,
    Manifest,
    NotSent,
    Sense,
    Unconfirmed,
)
from cubbyhole.drivers.refusals import boards_of, reply_s, unlock_of

MANIFEST = Manifest(
    family="cu16",
    title="Kerong CU12/CU16 lock board",
    channels_max=16,
    has_checksum=True,
    senses_door=True,
    senses_lock=False,
    senses_occupancy=True,
    drives_lights=False,
    pulse_min_ms=10,
    pulse_max_ms=1000,
)

_GAP_AFTER_UNLOCK_S = 0.01
_STATUS_TRIES_AFTER_UNLOCK = 2
_OPTIONS = frozenset({"infrared", "set_pulse_time", "reply_ms"})


def create(settings: BusSettings) -> Cu16Bus:
    """A closed bus. Raises ``DriverError`` for settings that cannot work."""
    boards_of(settings, "CU16", MANIFEST.channels_max, range(codec.BOARDS - 1), _OPTIONS)  # the last is all boards'
    for board in settings.boards:
        for name in ("infrared", "set_pulse_time"):
            if not isinstance(board.options.get(name, True), bool):
                raise DriverError(f"CU16 board {board.address} on {settings.port}: {name} must be true or false.")
    return Cu16Bus(CuLine(settings.port, settings.baudrate), {board.address: board for board in settings.boards})


class Cu16Bus:
    """``BoardBus`` for CU boards; see the port for the contract.

    The board does not acknowledge an unlock. What counts as its confirmation is a sound answer to a status request
    sent right behind it; whether the door moved is for the door's own sensor to say.
    """

    def __init__(self, line: CuLine, boards: dict[int, BoardSettings]) -> None:
        self._line, self._wire = line, line.wire
        self._boards = boards
        self._pulse_ms: dict[int, int] = {}

    @property
    def manifest(self) -> Manifest:
        return MANIFEST

    async def open(self) -> None:
        await self._line.open()
        self._pulse_ms.clear()

    async def close(self) -> None:
        await self._wire.close()

    async def poll(self, board: int) -> dict[int, Sense]:
        settings = self._board(board)
        try:
            status = await self._status(settings)
        except DriverError:
            # A board that was away may have restarted with another pulse time.
            self._pulse_ms.pop(board, None)
            raise
        beams = settings.options.get("infrared", True) is True
        return {
            channel: Sense(
                door_open=status.hook(channel) == settings.door_open_level,
                lock_secured=None,
                occupied=(status.beam(channel) == settings.occupied_level) if beams else None,
            )
            for channel in range(settings.channels)
        }

    async def unlock(self, line: Line, pulse_ms: int) -> None:
        unlock_of(self._boards, self._wire.port, line, pulse_ms, MANIFEST)
        settings = self._boards[line.board]
        order = codec.unlock(line.board, line.channel)
        try:
            if settings.options.get("set_pulse_time", True):
                await self._have_pulse_time(settings, pulse_ms)
            await self._wire.wait_until_quiet()
            self._line.write(order)
        except DriverError as error:
            raise NotSent(f"The unlock was not sent. {error}") from error
        try:
            await self._confirm(settings, len(order))
        except DriverError as error:
            self._pulse_ms.pop(line.board, None)
            raise Unconfirmed(f"The unlock was sent and not confirmed. {error}") from error

    async def light(self, line: Line, on: bool) -> None:
        raise DriverError("CU12/CU16 boards drive no lights.")

    async def _confirm(self, settings: BoardSettings, order_bytes: int) -> None:
        try:
            await asyncio.sleep(self._wire.wire_s(order_bytes) + _GAP_AFTER_UNLOCK_S)
        finally:
            # Also when the caller gives up here: an unlock frame must not wait in the program for a later moment.
            self._wire.drop_unwritten()
        for tries_left in reversed(range(_STATUS_TRIES_AFTER_UNLOCK)):
            try:
                await self._status(settings)
                return
            except LinkDown:
                raise
            except DriverError:
                if not tries_left:
                    raise

    async def _have_pulse_time(self, settings: BoardSettings, pulse_ms: int) -> None:
        wanted_ms = -(-pulse_ms // codec.PULSE_STEP_MS) * codec.PULSE_STEP_MS
        if self._pulse_ms.get(settings.address) == wanted_ms:
            return
        if await self._pulse_time(settings, codec.ask_pulse_time(settings.address)) != wanted_ms:
            # The time is kept by the board; it is written only where it differs.
            self._line.write(codec.set_pulse_time(settings.address, wanted_ms))
            await asyncio.sleep(self._wire.wire_s(16) + _GAP_AFTER_UNLOCK_S)
            is_ms = await self._pulse_time(settings, codec.ask_pulse_time(settings.address))
            if is_ms != wanted_ms:
                raise DriverError(
                    f"Board {settings.address} on {self._wire.port} keeps a pulse of {is_ms} ms, not {wanted_ms}. "
                    "Set set_pulse_time = false to use the board's own."
                )
        self._pulse_ms[settings.address] = wanted_ms

    async def _pulse_time(self, settings: BoardSettings, question: bytes) -> int:
        reply = await self._line.ask(
            question, settings.address, codec.PULSE_TIME_IS, codec.PULSE_TIME_BYTES, reply_s(settings)
        )
        return codec.read_pulse_time_ms(reply)

    async def _status(self, settings: BoardSettings) -> codec.Status:
        reply = await self._line.ask(
            codec.poll(settings.address), settings.address, codec.STATUS, codec.STATUS_BYTES, reply_s(settings)
        )
        return codec.read_status(reply)

    def _board(self, board: int) -> BoardSettings:
        try:
            return self._boards[board]
        except KeyError:
            raise DriverError(f"{self._wire.port} has no board {board} in the configuration.") from None
