"""Badge numbers in their many spellings, brought to one canonical form.

A badge carries a UID (bytes) or a Wiegand number (facility code and card number). Offices write the same badge as
``04:A2:24:1B``, ``04a2241b``, ``77734939`` or ``12:3456``; a reader sends yet another. The canonical form is
``uid:<hex>`` for UIDs, leading zero bytes kept, and ``w26:<facility>:<number>`` for 26-bit Wiegand (H10301: 8-bit
facility code, 16-bit number). A decimal number stands for the UID of the smallest width of 4, 7, 8 or 10 bytes
that holds it, the widths that ISO/IEC 14443-3 and 15693 allow.
"""

from __future__ import annotations

import re

UID_BYTES = (4, 7, 8, 10)
MAX_TEXT = 64
_HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[:\- ]?[0-9A-Fa-f]{2})*")
_WIEGAND = re.compile(r"(?:w26:)?([0-9]{1,3}):([0-9]{1,5})", re.IGNORECASE | re.ASCII)


class BadgeError(ValueError):
    """The text is no badge number; the message says what would be."""


def canonical_uid(uid: bytes) -> str:
    """Canonical form of a UID of 3 to 10 bytes, not all zero. Raises BadgeError."""
    if not 3 <= len(uid) <= 10:
        raise BadgeError(f"a badge UID has 3 to 10 bytes, this one has {len(uid)}")
    if not any(uid):
        raise BadgeError("badge number 0 is what readers send when they fail")
    return "uid:" + uid.hex()


def parse_badge(text: str) -> str:
    """Canonical form of a badge as people write it.

    Hex needs a separator, a letter, a leading ``0x`` or ``uid:``; plain digits are decimal (write ``uid:12345678``
    where the digits are hex). Two numbers with one colon are Wiegand: no UID is so short. Raises BadgeError.
    """
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise BadgeError(f"a badge number has at most {MAX_TEXT} characters, this one has {len(text)}")
    lowered = text.lower()
    wiegand = _WIEGAND.fullmatch(text)
    if wiegand is not None:
        return _wiegand26(int(wiegand[1]), int(wiegand[2]))
    if lowered.startswith("uid:"):
        return _from_hex(text[4:])
    if lowered.startswith("0x"):
        return _from_hex(text[2:])
    if text.isascii() and text.isdigit():
        return canonical_decimal(text)
    if _HEX.fullmatch(text):
        return _from_hex(text)
    raise BadgeError(
        f"{text[:40]!r} is no badge number: write hex (04:A2:24:1B), decimal (77734939) or facility:number (12:3456)"
    )


def canonical_decimal(text: str) -> str:
    """Canonical form of a UID printed as a decimal number (ASCII digits). Raises BadgeError."""
    if not (text.isascii() and text.isdigit()):
        raise BadgeError(f"{text[:40]!r} is no decimal badge number")
    if len(text) > 25:
        raise BadgeError(f"a decimal badge number has at most 25 digits, this one has {len(text)}")
    value = int(text)
    for width in UID_BYTES:
        if value < 1 << (8 * width):
            return canonical_uid(value.to_bytes(width, "big"))
    raise BadgeError("the decimal badge number does not fit a UID of 10 bytes")


def _from_hex(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise BadgeError(f"{text[:40]!r} is no hex badge number: write pairs like 04:A2:24:1B")
    return canonical_uid(bytes.fromhex(re.sub(r"[:\- ]", "", text)))


def _wiegand26(facility: int, number: int) -> str:
    if facility > 255 or number > 65535:
        raise BadgeError(f"{facility}:{number} does not fit Wiegand 26 (facility up to 255, number up to 65535)")
    if facility == 0 and number == 0:
        raise BadgeError("badge number 0 is what readers send when they fail")
    return f"w26:{facility}:{number}"
