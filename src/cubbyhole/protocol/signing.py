"""Ed25519 keys for journal heads and receipts (RFC 8032), as raw 32-byte keys in standard base64 text.

Signing goes through libsodium: the signatures are the same bytes, in half the time, and each commit waits for one.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_seed_keypair

from cubbyhole.protocol.fabric.keyfile import write_key_file


class UnusableKey(ValueError):
    """A key file or key text cannot be used; the message says which and why."""


def public_text(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def parse_public(text: str) -> Ed25519PublicKey:
    """Read a public key from base64 text. Raises UnusableKey."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise UnusableKey(f"not an Ed25519 public key in base64: {error}") from None


def load_or_make(path: Path) -> Ed25519PrivateKey:
    """The private key in ``path``, made there with mode 0600 at first use. Raises UnusableKey on a damaged file."""
    if path.exists():
        try:
            return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text().strip(), validate=True))
        except (binascii.Error, ValueError, OSError) as error:
            raise UnusableKey(f"{path.name}: not a private key ({error}); restore it from a backup") from None
    key = Ed25519PrivateKey.generate()
    text = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    write_key_file(path, text)
    return key


def sign(key: Ed25519PrivateKey, text: bytes) -> str:
    return base64.b64encode(crypto_sign(text, _secret(key))[:crypto_sign_BYTES]).decode()


@lru_cache(maxsize=16)
def _secret(key: Ed25519PrivateKey) -> bytes:
    """``key`` as libsodium takes it. A process signs with one or two keys, which it holds for as long as it runs."""
    return crypto_sign_seed_keypair(key.private_bytes_raw())[1]


def is_signed(public: Ed25519PublicKey, text: bytes, signature: str) -> bool:
    """Whether ``signature`` (base64) is ``public``'s over ``text``; anything malformed is not."""
    try:
        public.verify(base64.b64decode(signature, validate=True), text)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
