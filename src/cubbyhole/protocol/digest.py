"""Digests and commitments: what leaves the server instead of badge numbers, identities and free text."""

from __future__ import annotations

import hashlib
import hmac


def credential_digest(bank_key: bytes, canonical: str) -> str:
    """How a bank's directory names a credential: HMAC-SHA256 under the bank's own 32-byte key, hex.

    ``canonical`` is the form of `domain.credential`. One bank's digests tell nothing at another bank.
    """
    return hmac.digest(bank_key, b"credential\0" + canonical.encode(), "sha256").hex()


def unknown_credential(bank_key: bytes, canonical: str) -> str:
    """How the journal names a badge that is on no file: comparable within one bank, not reversible without its key."""
    return "x_" + hmac.digest(bank_key, b"unknown\0" + canonical.encode(), "sha256").hex()[:24]


def commitment(salt: bytes, text: str) -> str:
    """H(salt ‖ text), hex: binds a text without showing it; deleting the salt unbinds it for ever.

    ``salt`` has 16 to 255 random bytes. Its length is hashed too: no other salt and text can be shown for the hash.
    """
    if not 16 <= len(salt) <= 255:
        raise ValueError(f"a salt has 16 to 255 bytes, this one has {len(salt)}")
    return hashlib.sha256(b"cubbyhole-commitment-v1\0" + bytes((len(salt),)) + salt + text.encode()).hexdigest()
