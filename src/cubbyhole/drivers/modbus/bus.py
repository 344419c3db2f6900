"""A bus of Modbus relay and input boards, seen through the driver port."""

from __future__ import annotations

from pymodbus.pdu.bit_message import ReadDiscreteInputsRequest

from cubbyhole.drivers.modbus.layout import OPTIONS, Layout, layout_of
from cubbyhole.drivers.modbus.link import Link
from cubbyhole.drivers.modbus.pdu import CoilWrite, coil, pulse
from cubbyhole.drivers.port import (
    BadReply,
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
    family="modbus",
    title="Modbus RTU relay and input board (board-timed pulse)",
    channels_max=32,
    has_checksum=True,
    senses_door=True,
    senses_lock=True,
    senses_occupancy=True,
    drives_lights=True,
    pulse_min_ms=100,
    pulse_max_ms=1000,
)

UNLOCK_REPLY_MS = 400
_FRAME_BYTES = 8


def create(settings: BusSettings) -> ModbusBus:
    """A closed bus. Raises ``DriverError`` for settings that cannot work."""
    boards_of(settings, "Modbus", MANIFEST.channels_max, range(1, 248), OPTIONS)
    layouts = {board.address: layout_of(board) for board in settings.boards}
    return ModbusBus(Link(settings.port, settings.baudrate), layouts)


class ModbusBus:
    """``BoardBus`` for Modbus boards; see the port for the contract."""

    def __init__(self, link: Link, layouts: dict[int, Layout]) -> None:
        self._link, self._port = link, link.wire.port
        self._layouts = layouts
        self._boards = {address: layout.board for address, layout in layouts.items()}

    @property
    def manifest(self) -> Manifest:
        return MANIFEST

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def poll(self, board: int) -> dict[int, Sense]:
        layout = self._layout(board)
        reply_bytes = 5 + (layout.count + 7) // 8
        request = ReadDiscreteInputsRequest(dev_id=board, address=layout.start, count=layout.count)
        reply = await self._link.ask(request, _FRAME_BYTES, reply_bytes, reply_s(layout.board))
        if reply.isError():
            raise BadReply(
                f"Board {board} on {self._port} refuses to read inputs {layout.start} to "
                f"{layout.start + layout.count - 1} (Modbus exception {reply.exception_code}). Check its options."
            )
        if reply.function_code != 2 or len(reply.bits) != (layout.count + 7) // 8 * 8:
            raise BadReply(f"Board {board} on {self._port} answered a poll with something else.")
        return layout.senses(reply.bits)

    async def unlock(self, line: Line, pulse_ms: int) -> None:
        unlock_of(self._boards, self._port, line, pulse_ms, MANIFEST)
        order = pulse(line.board, line.channel, pulse_ms)
        try:
            reply = await self._link.ask(order, _FRAME_BYTES, _FRAME_BYTES, UNLOCK_REPLY_MS / 1000)
        except DriverError as error:
            if isinstance(error, LinkDown) and not self._link.handed_over:
                raise NotSent(str(error)) from error
            raise Unconfirmed(f"The unlock was sent and not confirmed. {error}") from error
        if not _echoes(order, reply):
            raise Unconfirmed(
                f"Board {line.board} on {self._port} did not confirm the pulse of relay {line.channel} "
                f"(Modbus exception {reply.exception_code}). Does it support timed relays at 0x0200?"
            )

    async def light(self, line: Line, on: bool) -> None:
        layout = self._layout(line.board)
        if layout.light_coils is None:
            raise DriverError(f"Board {line.board} on {self._port} has no lights (option light_coils).")
        if not 0 <= line.channel < layout.board.channels:
            raise DriverError(f"Board {line.board} on {self._port} has no channel {line.channel}.")
        order = coil(line.board, layout.light_coils + line.channel, on)
        reply = await self._link.ask(order, _FRAME_BYTES, _FRAME_BYTES, reply_s(layout.board))
        if not _echoes(order, reply):
            raise BadReply(f"Board {line.board} on {self._port} did not confirm the light of {line.channel}.")

    def _layout(self, board: int) -> Layout:
        try:
            return self._layouts[board]
        except KeyError:
            raise DriverError(f"{self._port} has no board {board} in the configuration.") from None


def _echoes(order: CoilWrite, reply: object) -> bool:
    return isinstance(reply, CoilWrite) and (reply.address, reply.value) == (order.address, order.value)
