"""A reader's bytes to credentials: one line, one presentation. Pure; time is an argument; never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Form = Literal["hex", "decimal"]
LINE_MAX = 64
UID_BYTES = (4, 7, 8, 10)
UID_BYTES_MIN, UID_BYTES_MAX = 3, 10
GAP_MAX_NS = 250_000_000

_HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[:\- ]?[0-9A-Fa-f]{2})*", re.ASCII)
_SEPARATORS = str.maketrans("", "", ":- ")


@dataclass(frozen=True, slots=True)
class ReadCredential:
    """One badge held against a reader.

    ``raw`` is the UID: for decimal readers the number in the smallest of 4, 7, 8 or 10 bytes that holds it, high
    byte first. ``text`` is the line as it came. ``received_mono_ns`` is CLOCK_MONOTONIC when its end arrived.
    """

    raw: bytes
    text: str
    form: Form
    received_mono_ns: int


@dataclass(frozen=True, slots=True)
class BadRead:
    """Something came that is no credential. ``reason`` says what, and never contains what was received."""

    reason: str
    received_mono_ns: int


def parse_line(line: bytes, form: Form, received_mono_ns: int) -> ReadCredential | BadRead:
    """One line without its end. STX/ETX and blanks may stand around it; hex may have ``:``, ``-`` or blanks between."""
    try:
        text = line.decode("ascii").strip("\x02\x03 \t")
    except UnicodeDecodeError:
        return BadRead("the line is not plain text", received_mono_ns)
    if form == "hex":
        if _HEX.fullmatch(text) is None:
            return BadRead("the line is no hex number; is the reader set to decimal?", received_mono_ns)
        raw = bytes.fromhex(text.translate(_SEPARATORS))
        if not UID_BYTES_MIN <= len(raw) <= UID_BYTES_MAX:
            return BadRead(f"the number has {len(raw)} bytes, not 3 to 10", received_mono_ns)
    else:
        if not (text.isascii() and text.isdigit()):
            return BadRead("the line is no decimal number; is the reader set to hex?", received_mono_ns)
        value = int(text)
        width = next((size for size in UID_BYTES if value < 1 << (8 * size)), None)
        if width is None:
            return BadRead("the number does not fit in 10 bytes", received_mono_ns)
        raw = value.to_bytes(width, "big")
    if not any(raw):
        return BadRead("the number is 0, which readers send when they fail", received_mono_ns)
    return ReadCredential(raw, text, form, received_mono_ns)


class LineParser:
    """Cuts a stream of bytes into lines of at most ``LINE_MAX`` bytes.

    A pause of more than 250 ms inside a line ends it as bad, so that half a number never joins the next badge's; a
    line that is too long is bad once, up to its end.
    """

    def __init__(self, form: Form) -> None:
        self._form = form
        self._held = bytearray()
        self._overlong = False
        self._last_ns = 0

    def feed(self, received: bytes, now_ns: int) -> list[ReadCredential | BadRead]:
        """What is complete now, in order."""
        reads: list[ReadCredential | BadRead] = []
        if (self._held or self._overlong) and now_ns - self._last_ns > GAP_MAX_NS:
            if not self._overlong:
                reads.append(BadRead("the line broke off", now_ns))
            self.reset()
        self._last_ns = now_ns
        for octet in received:
            if octet in (0x0A, 0x0D):
                line, overlong = bytes(self._held), self._overlong
                self.reset()
                if line.strip(b"\x02\x03 \t") and not overlong:
                    reads.append(parse_line(line, self._form, now_ns))
            elif not self._overlong:
                self._held.append(octet)
                if len(self._held) > LINE_MAX:
                    self._held.clear()
                    self._overlong = True
                    reads.append(BadRead(f"the line is longer than {LINE_MAX} bytes", now_ns))
        return reads

    def reset(self) -> None:
        """Forget an unfinished line."""
        self._held.clear()
        self._overlong = False
