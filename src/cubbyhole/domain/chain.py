"""The hash chain of a journal and the texts that are signed over it.

A line's hash is SHA-256 of the previous hash and the line's exact bytes; the first line's previous hash depends on
bank and epoch, so that no journal can pass for another's.
"""

from __future__ import annotations

import hashlib


def genesis(bank: str, epoch: str) -> bytes:
    """The hash that stands before line 1."""
    return hashlib.sha256(b"cubbyhole-journal-v1\0" + bank.encode() + b"\0" + epoch.encode()).digest()


def link(previous: bytes, line: bytes) -> bytes:
    """The hash of ``line`` behind the line whose hash is ``previous`` (32 bytes)."""
    return hashlib.sha256(previous + line).digest()


def head_text(bank: str, epoch: str, seq: int, line_hash: bytes) -> bytes:
    """What the controller signs for each commit."""
    return b"\0".join((b"cubbyhole-head-v1", bank.encode(), epoch.encode(), seq.to_bytes(8, "big") + line_hash))


def receipt_text(bank: str, epoch: str, seq: int, line_hash: bytes, received_ms: int) -> bytes:
    """What the server signs to say that it had the journal up to this head, and when."""
    body = seq.to_bytes(8, "big") + line_hash + received_ms.to_bytes(8, "big")
    return b"\0".join((b"cubbyhole-receipt-v1", bank.encode(), epoch.encode(), body))
