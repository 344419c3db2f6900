"""The messages between bank and server. JSON, one struct each, every one with a version.

Times are ms since the Unix epoch, hashes and epochs hex, signatures and keys base64. Unknown fields are ignored (a
newer peer may send them); an unknown version is answered with `Trouble`. Limits are part of the protocol.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, cast

import msgspec

from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow
from cubbyhole.domain.events import Answered, Assigned, Disabled
from cubbyhole.domain.rules import Rule

VERSION = 1
MAX_BATCH_LINES = 500
MAX_BATCH_BYTES = 512 * 1024
MAX_STANDING = 100
MAX_CANDIDATES = 200
CLAIM_VALID_MS = 1000

M = TypeVar("M", bound="Message")

Name = Annotated[str, msgspec.Meta(max_length=128)]  # an id, a fixed word, a hash, a signature
Note = Annotated[str, msgspec.Meta(max_length=512)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]  # a sequence, a version, a time in ms


class Message(msgspec.Struct, kw_only=True, omit_defaults=False):
    v: int = VERSION


class Trouble(Message):
    """The answer to a message that cannot be served: ``error`` is a fixed word, ``detail`` for the log."""

    error: Name
    detail: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class MessageError(ValueError):
    """The bytes are no message of this kind; ``word`` is `Trouble.error` for the peer."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


class Head(msgspec.Struct, frozen=True):
    """The controller's signature over the journal up to ``seq`` (`domain.chain.head_text`)."""

    seq: Count
    hash: Name
    signature: Name


class Beat(Message):
    """Once a second from the bank's main loop."""

    bank: Name
    epoch: Name
    seq: Count
    directory: Count
    standing: Count
    at: Count
    mono: Count
    boot: Name
    sync: bool
    in_doubt: bool = False


class BeatReply(Message):
    at: Count
    directory: Count
    standing: Count
    acked_epoch: Name | None = None
    acked: Count = 0


class GapProof(msgspec.Struct):
    """That the controller has signed a `journal.gap`: its line and those behind it up to one with a head, and the hash
    ``before`` them. It is shown before its turn comes, with the first lines behind the range that is gone."""

    before: Name
    lines: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_BATCH_LINES)]
    head: Head


class Events(Message):
    """Journal lines ``first`` … in order, exact bytes; the last line has a head. ``gap``: the lines before ``first``
    that the server lacks are gone for good."""

    bank: Name
    epoch: Name
    first: Count
    lines: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_BATCH_LINES)]
    heads: Annotated[list[Head], msgspec.Meta(min_length=1, max_length=MAX_BATCH_LINES)]
    gap: GapProof | None = None


class EventsReply(Message):
    """``ack``: the server has committed all lines up to it. ``need``: send again from here. ``quarantined``: kept as
    evidence, not believed; the bank goes on and its view at the server is frozen."""

    epoch: Name
    ack: Count
    need: Count | None = None
    quarantined: bool = False
    receipt_ms: Count | None = None
    receipt: Name | None = None


class Claim(Message):
    bank: Name
    command: Name


class ClaimReply(Message):
    """``go`` is given once, and only before the command's deadline; it is good for CLAIM_VALID_MS at the bank."""

    go: bool
    why: Name = ""


class SyncRequest(Message):
    bank: Name
    have: Count
    content_hash: Name


class SyncReply(Message):
    """zlib-compressed on the wire. ``key`` is the bank's own HMAC key, base64."""

    upto: Count
    full: bool
    content_hash: Name
    key: Name
    calendar: Calendar
    people: list[PersonRow]
    credentials: list[CredentialRow]
    rules: list[Rule]
    deletes: list[str]
    more: bool = False


class LiveCommand(Message):
    """Open a door now or never. Sent as a request; the bank claims it before it acts."""

    command: Name
    kind: Name
    locker: Name
    actor: Name
    reason: Note
    note: Note | None = None
    person: Name | None = None


class StandingCommand(Message):
    """A change that waits for its bank. ``assignment`` names what it changes (None: the locker must be unassigned).

    ``candidates`` are lockers to choose from, the best first. ``self_service``: somebody acts for themselves and keeps
    to the rules. ``hold``: what is given lapses unless it is opened in time."""

    ordinal: Count
    command: Name
    kind: Name
    locker: Name
    actor: Name
    reason: Note
    not_after_ms: Count
    needs_directory: Count
    assignment: Name | None = None
    person: Name | None = None
    mode: Name | None = None
    ends_ms: Count | None = None
    note: Note | None = None
    candidates: Annotated[list[Name], msgspec.Meta(max_length=MAX_CANDIDATES)] = []
    self_service: bool = False
    hold: bool = False
    group: Note | None = None
    share: Name | None = None
    once: bool = False


class StandingRequest(Message):
    bank: Name
    after: Count


class StandingReply(Message):
    commands: Annotated[list[StandingCommand], msgspec.Meta(max_length=MAX_STANDING)]


class CommandAnswer(Message):
    """``outcome``: done, refused or unknown. ``events`` carries the lines that the server does not have yet, where
    they fit one batch; otherwise they come by themselves."""

    command: Name
    outcome: Name
    reason: Note | None = None
    unlock: Name | None = None
    events: Events | None = None


class ResumeRequest(Message):
    """A controller without a journal asks what the server has of its bank."""

    bank: Name


class ResumeReply(Message):
    previous_epoch: Name | None
    previous_seq: Count
    previous_hash: Name | None
    assignments: list[Assigned]
    disabled: list[Disabled]
    answered: list[Answered]
    standing: Count


class Nudge(Message):
    """There is something to pull: the newest directory version and standing command."""

    directory: Count
    standing: Count


class _Envelope(msgspec.Struct):
    """What every message has, read before anything else of it: a newer version may have any other shape."""

    v: int
    error: Any = None
    detail: Any = ""


_encoder = msgspec.json.Encoder()
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_decoders: dict[type[Message], msgspec.json.Decoder[Message]] = {}


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode(kind: type[M], payload: bytes) -> M:
    """Parse ``payload`` as ``kind``. Raises MessageError with one of three words.

    `unknown_version`: another version, whatever its shape; `trouble`: the peer's own `Trouble` in place of a reply;
    `malformed`: anything else that is no such message.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        envelope = _envelope_decoder.decode(payload)
        if envelope.v != VERSION:
            raise MessageError("unknown_version", f"message version {envelope.v}; this release speaks {VERSION}")
        if isinstance(envelope.error, str) and kind is not Trouble:
            raise MessageError("trouble", f"{envelope.error[:64]}: {str(envelope.detail)[:400]}")
        return cast(M, decoder.decode(payload))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError("malformed", str(error)[:400]) from None
