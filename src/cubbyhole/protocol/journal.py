"""Journal lines on the wire and on disk: exact bytes, because the bytes are what is hashed.

A line is one JSON object on one line with its fields in the order of `_Line`. Decoding accepts any order and extra
fields (of a newer release); it never re-encodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import msgspec

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.events import EVENT_TYPES, EpochStarted, Event, JournalGap, UnknownEvent
from cubbyhole.domain.moment import Moment

LINE_VERSION = 1
MAX_LINE_BYTES = 256 * 1024
MAX_INTEGER = 2**53 - 1  # every JSON reader has these exactly
MAX_NAME = 128
_NEWER_WORD = "Invalid enum value"  # how msgspec begins to say it
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


class _Version(msgspec.Struct):
    v: int


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
_version_decoder = msgspec.json.Decoder(_Version)
_line_decoder = msgspec.json.Decoder(_LineIn)
_event_decoders = {name: msgspec.json.Decoder(cls) for name, cls in EVENT_TYPES.items()}
_integers = {name: tuple(f.name for f in fields(cls) if "int" in str(f.type)) for name, cls in EVENT_TYPES.items()}
_state_decoder = msgspec.json.Decoder(BankState)


def encode_line(*, bank: str, epoch: str, seq: int, moment: Moment, actor: str | None, event: Event) -> bytes:
    """The bytes of one line. Raises LineError where that would be more than MAX_LINE_BYTES."""
    raw = _encoder.encode(
        _Line(
            v=LINE_VERSION, bank=bank, epoch=epoch, seq=seq, at=moment.at_ms, mono=moment.mono_ms, boot=moment.boot,
            sync=moment.sync, type=event.TYPE, actor=actor, data=event,
        )
    )  # fmt: skip
    return _within_limit(raw)


def decode_line(raw: bytes) -> Line:
    """Parse one line. Raises LineError; an event of a type, or with a word, that this release does not know becomes
    `UnknownEvent`: a newer release may have added it."""
    _within_limit(raw)
    if raw[:1] != b"{" or raw[-1:] != b"}" or b"\n" in raw or b"\r" in raw:
        raise LineError("a journal line is one JSON object without line breaks and with nothing around it")
    try:
        raw.decode()  # the decoders pass over what they do not read; exports carry every line as text
        version = _version_decoder.decode(raw).v
        if version != LINE_VERSION:
            raise LineError(f"journal line version {version}; this release reads version {LINE_VERSION}")
        head = _line_decoder.decode(raw)
        decoder = _event_decoders.get(head.type)
        event = UnknownEvent(head.type) if decoder is None else _event(head.type, decoder, head.data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not a journal line: {error}") from None
    if not 1 <= head.seq <= MAX_INTEGER or not _HEX32.fullmatch(head.epoch):
        raise LineError("a journal line needs a sequence from 1 and an epoch of 32 hex digits")
    if max(abs(head.at), abs(head.mono)) > MAX_INTEGER or _is_beyond(event, _integers.get(head.type, ())):
        raise LineError(f"a number in a journal line is at most {MAX_INTEGER}")
    if max(len(head.boot), len(head.actor or ""), len(head.type)) > MAX_NAME:
        raise LineError(f"boot, type and actor have at most {MAX_NAME} characters")
    moment = Moment(head.at, head.mono, head.boot, head.sync)
    return Line(head.bank, head.epoch, head.seq, moment, head.actor, event, head.type)


def _event(name: str, decoder: msgspec.json.Decoder[Event], data: msgspec.Raw) -> Event | UnknownEvent:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        if not str(error).startswith(_NEWER_WORD):
            raise
        return UnknownEvent(name)


def fold_line(state: BankState, line: Line) -> None:
    """Fold a decoded line into ``state``. Raises `domain.bank.FoldError`, with nothing changed."""
    state.apply(line.event, line.seq, line.moment)
    state.epoch = line.epoch


def _within_limit(raw: bytes) -> bytes:
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(f"a journal line has at most {MAX_LINE_BYTES} bytes, this one has {len(raw)}")
    return raw


def _is_beyond(event: Event | UnknownEvent, names: tuple[str, ...]) -> bool:
    """Whether one of the event's integer fields is out of range; databases have 64 bits, JSON readers 53."""
    if isinstance(event, UnknownEvent):
        return False
    values: list[int | None] = [getattr(event, name) for name in names]
    if isinstance(event, EpochStarted):
        values += _integers_of(event.assignments)
    elif isinstance(event, JournalGap):
        values += _integers_of(event.state)
    return any(value is not None and abs(value) > MAX_INTEGER for value in values)


def _integers_of(part: object) -> list[int | None]:
    """Every integer anywhere in a part of a snapshot."""
    if isinstance(part, int) and not isinstance(part, bool):
        return [part]
    if isinstance(part, tuple):
        return [found for one in part for found in _integers_of(one)]
    if is_dataclass(part):
        return [found for f in fields(part) for found in _integers_of(getattr(part, f.name))]
    return []


def encode_state(state: BankState) -> bytes:
    """A bank's state as JSON: states folded from the same lines give the same bytes, in every process."""
    return _encoder.encode(state)


def decode_state(raw: bytes) -> BankState:
    """The inverse of `encode_state`. Raises LineError where the bytes are no state of this release."""
    try:
        return _state_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not a bank's state: {error}") from None
