"""A bank's journal as a file of records that verify with a public key and no server (`protocol.export`)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row, select

from cubbyhole.domain import events as ev
from cubbyhole.protocol.digest import commitment
from cubbyhole.protocol.export import (
    EXPORT_VERSION,
    Endorsement,
    EvidenceLineRecord,
    EvidenceRecord,
    GapRecord,
    HeadRecord,
    IdentityRecord,
    KeyRecord,
    LineRecord,
    Manifest,
    ReceiptRecord,
    encode_record,
    evidence_text,
    key_text,
)
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.messages import GapProof
from cubbyhole.protocol.signing import public_text, sign
from cubbyhole.server.directory.rows import identity_of, people_by_name
from cubbyhole.server.persistence.tables import (
    banks,
    enrolments,
    epochs,
    events,
    evidence,
    evidence_lines,
    gaps,
    heads,
)

LINES_AT_ONCE = 1000


class NoSuchBank(ValueError):
    """There is no bank of that id; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch: str
    controller: str
    journal_key: str
    started_ms: int
    code: str | None
    made_by: str | None
    made_ms: int | None
    enrolled_ms: int | None


def export_journal(
    connection: Connection, receipt_key: Ed25519PrivateKey, bank: str, made_ms: int, *, identities: bool = False
) -> Iterator[bytes]:
    """The whole file, a record at a time, of one snapshot. Raises NoSuchBank before the first one.

    ``identities``: also who the pseudonyms are, as far as their names are still those that the journal was bound to.
    Such a file is personal data.
    """
    found = _epochs(connection, bank)
    return _records(connection, receipt_key, bank, made_ms, found, identities)


def receipts(connection: Connection, bank: str, *, every: bool = False) -> Iterator[ReceiptRecord]:
    """What auditors keep: the newest receipt of each epoch, or every one. Raises NoSuchBank before the first one."""
    found = _epochs(connection, bank)
    return _receipts(connection, bank, found, every)


def _records(
    connection: Connection, key: Ed25519PrivateKey, bank: str, made_ms: int, found: list[_Epoch], identities: bool
) -> Iterator[bytes]:
    yield encode_record(Manifest(v=EXPORT_VERSION, bank=bank, made_ms=made_ms, authority=public_text(key)))
    bound: dict[str, set[str]] = {}
    for epoch in found:
        yield encode_record(_key_record(key, bank, epoch))
        yield from map(encode_record, _gaps(connection, bank, epoch.epoch))
        for type_, raw in _lines(connection, bank, epoch.epoch):
            if identities and type_ == ev.PersonBound.TYPE:
                _remember(bound, raw)
            yield encode_record(LineRecord(text=raw.decode()))
        for row in _heads(connection, bank, epoch.epoch):
            yield encode_record(HeadRecord(epoch=epoch.epoch, seq=row.seq, hash=row.hash, signature=row.signature))
            yield encode_record(_receipt(bank, epoch.epoch, row))
    yield from map(encode_record, _evidence(connection, key, bank))
    if identities:
        yield from _identities(connection, bound)


def _receipts(connection: Connection, bank: str, found: list[_Epoch], every: bool) -> Iterator[ReceiptRecord]:
    for epoch in found:
        newest = None
        for row in _heads(connection, bank, epoch.epoch):
            newest = _receipt(bank, epoch.epoch, row)
            if every:
                yield newest
        if newest is not None and not every:
            yield newest


def _epochs(connection: Connection, bank: str) -> list[_Epoch]:
    """In the order in which they came, which is the order in which they follow each other."""
    known = list(connection.execute(select(banks.c.bank).order_by(banks.c.bank)).scalars())
    if bank not in known:
        raise NoSuchBank(f"There is no bank {bank[:24]!r}; there is {', '.join(known) or 'none yet'}.")
    query = (
        select(
            epochs.c.epoch, epochs.c.controller, epochs.c.journal_key, epochs.c.started_ms, enrolments.c.code_id,
            enrolments.c.made_by, enrolments.c.made_ms, enrolments.c.used_ms,
        )
        .join(events, (events.c.bank == epochs.c.bank) & (events.c.epoch == epochs.c.epoch) & (events.c.seq == 1))
        .outerjoin(enrolments, enrolments.c.controller == epochs.c.controller)
        .where(epochs.c.bank == bank)
        .order_by(events.c.ordinal)
    )  # fmt: skip
    return [_Epoch(*row) for row in connection.execute(query)]


def _key_record(key: Ed25519PrivateKey, bank: str, epoch: _Epoch) -> KeyRecord:
    record = KeyRecord(
        bank=bank, controller=epoch.controller, journal_key=epoch.journal_key, since_ms=epoch.started_ms, signature="",
        endorsed=_endorsement(epoch),
    )  # fmt: skip
    record.signature = sign(key, key_text(record))
    return record


