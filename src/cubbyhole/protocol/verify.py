"""Verifies an exported journal with nothing but the file, a public key and, if there are any, receipts from elsewhere.

What is proved and what is not is part of the answer. Without receipts that were kept outside the operator's reach a
chain that is intact to line N says nothing about lines behind N, nor about whole epochs that were left out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import genesis, head_text, link, receipt_text
from cubbyhole.protocol.digest import commitment
from cubbyhole.protocol.evidence import Evidence, FalseEvidence, begin
from cubbyhole.protocol.export import (
    READS_VERSIONS,
    EvidenceLineRecord,
    EvidenceRecord,
    GapRecord,
    HeadRecord,
    IdentityRecord,
    KeyRecord,
    LineRecord,
    Manifest,
    ReceiptRecord,
    RecordError,
    decode_record,
    key_text,
)  # fmt: skip
from cubbyhole.protocol.gap import FalseGap, ProvenGap, prove
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.signing import UnusableKey, is_signed, parse_public
from cubbyhole.protocol.verdict import Epoch as Epoch
from cubbyhole.protocol.verdict import Verdict as Verdict
from cubbyhole.protocol.verdict import Wrong, when


def verify(lines: Iterable[bytes], authority: Ed25519PublicKey, receipts: Iterable[ReceiptRecord] = ()) -> Verdict:
    """Check a whole export. ``receipts`` are the ones that the auditor kept; those in the file count for nothing more
    than the operator's word. Never raises on bad input: the verdict says what is wrong."""
    check = _Check(authority, list(receipts))
    try:
        for number, raw in enumerate(lines, 1):
            if raw.strip():
                check.take(number, raw.rstrip(b"\r\n"))
        check.finish()
    except Wrong as wrong:
        return Verdict(False, check.bank, wrong.line, wrong.why, check.lines, list(check.epochs.values()))
    return check.verdict()


