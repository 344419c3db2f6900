"""The server's own key: for what it keeps encrypted (badge numbers, the banks' keys) and for links that it signs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cubbyhole.protocol.fabric.keyfile import write_key_file

_NONCE_BYTES = 12


class KeyDamaged(Exception):
    """The key file or something sealed with it cannot be used; the message says what to do."""


class SealingKey:
    """AES-256-GCM for sealing, HMAC-SHA256 for finding a sealed number without opening all of them, and for signing."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise KeyDamaged(f"a sealing key has 32 bytes, this one has {len(key)}")
        self._cipher = AESGCM(hashlib.sha256(b"cubbyhole-seal\0" + key).digest())
        self._lookup = hashlib.sha256(b"cubbyhole-lookup\0" + key).digest()
        self._sign = hashlib.sha256(b"cubbyhole-sign\0" + key).digest()

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Encrypt ``content``; it opens only for the same ``purpose`` (e.g. the row it belongs to)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Raises KeyDamaged where the key or the purpose is another."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise KeyDamaged(
                "something in the database was sealed with another key: restore keys/sealing.key from the backup "
                "that belongs to this database"
            ) from None

    def lookup(self, canonical: str) -> str:
        """What finds a credential by its canonical number, hex."""
        return hmac.new(self._lookup, canonical.encode(), hashlib.sha256).hexdigest()

    def sign(self, purpose: str, content: bytes) -> bytes:
        """32 bytes that only this server can make for this ``content`` and ``purpose`` (without a NUL)."""
        return hmac.new(self._sign, purpose.encode() + b"\0" + content, hashlib.sha256).digest()


def load_or_make(path: Path) -> SealingKey:
    """The key in ``path``, made there (mode 0600) at first use. Raises KeyDamaged."""
    try:
        return SealingKey(base64.b64decode(path.read_text().strip(), validate=True))
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = secrets.token_bytes(32)
        write_key_file(path, base64.b64encode(key))
        return SealingKey(key)
    except (OSError, binascii.Error, ValueError) as error:
        raise KeyDamaged(f"{path} cannot be read as a key ({error}); restore it from a backup") from None
