"""The proof of a `journal.gap`: what a controller must have signed before lines of its journal may be missing.

Whoever shows one has shown that the holder of the journal key wrote, into this very journal, that the range is gone
and from which hash the chain goes on. Nobody else can make one, and one made for a range says nothing of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cubbyhole.domain.chain import head_text, link
from cubbyhole.domain.events import JournalGap
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.signing import is_signed


class FalseGap(ValueError):
    """The proof proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class ProvenGap:
    """Lines ``event.first`` to ``event.last`` are gone, as line ``seq`` with the hash ``line_hash`` says."""

    event: JournalGap
    seq: int
    line_hash: bytes
    hash_after: bytes
    hash_before: bytes | None


def prove(
    bank: str, epoch: str, key: Ed25519PublicKey, before: str, lines: Sequence[bytes], head_hash: str, signature: str
) -> ProvenGap:
    """Check the proof of a gap: ``lines`` from the `journal.gap` to the one that ``signature`` is for, and the hash
    (hex) ``before`` them. Raises FalseGap."""
    try:
        running = _hash(before)
        first = decode_line(lines[0])
    except (LineError, IndexError) as error:
        raise FalseGap(f"the proof of a gap cannot be read: {error}") from None
    event = first.event
    if not isinstance(event, JournalGap) or (first.bank, first.epoch) != (bank, epoch):
        raise FalseGap(f"the proof of a gap is a line {first.type[:40]!r} of bank {first.bank[:24]!r}")
    if not 1 < event.first <= event.last < first.seq:
        raise FalseGap(f"line {first.seq} says that lines {event.first} to {event.last} are gone, which cannot be")
    line_hash = running = link(running, lines[0])
    for raw in lines[1:]:
        running = link(running, raw)
    last = first.seq + len(lines) - 1
    if running.hex() != head_hash or not is_signed(key, head_text(bank, epoch, last, running), signature):
        raise FalseGap("the proof of a gap is not signed by the controller")
    hash_before = None if event.hash_before is None else _hash(event.hash_before)
    return ProvenGap(event, first.seq, line_hash, _hash(event.hash_after), hash_before)


def _hash(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != 32 or raw.hex() != text:
        raise FalseGap("the proof of a gap has a hash that is none")
    return raw
