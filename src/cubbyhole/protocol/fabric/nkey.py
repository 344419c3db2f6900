"""NATS keys ("nkeys"): Ed25519 keys in base32, with a byte that says what they are for and a CRC-16.

Seeds are made and read by the nkeys package. It cannot check a signature with only the public key at hand, so that is
done here. Format: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import nkeys  # type: ignore[import-untyped,unused-ignore]
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cubbyhole.protocol.fabric.keyfile import write_key_file

ACCOUNT: int = nkeys.PREFIX_BYTE_ACCOUNT
USER: int = nkeys.PREFIX_BYTE_USER
SERVER: int = nkeys.PREFIX_BYTE_SERVER

_PUBLIC_CHARS = 56


class BadNkey(ValueError):
    """The text is not an nkey of the kind that was asked for."""


class Nkey:
    """A key pair made from a seed. The seed is secret."""

    def __init__(self, seed: str) -> None:
        try:
            self._pair = nkeys.from_seed(bytearray(seed.strip().encode()))
            self.public: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError) as error:
            raise BadNkey("this is not an nkey seed; restore the key file from a backup, or enrol again") from error
        self.seed = seed.strip()

    @classmethod
    def make(cls, kind: int) -> Nkey:
        """A new random key of this kind (ACCOUNT or USER)."""
        return cls(nkeys.encode_seed(os.urandom(32), kind).decode())

    @classmethod
    def load_or_make(cls, path: Path, kind: int) -> Nkey:
        """The key in ``path``, made there with mode 0600 at first use. Raises BadNkey for a damaged file."""
        if path.exists():
            return cls(path.read_text())
        key = cls.make(kind)
        write_key_file(path, key.seed.encode() + b"\n")
        return key

    def sign(self, text: bytes) -> bytes:
        signature: bytes = self._pair.sign(text)
        return signature


def public_key(text: str, kind: int) -> Ed25519PublicKey:
    """Read a public nkey of this kind. Raises BadNkey."""
    if len(text) != _PUBLIC_CHARS:
        raise BadNkey("not a public nkey: wrong length")
    try:
        raw = base64.b32decode(text)
    except (binascii.Error, ValueError) as error:
        raise BadNkey("not a public nkey: not base32") from error
    body, crc = raw[:-2], int.from_bytes(raw[-2:], "little")
    if body[0] != kind or binascii.crc_hqx(body, 0) != crc:
        raise BadNkey("not a public nkey of this kind, or mistyped")
    try:
        return Ed25519PublicKey.from_public_bytes(body[1:])
    except ValueError as error:
        raise BadNkey("not a public nkey: no such point") from error


def is_signed_by(public: str, kind: int, text: bytes, signature: str) -> bool:
    """Whether ``signature`` (base64 of either alphabet, padded or not) is this nkey's over ``text``."""
    try:
        standard = signature.rstrip("=").translate(str.maketrans("-_", "+/"))
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
        public_key(public, kind).verify(raw, text)
    except (InvalidSignature, ValueError):
        return False
    return True
