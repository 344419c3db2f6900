"""Simulated Modbus RTU relay boards, byte by byte.

Written from the Modbus specification and the Waveshare pages, with its own framing and checksum: nothing is shared
with the driver or its library, so that a mistake in one shows in the other.
"""

from __future__ import annotations

from cubbyhole.simulator.rig.boards import Heard, Wiring
from cubbyhole.simulator.rig.table import SettingsError

READ_COILS, READ_INPUTS, WRITE_COIL, WRITE_COILS = 1, 2, 5, 15
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
PULSES = 0x0200
PULSE_UNIT_MS = 100
INPUTS_MAX = 2048
_FIXED_SIZE = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8}
_OPTIONS = frozenset({"door_inputs", "lock_inputs", "occupancy_inputs", "light_coils", "reply_ms"})


def crc(octets: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first, as it stands on the wire."""
    value = 0xFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


class ModbusBoards:
    """The boards of one bus; see ``Family``."""

    def __init__(self, wirings: list[Wiring]) -> None:
        self._boards = {wiring.spec.address: _Board(wiring) for wiring in wirings}

    def take(self, held: bytes) -> tuple[int, bytes | None]:
        if len(held) < 2:
            return 0, None
        size = _FIXED_SIZE.get(held[1])
        if size is None and held[1] == WRITE_COILS:
            if len(held) < 7:
                return 0, None
            size = 9 + held[6]
        if size is None:
            # An unknown function has no known length: as a real board, wait for silence (and so for the next frame).
            return len(held), None
        if len(held) < size:
            return 0, None
        request = held[:size]
        if crc(request[:-2]) != request[-2:]:
            return len(held), None
        return size, request

    def is_unlock(self, request: bytes) -> bool:
        return request[1] == WRITE_COIL and PULSES <= int.from_bytes(request[2:4], "big") < PULSES + 0x100

    def answer(self, heard: Heard) -> bytes | None:
        request = heard.octets
        board = self._boards.get(request[0])
        if board is None:
            return None
        body = board.answer(request[1], request[2:-2], heard)
        function = request[1] | 0x80 if len(body) == 1 else request[1]
        reply = bytes((request[0], function)) + body
        return reply + crc(reply)

    def power_off(self) -> None:
        for board in self._boards.values():
            board.power_off()


class _Board:
    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._held_on: set[int] = set()
        unknown = set(wiring.spec.options) - _OPTIONS
        if unknown:
            raise SettingsError(
                f"Modbus board {wiring.spec.address}: unknown option {sorted(unknown)[0]!r}; "
                f"known are {', '.join(sorted(_OPTIONS))}"
            )
        self._doors = self._option("door_inputs", 0)
        self._locks = self._option("lock_inputs", None)
        self._contents = self._option("occupancy_inputs", None)
        self._lights = self._option("light_coils", None)

    def answer(self, function: int, body: bytes, heard: Heard) -> bytes:
        """The reply's body behind the function code; a single byte is an exception code."""
        address, value = int.from_bytes(body[0:2], "big"), int.from_bytes(body[2:4], "big")
        if function in (READ_COILS, READ_INPUTS):
            return self._read(function, address, value)
        if function == WRITE_COIL:
            return self._write(address, value, heard) or body
        if function == WRITE_COILS:
            return self._write_many(address, value, body[5:], heard) or body[:4]
        return bytes((ILLEGAL_FUNCTION,))

    def power_off(self) -> None:
        self._held_on.clear()
        self._wiring.power_off()

    def _read(self, function: int, address: int, count: int) -> bytes:
        if not 1 <= count <= 2000:
            return bytes((ILLEGAL_VALUE,))
        if address + count > INPUTS_MAX:
            return bytes((ILLEGAL_ADDRESS,))
        level = self._coil_level if function == READ_COILS else self._input_level
        packed = bytearray((count + 7) // 8)
        for index in range(count):
            packed[index // 8] |= level(address + index) << index % 8
        return bytes((len(packed),)) + bytes(packed)

    def _write(self, address: int, value: int, heard: Heard) -> bytes | None:
        channels = self._wiring.spec.channels
        if PULSES <= address < PULSES + channels:
            if not 1 <= value <= 0x7FFF:
                return bytes((ILLEGAL_VALUE,))
            self._wiring.pulse(address - PULSES, value * PULSE_UNIT_MS, heard)
            return None
        if value not in (0x0000, 0xFF00):
            return bytes((ILLEGAL_VALUE,))
        return self._switch(address, value == 0xFF00, heard)

    def _write_many(self, address: int, count: int, packed: bytes, heard: Heard) -> bytes | None:
        if not 1 <= count <= 8 * len(packed):
            return bytes((ILLEGAL_VALUE,))
        for index in range(count):
            error = self._switch(address + index, bool(packed[index // 8] >> index % 8 & 1), heard)
            if error is not None:
                return error
        return None

    def _switch(self, address: int, on: bool, heard: Heard) -> bytes | None:
        channels = self._wiring.spec.channels
        if 0 <= address < channels:
            if on and address not in self._held_on:
                self._held_on.add(address)
                self._wiring.pulse(address, 0, heard)
            elif not on:
                self._held_on.discard(address)
                self._wiring.relax(address)
            return None
        if self._lights is not None and self._lights <= address < self._lights + channels:
            self._wiring.light(address - self._lights, on)
            return None
        return bytes((ILLEGAL_ADDRESS,))

    def _input_level(self, address: int) -> bool:
        wiring = self._wiring
        for first, level in (
            (self._doors, wiring.door_level),
            (self._locks, wiring.lock_level),
            (self._contents, wiring.occupied_level),
        ):
            if first is not None and first <= address < first + wiring.spec.channels:
                return level(address - first)
        return False

    def _coil_level(self, address: int) -> bool:
        if self._lights is not None and self._lights <= address < self._lights + self._wiring.spec.channels:
            return self._wiring.is_lit(address - self._lights)
        return address in self._held_on

    def _option(self, name: str, default: int | None) -> int | None:
        value = self._wiring.spec.options.get(name, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < INPUTS_MAX):
            raise SettingsError(f"Modbus board {self._wiring.spec.address}: {name} must be 0 to {INPUTS_MAX - 1}")
        return value
