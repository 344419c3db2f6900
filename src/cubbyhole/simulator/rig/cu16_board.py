"""Simulated Kerong CU12/CU16 boards, byte by byte, with framing of their own (see ``modbus_board`` for why)."""

from __future__ import annotations

from cubbyhole.simulator.rig.boards import Heard, Wiring
from cubbyhole.simulator.rig.table import SettingsError

FACTORY_PULSE_MS = 550
_OPTIONS = frozenset({"infrared", "set_pulse_time", "reply_ms"})


class Cu16Boards:
    """The boards of one bus; see ``Family``. An unlock (31) has no reply, as on the real ones."""

    def __init__(self, wirings: list[Wiring]) -> None:
        self._wirings = {wiring.spec.address: wiring for wiring in wirings}
        self._pulse_ms = {wiring.spec.address: FACTORY_PULSE_MS for wiring in wirings}
        for wiring in wirings:
            unknown = set(wiring.spec.options) - _OPTIONS
            if unknown:
                raise SettingsError(
                    f"CU16 board {wiring.spec.address}: unknown option {sorted(unknown)[0]!r}; "
                    f"known are {', '.join(sorted(_OPTIONS))}"
                )

    def take(self, held: bytes) -> tuple[int, bytes | None]:
        start = held.find(b"\x02")
        if start < 0:
            return len(held), None
        if start > 0:
            return start, None
        if len(held) < 5:
            return 0, None
        if _sound(held[:5]):
            return 5, held[:5]
        if held[2] == 0x37 and len(held) < 7:
            return 0, None
        if held[2] == 0x37 and _sound(held[:7]):
            return 7, held[:7]
        return 1, None

    def is_unlock(self, request: bytes) -> bool:
        return request[2] in (0x31, 0x33)

    def answer(self, heard: Heard) -> bytes | None:
        request = heard.octets
        board, lock, command = request[1] >> 4, request[1] & 0x0F, request[2]
        wiring = self._wirings.get(board)
        if wiring is None:
            return None
        channels = wiring.spec.channels
        if command == 0x31 and lock < channels:
            wiring.pulse(lock, self._pulse_ms[board], heard)
        elif command == 0x33:
            for channel in range(channels):
                wiring.pulse(channel, self._pulse_ms[board], heard)
        elif command == 0x30:
            hooks = sum(wiring.door_level(channel) << channel for channel in range(channels))
            beams = sum(wiring.occupied_level(channel) << channel for channel in range(channels))
            return _framed(request[1] & 0xF0, 0x35, hooks.to_bytes(2, "little") + beams.to_bytes(2, "little"))
        elif command == 0x37 and len(request) == 7:
            self._pulse_ms[board] = int.from_bytes(request[3:5], "big") * 10
        elif command == 0x37:
            return _framed(request[1] & 0xF0, 0x38, (self._pulse_ms[board] // 10).to_bytes(2, "big"))
        return None

    def power_off(self) -> None:
        for wiring in self._wirings.values():
            wiring.power_off()


def _sound(octets: bytes) -> bool:
    return octets[0] == 2 and octets[-2] == 3 and sum(octets[:-1]) % 256 == octets[-1]


def _framed(address: int, command: int, payload: bytes) -> bytes:
    octets = b"\x02" + bytes((address, command)) + payload + b"\x03"
    return octets + bytes((sum(octets) % 256,))
