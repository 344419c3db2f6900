"""The exported journal: a file of JSON lines that anybody can verify with a public key and no server.

The first record is the manifest. Journal lines travel as text inside their record, so that the very bytes that were
hashed survive any JSON tool. Records of one epoch stand in the order of its sequence; a head or receipt may stand
anywhere, a gap before the first line behind it. Evidence stands behind the journal, which it is no part of.
"""

from __future__ import annotations

import msgspec

EXPORT_VERSION = 2
READS_VERSIONS = (1, 2)  # 1: without endorsements and gaps
MAX_RECORD_BYTES = 1024 * 1024


class Manifest(msgspec.Struct, tag="manifest", tag_field="record", kw_only=True):
    """What this file says it is. ``authority`` is the server's public receipt key, base64: a hint, never a proof."""

    v: int
    bank: str
    made_ms: int
    authority: str


class Endorsement(msgspec.Struct, kw_only=True):
    """Who let a controller in: ``by`` made the one-time code ``code`` at ``code_ms``, and at ``enrolled_ms`` the
    controller spent it, with proof that it holds the key."""

    by: str
    code: str
    code_ms: int
    enrolled_ms: int


class KeyRecord(msgspec.Struct, tag="key", tag_field="record", kw_only=True):
    """The server says: from ``since_ms`` on this journal key is ``controller``'s, for this bank, because somebody
    endorsed it (None: not on record, the controller was enrolled under an earlier release)."""

    bank: str
    controller: str
    journal_key: str
    since_ms: int
    signature: str
    endorsed: Endorsement | None = None


class LineRecord(msgspec.Struct, tag="line", tag_field="record", kw_only=True):
    """One journal line, exact text."""

    text: str


class GapRecord(msgspec.Struct, tag="gap", tag_field="record", kw_only=True):
    """Lines ``first`` to ``last`` are gone. What shows it: ``lines``, the `journal.gap` (line ``seq``) and those behind
    it up to the one that ``signature`` is for, with the hash ``before`` them and the ``hash`` of the last."""

    epoch: str
    first: int
    last: int
    seq: int
    before: str
    lines: list[str]
    hash: str
    signature: str


class HeadRecord(msgspec.Struct, tag="head", tag_field="record", kw_only=True):
    """The controller's signature over its journal up to ``seq``."""

    epoch: str
    seq: int
    hash: str
    signature: str


class ReceiptRecord(msgspec.Struct, tag="receipt", tag_field="record", kw_only=True):
    """The server's signature that it had the journal up to ``seq`` at ``received_ms``; auditors keep these."""

    bank: str
    epoch: str
    seq: int
    hash: str
    received_ms: int
    signature: str


class EvidenceRecord(msgspec.Struct, tag="evidence", tag_field="record", kw_only=True):
    """Lines from a journal file that was found later; its lines follow as `EvidenceLineRecord`. They had no effect.

    ``head`` is the controller's signature over the last of them, ``signature`` the server's that it enrolled that
    controller with this key, and that ``by`` imported the file at ``imported_ms``.
    """

    bank: str
    epoch: str
    first: int
    last: int
    before: str
    hash: str
    head: str
    controller: str
    journal_key: str
    file_sha256: str
    imported_ms: int
    by: str
    signature: str


class EvidenceLineRecord(msgspec.Struct, tag="evidence-line", tag_field="record", kw_only=True):
    """The next line of the evidence before it, exact text."""

    text: str


class IdentityRecord(msgspec.Struct, tag="identity", tag_field="record", kw_only=True):
    """Who a pseudonym is: checked against the commitment in `person.bound`. ``salt`` is base64."""

    person: str
    salt: str
    identity: str


Record = (
    Manifest
    | KeyRecord
    | LineRecord
    | GapRecord
    | HeadRecord
    | ReceiptRecord
    | EvidenceRecord
    | EvidenceLineRecord
    | IdentityRecord
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class RecordError(ValueError):
    """The text is no record of an export."""


def key_text(record: KeyRecord) -> bytes:
    """What the server signs to say whose a journal key is and who endorsed it."""
    parts = [record.bank, record.controller, record.journal_key, str(record.since_ms)]
    e = record.endorsed
    if e is not None:
        # The name stands last: whatever is in it, it cannot be read as another part.
        parts += [e.code, str(e.code_ms), str(e.enrolled_ms), e.by]
    version = b"cubbyhole-key-v1" if e is None else b"cubbyhole-key-v2"
    return b"\0".join((version, *(part.encode() for part in parts)))


def evidence_text(record: EvidenceRecord) -> bytes:
    """What the server signs about imported evidence."""
    numbers = (str(record.first), str(record.last), str(record.imported_ms))
    parts = (
        record.bank, record.epoch, *numbers, record.before, record.hash, record.controller, record.journal_key,
        record.file_sha256, record.by,
    )  # fmt: skip
    return b"\0".join((b"cubbyhole-evidence-v1", *(part.encode() for part in parts)))


def encode_record(record: Record) -> bytes:
    """One line of the file, with its end."""
    return _encoder.encode(record) + b"\n"


def decode_record(raw: bytes) -> Record:
    """Parse one line of the file. Raises RecordError."""
    if len(raw) > MAX_RECORD_BYTES:
        raise RecordError(f"a record has at most {MAX_RECORD_BYTES} bytes, this one has {len(raw)}")
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"not a record of an export: {error}") from None
