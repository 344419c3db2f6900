"""A journal that was found is kept as evidence and compared with what the server has. It never changes anything else.

Only lines under the signature of a controller that this server enrolled are kept, and of those only what the server
does not have itself, or has otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, insert, select

from cubbyhole.domain.chain import head_text
from cubbyhole.protocol.signing import UnusableKey, is_signed, parse_public
from cubbyhole.server.audit.found import FoundEpoch, NoEvidence, Stretch, file_sha256, read_found
from cubbyhole.server.persistence.tables import banks, controllers, epochs, events, evidence, evidence_lines
from cubbyhole.server.persistence.unit import UnitOfWork

Ranges = list[tuple[int, int]]


@dataclass(slots=True)
class Compared:
    """One epoch of the file beside the server's. All ranges are of lines, both ends included.

    ``same``: the server has exactly these. ``beyond``: behind the last line that it has of this epoch. ``missing``:
    lines that it lacks before that (they were gone). ``contradictions``: it has other lines under these numbers, and
    both are signed. ``damaged``: in the file and of no use. ``is_known``: the server has this epoch at all.
    """

    epoch: str
    controller: str
    is_known: bool
    same: Ranges = field(default_factory=list)
    beyond: Ranges = field(default_factory=list)
    missing: Ranges = field(default_factory=list)
    contradictions: Ranges = field(default_factory=list)
    damaged: Ranges = field(default_factory=list)
    kept: int = 0  # lines that are evidence now
    kept_before: int = 0  # lines that were already


@dataclass(slots=True)
class Imported:
    """What came of a file."""

    bank: str
    file_sha256: str
    epochs: list[Compared]


def import_evidence(work: UnitOfWork, path: Path, authority: Ed25519PublicKey, actor: str) -> Imported:
    """Keep what ``path`` proves and say how it compares. The same file again changes nothing. Raises NoEvidence."""
    digest = file_sha256(path)
    found = [epoch for epoch in read_found(path, authority) if epoch.stretches]
    bank = _one_bank(work.connection, found)
    compared = [_import_epoch(work, epoch, path.name, digest, actor) for epoch in found]
    work.audit(actor, "evidence.imported", bank, file=path.name, sha256=digest, lines=sum(c.kept for c in compared))
    return Imported(bank, digest, compared)


def _one_bank(connection: Connection, found: Iterable[FoundEpoch]) -> str:
    named = sorted({epoch.bank for epoch in found})
    if len(named) != 1:
        raise NoEvidence(f"the file has lines of several banks ({', '.join(named)}): no journal has")
    known = list(connection.execute(select(banks.c.bank).order_by(banks.c.bank)).scalars())
    if named[0] not in known:
        raise NoEvidence(f"the journal is of bank {named[0]}; this server has {', '.join(known) or 'no bank yet'}")
    return named[0]


def _import_epoch(work: UnitOfWork, found: FoundEpoch, name: str, digest: str, actor: str) -> Compared:
    controller, key_text, is_known = _whose(work.connection, found)
    try:
        key = parse_public(key_text)
    except UnusableKey as error:
        raise NoEvidence(f"the key of controller {controller} cannot be used: {error}") from None
    for stretch in found.stretches:
        last = max(stretch.signatures)
        text = head_text(found.bank, found.epoch, last, stretch.hashes[last - stretch.first])
        if not is_signed(key, text, stretch.signatures[last]):
            raise NoEvidence(
                f"line {last} of epoch {found.epoch} is not signed by controller {controller}, whose journal it says it"
                " is: the file was changed, or another key made it"
            )
    have = _hashes(work.connection, found)
    compared = Compared(found.epoch, controller, is_known, damaged=list(found.damaged))
    for stretch in found.stretches:
        _compare(compared, stretch, have)
        for first, last in _news(stretch, have):
            row = {
                "bank": found.bank, "epoch": found.epoch, "controller": controller, "journal_key": key_text,
                "file_name": name[:120], "file_sha256": digest, "imported_by": actor[:120],
            }  # fmt: skip
            if _keep(work, row, stretch, first, last):
                compared.kept += last - first + 1
            else:
                compared.kept_before += last - first + 1
    return compared


def _whose(connection: Connection, found: FoundEpoch) -> tuple[str, str, bool]:
    """Controller and journal key of an epoch, and whether the server has lines of it."""
    query = select(epochs.c.controller, epochs.c.journal_key).where(
        epochs.c.bank == found.bank, epochs.c.epoch == found.epoch
    )
    row = connection.execute(query).one_or_none()
    if row is not None:
        return str(row[0]), str(row[1]), True
    started = found.started
    if started is None:
        raise NoEvidence(f"the server does not know epoch {found.epoch}, and its first line is not in the file")
    enrolled = select(controllers.c.journal_key).where(controllers.c.controller == started.controller)
    if connection.execute(enrolled).scalar() != started.journal_key:
        raise NoEvidence(f"epoch {found.epoch} is signed with a key that this server never enrolled")
    return started.controller, started.journal_key, False


def _hashes(connection: Connection, found: FoundEpoch) -> dict[int, bytes]:
    query = select(events.c.seq, events.c.hash).where(events.c.bank == found.bank, events.c.epoch == found.epoch)
    return {seq: bytes(line_hash) for seq, line_hash in connection.execute(query)}


def _compare(compared: Compared, stretch: Stretch, have: dict[int, bytes]) -> None:
    newest = max(have, default=0)
    for seq, line_hash in enumerate(stretch.hashes, stretch.first):
        if have.get(seq) == line_hash:
            ranges = compared.same
        elif seq in have:
            ranges = compared.contradictions
        else:
            ranges = compared.beyond if seq > newest else compared.missing
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = ranges[-1][0], seq
        else:
            ranges.append((seq, seq))


def _news(stretch: Stretch, have: dict[int, bytes]) -> Ranges:
    """Runs of lines that the server does not have like this, each up to a signature."""
    runs: Ranges = []
    first = None
    for seq, line_hash in enumerate(stretch.hashes, stretch.first):
        if first is None and have.get(seq) != line_hash:
            first = seq
        next_hash = stretch.hashes[seq + 1 - stretch.first] if seq < stretch.last else None
        if first is not None and seq in stretch.signatures and (next_hash is None or have.get(seq + 1) == next_hash):
            runs.append((first, seq))
            first = None
    return runs


def _keep(work: UnitOfWork, row: dict[str, Any], stretch: Stretch, first: int, last: int) -> bool:
    """Store a run; False where it is there already."""
    at, end = first - stretch.first, last - stretch.first
    line_hash = stretch.hashes[end].hex()
    there = select(evidence.c.id).where(
        evidence.c.bank == row["bank"], evidence.c.epoch == row["epoch"], evidence.c.first == first,
        evidence.c.hash == line_hash,
    )  # fmt: skip
    if work.connection.execute(there).scalar() is not None:
        return False
    before = stretch.before if at == 0 else stretch.hashes[at - 1]
    made = work.connection.execute(
        insert(evidence).values(
            **row, first=first, last=last, before=before.hex(), hash=line_hash, signature=stretch.signatures[last],
            imported_ms=work.now_ms,
        ).returning(evidence.c.id)
    ).scalar_one()  # fmt: skip
    rows = [
        {"evidence": made, "seq": seq, "line": raw}
        for seq, raw in enumerate(stretch.lines[at : end + 1], first)
    ]  # fmt: skip
    work.connection.execute(insert(evidence_lines), rows)
    return True
