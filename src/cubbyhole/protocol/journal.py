"""Journal lines on the wire and on disk: exact bytes, because the bytes are what is hashed.

A line is one JSON object with its fields in the order of `_Line`. Decoding accepts any order and extra fields (of a
newer release); it never re-encodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.events import EVENT_TYPES, Event, UnknownEvent
from cubbyhole.domain.moment import Moment

LINE_VERSION = 1
MAX_LINE_BYTES = 256 * 1024
_HEX32 = re.compile(r"[0-9a-f]{32}")


class LineError(ValueError):
    """The bytes are no journal line; the message says what is wrong with them."""


class _Line(msgspec.Struct):
    v: int
    bank: str
    epoch: str
    seq: int
    at: int
    mono: int
    boot: str
    sync: bool
    type: str
    actor: str | None
    data: Any


class _LineIn(_Line):
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Line:
    """A decoded journal line. ``actor`` is a person's pseudonym, ``op:<account>``, or None where nobody acted."""

    bank: str
    epoch: str
    seq: int
    moment: Moment
    actor: str | None
    event: Event | UnknownEvent
    type: str


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(_LineIn)
_event_decoders = {name: msgspec.json.Decoder(cls) for name, cls in EVENT_TYPES.items()}
_state_decoder = msgspec.json.Decoder(BankState)


def encode_line(*, bank: str, epoch: str, seq: int, moment: Moment, actor: str | None, event: Event) -> bytes:
    """The bytes of one line, at most MAX_LINE_BYTES."""
    return _encoder.encode(
        _Line(
            v=LINE_VERSION, bank=bank, epoch=epoch, seq=seq, at=moment.at_ms, mono=moment.mono_ms, boot=moment.boot,
            sync=moment.sync, type=event.TYPE, actor=actor, data=event,
        )
    )  # fmt: skip


def decode_line(raw: bytes) -> Line:
    """Parse one line. Raises LineError; an event type that this release does not know becomes `UnknownEvent`."""
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(f"a journal line has at most {MAX_LINE_BYTES} bytes, this one has {len(raw)}")
    try:
        head = _line_decoder.decode(raw)
        decoder = _event_decoders.get(head.type)
        event = UnknownEvent(head.type) if decoder is None else decoder.decode(head.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not a journal line: {error}") from None
    if head.v != LINE_VERSION:
        raise LineError(f"journal line version {head.v}; this release reads version {LINE_VERSION}")
    if head.seq < 1 or not _HEX32.fullmatch(head.epoch):
        raise LineError("a journal line needs a sequence from 1 and an epoch of 32 hex digits")
    moment = Moment(head.at, head.mono, head.boot, head.sync)
    return Line(head.bank, head.epoch, head.seq, moment, head.actor, event, head.type)


def encode_state(state: BankState) -> bytes:
    """A bank's state as JSON: equal states give equal bytes."""
    return _encoder.encode(state)


def decode_state(raw: bytes) -> BankState:
    """The inverse of `encode_state`."""
    return _state_decoder.decode(raw)