class _Check:
    def __init__(self, authority: Ed25519PublicKey, receipts: list[ReceiptRecord]) -> None:
        self.authority, self.kept = authority, receipts
        self.bank, self.lines = "", 0
        self.epochs: dict[str, Epoch] = {}
        self._current: Epoch | None = None
        self._keys: dict[str, KeyRecord] = {}  # certified journal keys
        self._heads: list[tuple[int, HeadRecord]] = []
        self._bound: dict[str, set[str]] = {}
        self._identities: list[tuple[int, IdentityRecord]] = []
        self._file_lines: dict[tuple[str, int], int] = {}
        self._gaps: dict[tuple[str, int], tuple[int, GapRecord]] = {}  # by epoch and first line
        self._had: list[tuple[str, int]] = []  # receipts for lines that are gone
        self._evidence: list[Evidence] = []
        self._promised: list[tuple[int, str, ProvenGap]] = []

    def take(self, number: int, raw: bytes) -> None:
        try:
            record = decode_record(raw)
        except RecordError as error:
            raise Wrong(number, str(error)) from None
        if not self.bank and not isinstance(record, Manifest):
            raise Wrong(number, "the first record must be the manifest")
        match record:
            case Manifest():
                if self.bank:
                    raise Wrong(number, "a second manifest")
                if record.v not in READS_VERSIONS:
                    raise Wrong(number, f"export version {record.v}; this release reads up to {READS_VERSIONS[-1]}")
                self.bank = record.bank
            case KeyRecord():
                if record.bank != self.bank or not is_signed(self.authority, key_text(record), record.signature):
                    raise Wrong(
                        number, f"the key of controller {record.controller} is not certified by the given public key"
                    )
                self._keys[record.journal_key] = record
            case LineRecord():
                self._line(number, record.text)
            case GapRecord():
                self._gaps[record.epoch, record.first] = number, record
            case HeadRecord():
                self._heads.append((number, record))
            case ReceiptRecord():
                if not self._is_ours(record):
                    raise Wrong(number, f"a receipt for line {record.seq} is not signed by the given public key")
            case EvidenceRecord() | EvidenceLineRecord():
                self._found(number, record)
            case IdentityRecord():
                self._identities.append((number, record))

    def _found(self, number: int, record: EvidenceRecord | EvidenceLineRecord) -> None:
        open_ = self._evidence[-1] if self._evidence else None
        try:
            if isinstance(record, EvidenceLineRecord):
                if open_ is None:
                    raise FalseEvidence("a line of evidence before any evidence")
                open_.take(record.text)
            else:
                self._evidence.append(begin(record, self.bank, self.authority))
        except FalseEvidence as error:
            raise Wrong(number, str(error)) from None

    def _line(self, number: int, text: str) -> None:
        raw = text.encode()
        try:
            line = decode_line(raw)
        except LineError as error:
            raise Wrong(number, str(error)) from None
        if line.bank != self.bank:
            raise Wrong(number, f"this line is of bank {line.bank}, the file is of bank {self.bank}")
        epoch = self._current
        if epoch is None or line.epoch != epoch.epoch:
            if line.epoch in self.epochs:
                raise Wrong(number, f"epoch {line.epoch} goes on after another began: lines were reordered")
            started = line.event
            if line.seq != 1 or not isinstance(started, ev.EpochStarted):
                raise Wrong(
                    number,
                    f"epoch {line.epoch} begins with line {line.seq} instead of epoch.started: lines are missing",
                )
            epoch = self._current = self.epochs[line.epoch] = Epoch(
                line.epoch,
                number,
                started.journal_key,
                started.previous_epoch,
                started.previous_seq,
                started.previous_hash,
            )
            epoch.hashes[0] = genesis(self.bank, line.epoch)
        if line.seq != epoch.last + 1:
            self._step_over(epoch, line.seq)
        if line.seq != epoch.last + 1:
            raise Wrong(number, f"line {line.seq} follows line {epoch.last}: lines are missing, doubled or reordered")
        epoch.hashes[line.seq] = link(epoch.hashes[epoch.last], raw)
        epoch.last = line.seq
        self._file_lines[epoch.epoch, line.seq] = number
        self.lines += 1
        if isinstance(line.event, ev.PersonBound):
            self._bound.setdefault(line.event.person, set()).add(line.event.commitment)

    def _step_over(self, epoch: Epoch, seq: int) -> None:
        """Lines are missing before line ``seq``: only the controller's own signature may say so."""
        number, record = self._gaps.pop((epoch.epoch, epoch.last + 1), (0, None))
        if record is None:
            return
        try:
            lines = [text.encode() for text in record.lines]
            gap = prove(
                self.bank, epoch.epoch, parse_public(epoch.journal_key), record.before, lines, record.hash,
                record.signature,
            )  # fmt: skip
        except (FalseGap, UnusableKey) as error:
            raise Wrong(number, str(error)) from None
        said = gap.event.first, gap.event.last, gap.seq
        if not said[0] <= record.first or (record.last, record.seq) != said[1:] or record.last != seq - 1:
            raise Wrong(
                number, f"lines {record.first} to {seq - 1} are missing; the controller says {said[0]}-{said[1]}"
            )
        if record.first == gap.event.first and gap.hash_before not in (None, epoch.hashes[epoch.last]):
            raise Wrong(number, f"line {epoch.last} is not the one that the gap follows")
        epoch.gone.append((record.first, record.last, gap.seq))
        epoch.last = record.last
        epoch.hashes[record.last] = gap.hash_after
        self._promised.append((number, epoch.epoch, gap))

    def finish(self) -> None:
        if not self.bank:
            raise Wrong(0, "the file is empty")
        self._check_keys()
        for number, name, gap in self._promised:
            epoch = self.epochs[name]
            if epoch.hashes.get(gap.seq, gap.line_hash) != gap.line_hash and not epoch.is_gone(gap.seq):
                raise Wrong(number, f"line {gap.seq} is not the one in which the controller says that lines are gone")
        for number, record in self._gaps.values():
            raise Wrong(number, f"no line of the file follows the gap of lines {record.first} to {record.last}")
        self._check_heads()
        self._check_epochs()
        self._check_receipts()
        for found in self._evidence:
            if not found.is_whole:
                raise Wrong(0, f"the evidence ends before line {found.record.last} of epoch {found.record.epoch}")
        for number, identity in self._identities:
            self._check_identity(number, identity)

    def _check_keys(self) -> None:
        for epoch in self.epochs.values():
            record = self._keys.get(epoch.journal_key)
            if record is None:
                raise Wrong(epoch.first_file_line, f"epoch {epoch.epoch} is signed with a key that nothing certifies")
            epoch.endorsed = record.endorsed

    def _check_heads(self) -> None:
        for number, head in sorted(self._heads, key=lambda h: h[1].seq):
            epoch = self.epochs.get(head.epoch)
            if epoch is None:
                raise Wrong(number, f"a head of epoch {head.epoch}, which is not in the file")
            if not 1 <= head.seq <= epoch.last:
                raise Wrong(
                    number, f"a head for line {head.seq}, but the epoch ends at line {epoch.last}: the tail was cut"
                )
            at = self._file_lines.get((head.epoch, head.seq), number)
            if head.seq not in epoch.hashes:
                raise Wrong(number, f"a head for line {head.seq}, which is among the lines that are gone")
            found = epoch.hashes[head.seq]
            if found.hex() != head.hash:
                raise Wrong(
                    self._first_after(epoch),
                    f"lines {epoch.signed + 1} to {head.seq} are not what the controller signed",
                )
            try:
                key = parse_public(epoch.journal_key)
            except UnusableKey as error:
                raise Wrong(epoch.first_file_line, str(error)) from None
            if not is_signed(key, head_text(self.bank, head.epoch, head.seq, found), head.signature):
                raise Wrong(at, f"the controller's signature on line {head.seq} is false")
            epoch.signed = head.seq
        for epoch in self.epochs.values():
            if epoch.signed < epoch.last:
                raise Wrong(
                    self._first_after(epoch),
                    f"lines {epoch.signed + 1} to {epoch.last} are not signed",
                )

    def _first_after(self, epoch: Epoch) -> int:
        seq = min(epoch.signed + 1, epoch.last)
        behind = [last + 1 for first, last, _ in epoch.gone if first <= seq <= last]
        return self._file_lines[epoch.epoch, behind[0] if behind else seq]

    def _check_epochs(self) -> None:
        for index, epoch in enumerate(self.epochs.values()):
            if epoch.previous_epoch is None:
                if index:
                    raise Wrong(epoch.first_file_line, f"epoch {epoch.epoch} does not say which epoch it follows")
                continue
            before = self.epochs.get(epoch.previous_epoch)
            if before is None:
                raise Wrong(epoch.first_file_line, f"epoch {epoch.previous_epoch}, which this one follows, is missing")
            if epoch.previous_seq > before.last:
                raise Wrong(
                    epoch.first_file_line,
                    f"epoch {before.epoch} had at least {epoch.previous_seq} lines; the file has {before.last}",
                )
            if before.is_gone(epoch.previous_seq):
                raise Wrong(
                    epoch.first_file_line,
                    f"line {epoch.previous_seq} of epoch {before.epoch}, which this epoch follows, is gone",
                )
            if before.hashes[epoch.previous_seq].hex() != epoch.previous_hash:
                raise Wrong(
                    epoch.first_file_line,
                    f"line {epoch.previous_seq} of epoch {before.epoch} is not the one that this epoch follows",
                )

    def _check_receipts(self) -> None:
        for receipt in self.kept:
            if receipt.bank != self.bank:
                continue
            if not self._is_ours(receipt):
                raise Wrong(0, f"the kept receipt for line {receipt.seq} is not signed by the given public key")
            epoch = self.epochs.get(receipt.epoch)
            if epoch is None:
                raise Wrong(0, f"a receipt names epoch {receipt.epoch}, which is missing from the file")
            if receipt.seq > epoch.last:
                at = self._file_lines[epoch.epoch, epoch.last]
                raise Wrong(
                    at,
                    f"the server had line {receipt.seq} of this epoch; the file ends at {epoch.last}: the tail was cut",
                )
            if epoch.is_gone(receipt.seq):
                self._had.append((epoch.epoch, receipt.seq))
                continue
            if epoch.hashes[receipt.seq].hex() != receipt.hash:
                at = self._file_lines.get((epoch.epoch, receipt.seq), 0)
                raise Wrong(at, f"up to line {receipt.seq} the journal is not the one that the receipt was given for")
            epoch.receipted = max(epoch.receipted, receipt.seq)

    def _check_identity(self, number: int, identity: IdentityRecord) -> None:
        try:
            salt = base64.b64decode(identity.salt, validate=True)
        except (binascii.Error, ValueError):
            raise Wrong(number, "the salt is not base64") from None
        if commitment(salt, identity.identity) not in self._bound.get(identity.person, set()):
            raise Wrong(number, f"{identity.person} was not bound to this identity: it was swapped")

    def _is_ours(self, receipt: ReceiptRecord) -> bool:
        try:
            text = receipt_text(
                receipt.bank, receipt.epoch, receipt.seq, bytes.fromhex(receipt.hash), receipt.received_ms
            )
        except (ValueError, OverflowError):
            return False
        return is_signed(self.authority, text, receipt.signature)

    def _beside(self, found: Evidence) -> tuple[str, bool]:
        """What evidence says beside the journal, and whether it contradicts it."""
        e, epoch = found.record, self.epochs.get(found.record.epoch)
        lines = f"lines {e.first} to {e.last}" if e.last > e.first else f"line {e.first}"
        text = f"evidence without effect: {lines} of epoch {e.epoch}, signed by controller {e.controller},"
        text += f" from a file that {e.by} imported on {when(e.imported_ms)}"
        known = epoch.hashes if epoch is not None else {}
        other = [seq for seq, line_hash in found.hashes.items() if known.get(seq, line_hash) != line_hash]
        if not other:
            return text, False
        return f"{text}; the journal has another line {other[0]}: the controller signed two different histories", True

    def verdict(self) -> Verdict:
        gone = any(epoch.gone for epoch in self.epochs.values())
        whole = "complete but for what is named as gone" if gone else "complete between themselves"
        proved = [f"{self.lines} lines in {len(self.epochs)} epochs are unchanged, {whole} and in order"]
        missing: list[str] = []
        for epoch in self.epochs.values():
            proved.append(f"epoch {epoch.epoch}: lines {epoch.ranges()} were signed by the certified controller")
            for first, last, seq in epoch.gone:
                text = (
                    f"epoch {epoch.epoch}: lines {first} to {last} are gone; the controller says so itself, signed in"
                )
                had = [n for name, n in self._had if name == epoch.epoch and first <= n <= last]
                kept = f"; a kept receipt shows that the server once had them to line {max(had)}" if had else ""
                missing.append(f"{text} line {seq}{kept}")
            e = epoch.endorsed
            if e is None:
                missing.append(f"epoch {epoch.epoch}: the file does not say who endorsed its controller's key")
            else:
                proved.append(
                    f"epoch {epoch.epoch}: as the server signed it, its key was endorsed by {e.by}, who made the"
                    f" one-time code {e.code} on {when(e.code_ms)}; the controller spent it on {when(e.enrolled_ms)}"
                )
            if epoch.receipted:
                proved.append(f"epoch {epoch.epoch}: kept receipts show that it reached line {epoch.receipted}")
            if epoch.receipted < epoch.last:
                missing.append(
                    f"epoch {epoch.epoch}: intact to line {epoch.last}; nothing shows that {epoch.last} is the last"
                )
        for found in self._evidence:
            text, contradicts = self._beside(found)
            (missing if contradicts else proved).append(text)
        if not self.kept:
            missing.append(
                "no receipts were given: a whole epoch at the end could have been left out, "
                "or all of it made anew by whoever holds the keys"
            )
        if self._identities:
            proved.append(f"{len(self._identities)} pseudonyms belong to the identities given with them")
        return Verdict(
            True, self.bank, lines=self.lines, epochs=list(self.epochs.values()), proved=proved, not_proved=missing
        )
