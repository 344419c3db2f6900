"""The messages between bank and server. JSON, one struct each, every one with a version.

Times are ms since the Unix epoch, hashes and epochs hex, signatures and keys base64. Unknown fields are ignored (a
newer peer may send them); an unknown version is answered with `Trouble`. Limits are part of the protocol.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow
from cubbyhole.domain.events import Answered, Assigned, Disabled
from cubbyhole.domain.rules import Rule

VERSION = 1
MAX_BATCH_LINES = 500
MAX_BATCH_BYTES = 512 * 1024
MAX_STANDING = 100
CLAIM_VALID_MS = 1000

M = TypeVar("M", bound="Message")


class Message(msgspec.Struct, kw_only=True, omit_defaults=False):
    v: int = VERSION


class Trouble(Message):
    """The answer to a message that cannot be served: ``error`` is a fixed word, ``detail`` for the log."""

    error: str
    detail: str = ""


class MessageError(ValueError):
    """The bytes are no message of this kind; ``word`` is `Trouble.error` for the peer."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


class Head(msgspec.Struct, frozen=True):
    """The controller's signature over the journal up to ``seq`` (`domain.chain.head_text`)."""

    seq: int
    hash: str
    signature: str


class Beat(Message):
    """Once a second from the bank's main loop."""

    bank: str
    epoch: str
    seq: int
    directory: int
    standing: int
    at: int
    mono: int
    boot: str
    sync: bool
    in_doubt: bool = False


class BeatReply(Message):
    at: int
    directory: int
    standing: int
    acked_epoch: str | None = None
    acked: int = 0


class Events(Message):
    """Journal lines ``first`` … in order, exact bytes; the last line has a head."""

    bank: str
    epoch: str
    first: int
    lines: list[msgspec.Raw]
    heads: list[Head]


class EventsReply(Message):
    """``ack``: the server has committed all lines up to it. ``need``: send again from here. ``quarantined``: kept as
    evidence, not believed; the bank goes on and its view at the server is frozen."""

    epoch: str
    ack: int
    need: int | None = None
    quarantined: bool = False
    receipt_ms: int | None = None
    receipt: str | None = None


class Claim(Message):
    bank: str
    command: str


class ClaimReply(Message):
    """``go`` is given once, and only before the command's deadline; it is good for CLAIM_VALID_MS at the bank."""

    go: bool
    why: str = ""


class SyncRequest(Message):
    bank: str
    have: int
    content_hash: str


class SyncReply(Message):
    """zlib-compressed on the wire. ``key`` is the bank's own HMAC key, base64."""

    upto: int
    full: bool
    content_hash: str
    key: str
    calendar: Calendar
    people: list[PersonRow]
    credentials: list[CredentialRow]
    rules: list[Rule]
    deletes: list[str]
    more: bool = False


class LiveCommand(Message):
    """Open a door now or never. Sent as a request; the bank claims it before it acts."""

    command: str
    kind: str
    locker: str
    actor: str
    reason: str
    note: str | None = None
    person: str | None = None


class StandingCommand(Message):
    """A change that waits for its bank. ``assignment`` names what it changes (None: the locker must be unassigned)."""

    ordinal: int
    command: str
    kind: str
    locker: str
    actor: str
    reason: str
    not_after_ms: int
    needs_directory: int
    assignment: str | None = None
    person: str | None = None
    mode: str | None = None
    ends_ms: int | None = None
    note: str | None = None


class StandingRequest(Message):
    bank: str
    after: int


class StandingReply(Message):
    commands: list[StandingCommand]


class CommandAnswer(Message):
    """``outcome``: done, refused or unknown. ``events`` carries the lines that the server does not have yet, where
    they fit one batch; otherwise they come by themselves."""

    command: str
    outcome: str
    reason: str | None = None
    unlock: str | None = None
    events: Events | None = None


class ResumeRequest(Message):
    """A controller without a journal asks what the server has of its bank."""

    bank: str


class ResumeReply(Message):
    previous_epoch: str | None
    previous_seq: int
    previous_hash: str | None
    assignments: list[Assigned]
    disabled: list[Disabled]
    answered: list[Answered]
    standing: int


class Nudge(Message):
    """There is something to pull: the newest directory version and standing command."""

    directory: int
    standing: int


_encoder = msgspec.json.Encoder()
_decoders: dict[type[Message], msgspec.json.Decoder[Message]] = {}


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode(kind: type[M], payload: bytes) -> M:
    """Parse ``payload`` as ``kind``. Raises MessageError: `unknown_version`, `trouble` (the peer's own) or `malformed`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)  # type: ignore[assignment]
    try:
        message = decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(payload, error) from None
    if message.v != VERSION:
        raise MessageError("unknown_version", f"message version {message.v}; this release speaks {VERSION}")
    return message  # type: ignore[return-value]


def _explain(payload: bytes, error: Exception) -> MessageError:
    try:
        trouble = msgspec.json.decode(payload, type=Trouble)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return MessageError("malformed", str(error))
    return MessageError("trouble", f"{trouble.error}: {trouble.detail}")
