"""Evidence in an export: lines of a journal that was found later, under the controller's own signature.

They stand beside the journal and are no part of it: what they prove is that the controller wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cubbyhole.domain.chain import head_text, link
from cubbyhole.protocol.export import EvidenceRecord, evidence_text
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.signing import UnusableKey, is_signed, parse_public


class FalseEvidence(ValueError):
    """The evidence proves nothing; the message says why."""


@dataclass(slots=True)
class Evidence:
    """Evidence whose lines come one by one. ``hashes``: by line, 0 lines before ``first`` the hash before them."""

    record: EvidenceRecord
    hashes: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return self.record.last in self.hashes

    def take(self, text: str) -> None:
        """The next line. Raises FalseEvidence."""
        raw, record = text.encode(), self.record
        try:
            line = decode_line(raw)
        except LineError as error:
            raise FalseEvidence(str(error)) from None
        seq = record.first + len(self.hashes) - 1
        if self.is_whole or (line.bank, line.epoch, line.seq) != (record.bank, record.epoch, seq):
            raise FalseEvidence(f"line {line.seq} of epoch {line.epoch} does not belong to the evidence before it")
        self.hashes[seq] = link(self.hashes[seq - 1], raw)
        if seq == record.last:
            self._check()

    def _check(self) -> None:
        record, found = self.record, self.hashes[self.record.last]
        try:
            key = parse_public(record.journal_key)
        except UnusableKey as error:
            raise FalseEvidence(str(error)) from None
        text = head_text(record.bank, record.epoch, record.last, found)
        if found.hex() != record.hash or not is_signed(key, text, record.head):
            lines = f"lines {record.first} to {record.last} of the evidence"
            raise FalseEvidence(f"{lines} are not what controller {record.controller} signed")


def begin(record: EvidenceRecord, bank: str, authority: Ed25519PublicKey) -> Evidence:
    """Evidence of ``bank`` that the server's own signature stands for. Raises FalseEvidence."""
    if record.bank != bank or not is_signed(authority, evidence_text(record), record.signature):
        raise FalseEvidence(f"the evidence of controller {record.controller} is not certified by the given public key")
    try:
        before = bytes.fromhex(record.before)
    except ValueError:
        before = b""
    if len(before) != 32 or not 1 <= record.first <= record.last:
        raise FalseEvidence("the evidence does not say which lines it has")
    return Evidence(record, {record.first - 1: before})