def _endorsement(epoch: _Epoch) -> Endorsement | None:
    if epoch.code is None or epoch.made_by is None or epoch.made_ms is None or epoch.enrolled_ms is None:
        return None
    return Endorsement(by=epoch.made_by, code=epoch.code, code_ms=epoch.made_ms, enrolled_ms=epoch.enrolled_ms)


def _lines(connection: Connection, bank: str, epoch: str) -> Iterator[tuple[str, bytes]]:
    """Type and bytes of each line, a thousand at a time: a journal may be larger than the memory."""
    after, more = 0, True
    while more:
        query = (
            select(events.c.seq, events.c.type, events.c.line)
            .where(events.c.bank == bank, events.c.epoch == epoch, events.c.seq > after)
            .order_by(events.c.seq)
            .limit(LINES_AT_ONCE)
        )
        rows = connection.execute(query).all()
        for seq, type_, raw in rows:
            after = seq
            yield type_, bytes(raw)
        more = len(rows) == LINES_AT_ONCE


def _gaps(connection: Connection, bank: str, epoch: str) -> Iterator[GapRecord]:
    query = select(gaps).where(gaps.c.bank == bank, gaps.c.epoch == epoch).order_by(gaps.c.first)
    for row in connection.execute(query).mappings():
        proof = msgspec.json.decode(row["proof"], type=GapProof)
        yield GapRecord(
            epoch=epoch, first=row["first"], last=row["last"], seq=row["seq"], before=proof.before,
            lines=[bytes(part).decode() for part in proof.lines], hash=proof.head.hash, signature=proof.head.signature,
        )  # fmt: skip


def _evidence(
    connection: Connection, key: Ed25519PrivateKey, bank: str
) -> Iterator[EvidenceRecord | EvidenceLineRecord]:
    query = select(evidence).where(evidence.c.bank == bank).order_by(evidence.c.id)
    for row in connection.execute(query).mappings().all():
        record = EvidenceRecord(
            bank=bank, epoch=row["epoch"], first=row["first"], last=row["last"], before=row["before"], hash=row["hash"],
            head=row["signature"], controller=row["controller"], journal_key=row["journal_key"],
            file_sha256=row["file_sha256"], imported_ms=row["imported_ms"], by=row["imported_by"], signature="",
        )  # fmt: skip
        record.signature = sign(key, evidence_text(record))
        yield record
        after, more = row["first"] - 1, True
        while more:
            part = (
                select(evidence_lines.c.seq, evidence_lines.c.line)
                .where(evidence_lines.c.evidence == row["id"], evidence_lines.c.seq > after)
                .order_by(evidence_lines.c.seq)
                .limit(LINES_AT_ONCE)
            )
            rows = connection.execute(part).all()
            for seq, raw in rows:
                after = seq
                yield EvidenceLineRecord(text=bytes(raw).decode())
            more = len(rows) == LINES_AT_ONCE


def _heads(connection: Connection, bank: str, epoch: str) -> Iterator[Row[int, str, str, int, str]]:
    after, more = 0, True
    while more:
        query = (
            select(heads.c.seq, heads.c.hash, heads.c.signature, heads.c.received_ms, heads.c.receipt)
            .where(heads.c.bank == bank, heads.c.epoch == epoch, heads.c.seq > after)
            .order_by(heads.c.seq)
            .limit(LINES_AT_ONCE)
        )
        rows = connection.execute(query).all()
        for row in rows:
            after = row.seq
            yield row
        more = len(rows) == LINES_AT_ONCE


def _receipt(bank: str, epoch: str, row: Row[int, str, str, int, str]) -> ReceiptRecord:
    return ReceiptRecord(
        bank=bank, epoch=epoch, seq=row.seq, hash=row.hash, received_ms=row.received_ms, signature=row.receipt
    )


def _remember(bound: dict[str, set[str]], raw: bytes) -> None:
    try:
        event = decode_line(raw).event
    except LineError:
        return  # the verifier names such a line
    if isinstance(event, ev.PersonBound):
        bound.setdefault(event.person, set()).add(event.commitment)


def _identities(connection: Connection, bound: dict[str, set[str]]) -> Iterator[bytes]:
    """Who was erased has no salt any more and stays a pseudonym; so does an earlier name of somebody."""
    for person, row in sorted(people_by_name(connection, sorted(bound)).items()):
        identity = identity_of(row)
        if commitment(row["salt"], identity) in bound[person]:
            salt = base64.b64encode(row["salt"]).decode()
            yield encode_record(IdentityRecord(person=person, salt=salt, identity=identity))
