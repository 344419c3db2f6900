"""Journal keys that cost nothing, so that a week of fifty banks is folded and not signed.

Real Ed25519 signatures are made and checked where the world is run with ``real_keys``; everything else of the chain
(hashes, heads, who may sign) is the same either way.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cubbyhole.server.banks import receive


class _Public:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def public_bytes(self, *_: object) -> bytes:
        return self._raw

    def verify(self, signature: bytes, text: bytes) -> None:
        if signature != _sign(self._raw, text):
            raise InvalidSignature


class _Private:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def public_key(self) -> _Public:
        return _Public(self._raw)

    def sign(self, text: bytes) -> bytes:
        return _sign(self._raw, text)


def _sign(raw: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=raw, digest_size=64).digest()


def make_key(seed: bytes, real: bool) -> Ed25519PrivateKey:
    """A journal key from 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed) if real else cast(Ed25519PrivateKey, _Private(seed))


def _parse(text: str) -> Ed25519PublicKey:
    return cast(Ed25519PublicKey, _Public(base64.b64decode(text)))


@contextmanager
def cheap_signatures(real: bool) -> Iterator[None]:
    """Let the server's ingest check the cheap signatures while within; with ``real`` nothing changes."""
    if real:
        yield
        return
    before = receive.parse_public
    receive.parse_public = _parse
    try:
        yield
    finally:
        receive.parse_public = before
