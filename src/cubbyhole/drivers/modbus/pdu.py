"""The one Modbus message that Cubbyhole needs beside the standard ones: FC05 with a free value.

Standard FC05 knows only ON (FF00) and OFF (0000). Relay boards of the Waveshare family take a coil address of
``0x0200 + relay`` and a value of n x 100 ms, and switch the relay off again by themselves ("flash on"). The reply
is an echo of the request. Source: the vendor's protocol pages, quoted alike in several public projects.
"""

from __future__ import annotations

import struct

from pymodbus.pdu import ModbusPDU

PULSE_COILS = 0x0200
PULSE_STEP_MS = 100
COIL_ON = 0xFF00
COIL_OFF = 0x0000


class CoilWrite(ModbusPDU):
    """FC05, request and reply alike: ``address`` and the raw 16-bit ``value``."""

    function_code = 5
    rtu_frame_size = 8

    def __init__(self, dev_id: int = 0, transaction_id: int = 0, address: int = 0, value: int = 0) -> None:
        super().__init__(dev_id=dev_id, transaction_id=transaction_id, address=address)
        self.value = value

    def encode(self) -> bytes:
        """Address and value, two bytes each, high byte first."""
        return struct.pack(">HH", self.address, self.value)

    def decode(self, data: bytes) -> None:
        """Set address and value from exactly four bytes. Raises ``struct.error`` for fewer."""
        self.address, self.value = struct.unpack(">HH", data[:4])


def pulse(board: int, relay: int, pulse_ms: int) -> CoilWrite:
    """The board-timed pulse of one relay, rounded up to the board's step of 100 ms."""
    steps = -(-pulse_ms // PULSE_STEP_MS)
    return CoilWrite(dev_id=board, address=PULSE_COILS + relay, value=steps)


def coil(board: int, address: int, on: bool) -> CoilWrite:
    """An ordinary coil, on or off."""
    return CoilWrite(dev_id=board, address=address, value=COIL_ON if on else COIL_OFF)
