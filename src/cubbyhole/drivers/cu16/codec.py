"""The bytes of Kerong CU12/CU16 boards: frames out, frames in. Pure; no port, no clock.

A frame is ``02 ADDR CMD [payload] 03 SUM``; SUM is the low byte of the sum of everything before it. ADDR is
``board << 4 | lock`` (lock from 0). Sources: three or more independent public implementations for 30, 31 and 35,
two for 37 in units of 10 ms, one for 38 and for the byte order of the time (high byte first).

The sum finds every change of a single byte. It does **not** find two changes that cancel out (ADDR + 1 and
SUM + 1): that is a property of the boards, see README.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.drivers.port import BadReply

STX, ETX = 0x02, 0x03
POLL, UNLOCK, PULSE_TIME = 0x30, 0x31, 0x37
STATUS, PULSE_TIME_IS = 0x35, 0x38
LOCKS = 16
BOARDS = 16
PULSE_STEP_MS = 10
PULSE_STEPS_MAX = 0xFFFF

_PAYLOAD_BYTES = {STATUS: 4, PULSE_TIME_IS: 2}
_OVERHEAD_BYTES = 5
STATUS_BYTES = _OVERHEAD_BYTES + _PAYLOAD_BYTES[STATUS]
PULSE_TIME_BYTES = _OVERHEAD_BYTES + _PAYLOAD_BYTES[PULSE_TIME_IS]


@dataclass(frozen=True, slots=True)
class Frame:
    """A sound frame from a board. ``address`` is the raw ADDR byte."""

    address: int
    command: int
    payload: bytes

    @property
    def board(self) -> int:
        """The board that it is from."""
        return self.address >> 4


def frame(address: int, command: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    body = bytes((STX, address, command)) + payload + bytes((ETX,))
    return body + bytes((sum(body) & 0xFF,))


def unlock(board: int, lock: int) -> bytes:
    """Pulse one lock for the time that the board has set."""
    _check(board, lock)
    return frame(board << 4 | lock, UNLOCK)


def poll(board: int) -> bytes:
    """Ask a board for its hooks and infrared sensors; it answers with ``STATUS``."""
    _check(board, 0)
    return frame(board << 4, POLL)


def set_pulse_time(board: int, pulse_ms: int) -> bytes:
    """Set the board's pulse time, rounded up to 10 ms."""
    _check(board, 0)
    steps = -(-pulse_ms // PULSE_STEP_MS)
    if not 1 <= steps <= PULSE_STEPS_MAX:
        raise ValueError(f"a pulse of {pulse_ms} ms cannot be set")
    return frame(board << 4, PULSE_TIME, steps.to_bytes(2, "big"))


def ask_pulse_time(board: int) -> bytes:
    """Ask for the pulse time; the board answers with ``PULSE_TIME_IS``."""
    _check(board, 0)
    return frame(board << 4, PULSE_TIME)


@dataclass(frozen=True, slots=True)
class Status:
    """The raw bits of one board: bit n is lock n."""

    board: int
    hooks: int
    infrared: int

    def hook(self, lock: int) -> bool:
        return bool(self.hooks >> lock & 1)

    def beam(self, lock: int) -> bool:
        return bool(self.infrared >> lock & 1)


def read_status(reply: Frame) -> Status:
    """The bits in a ``STATUS`` frame. Raises ``BadReply``."""
    if reply.command != STATUS or len(reply.payload) != 4:
        raise BadReply(f"The board answered with command {reply.command:02X} where 35 belongs.")
    hook_low, hook_high, beam_low, beam_high = reply.payload
    return Status(reply.board, hook_low | hook_high << 8, beam_low | beam_high << 8)


def read_pulse_time_ms(reply: Frame) -> int:
    """The pulse time in a ``PULSE_TIME_IS`` frame. Raises ``BadReply``."""
    if reply.command != PULSE_TIME_IS or len(reply.payload) != 2:
        raise BadReply(f"The board answered with command {reply.command:02X} where 38 belongs.")
    return int.from_bytes(reply.payload, "big") * PULSE_STEP_MS


class FrameParser:
    """Finds sound frames in a stream of bytes, whatever stands around them.

    Never raises. Keeps at most one unfinished frame; ``discarded`` counts the bytes that belonged to no frame.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self.discarded = 0

    def feed(self, received: bytes) -> list[Frame]:
        """The frames that are complete now, in order."""
        self._held += received
        frames: list[Frame] = []
        at = 0
        while at < len(self._held):
            rest = len(self._held) - at
            if self._held[at] != STX:
                at += 1
                self.discarded += 1
                continue
            if rest < 3:
                break
            size = _PAYLOAD_BYTES.get(self._held[at + 2])
            if size is None:
                at += 1
                self.discarded += 1
                continue
            if rest < size + _OVERHEAD_BYTES:
                break
            candidate = bytes(self._held[at : at + size + _OVERHEAD_BYTES])
            if candidate[-2] == ETX and sum(candidate[:-1]) & 0xFF == candidate[-1]:
                frames.append(Frame(candidate[1], candidate[2], candidate[3:-2]))
                at += len(candidate)
            else:
                at += 1
                self.discarded += 1
        del self._held[:at]
        return frames

    def reset(self) -> None:
        """Forget an unfinished frame: what follows is a new conversation."""
        self.discarded += len(self._held)
        self._held.clear()


def _check(board: int, lock: int) -> None:
    if not 0 <= board < BOARDS or not 0 <= lock < LOCKS:
        raise ValueError(f"there is no board {board} with a lock {lock}: both run from 0 to 15")
