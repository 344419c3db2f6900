"""Enrolment: the one-time code that a person types on a controller, and the request that spends it.

The code carries the fingerprint of the server's authority, so the controller trusts nobody whom the code does not
name, however the authority's certificate reached it.

Code text: base32 in groups of five, of 31 bytes: authority SHA-256 (first 16), code id (4), secret (10), check (1).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import msgspec

FINGERPRINT_BYTES = 16
ENTROPY_BYTES = 14
BANKS_MAX = 64
AUTHORITY_PATH = "/authority.pem"  # where the server's web pages offer the authority's certificate …
FABRIC_HEADER = "Cubbyhole-Fabric"  # … with this header: the fabric's address, ``tls://:4222`` = at the same host

_CODE_CHARS = 50
_LOOKALIKES = str.maketrans({"0": "O", "1": "I", "8": "B", "-": None, " ": None, "\t": None, "\n": None, "\r": None})


class BadCode(ValueError):
    """The text is not an enrolment code; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """``fingerprint`` 16 bytes; ``code_id`` 8 hex digits (not secret); ``secret`` 20 hex digits."""

    fingerprint: bytes
    code_id: str
    secret: str

    @property
    def text(self) -> str:
        """What the person types."""
        body = self.fingerprint + bytes.fromhex(self.code_id) + bytes.fromhex(self.secret)
        chars = base64.b32encode(body + _check(body)).decode().rstrip("=")
        return "-".join(chars[at : at + 5] for at in range(0, _CODE_CHARS, 5))

    def names(self, authority_der: bytes) -> bool:
        """Whether this is the authority that the code was made for."""
        return hmac.compare_digest(fingerprint_of(authority_der), self.fingerprint)


def fingerprint_of(authority_der: bytes) -> bytes:
    """The fingerprint of an authority's certificate as the code carries it."""
    return hashlib.sha256(authority_der).digest()[:FINGERPRINT_BYTES]


def make_code(fingerprint: bytes, entropy: bytes) -> EnrolmentCode:
    """A code for this authority from 14 bytes of randomness. The secret is 80 bits of it."""
    if len(fingerprint) != FINGERPRINT_BYTES or len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"need {FINGERPRINT_BYTES} bytes of fingerprint and {ENTROPY_BYTES} bytes of entropy")
    return EnrolmentCode(fingerprint, entropy[:4].hex(), entropy[4:].hex())


def parse_code(text: str) -> EnrolmentCode:
    """Read a typed code; case, spaces, dashes and 0/O, 1/I, 8/B do not matter. Raises BadCode."""
    chars = text[:200].upper().translate(_LOOKALIKES)
    if len(chars) != _CODE_CHARS:
        raise BadCode(f"An enrolment code has {_CODE_CHARS} letters and digits; this has {len(chars)}. Copy it whole.")
    try:
        raw = base64.b32decode(chars + "=" * (-_CODE_CHARS % 8))
    except binascii.Error as error:
        raise BadCode("An enrolment code has only letters and the digits 2 to 7. Copy it again.") from error
    body, check = raw[:-1], raw[-1:]
    if check != _check(body):
        raise BadCode("The enrolment code has a typing error. Copy it again.")
    at = FINGERPRINT_BYTES
    return EnrolmentCode(body[:at], body[at : at + 4].hex(), body[at + 4 :].hex())


class EnrolRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new controller sends to ``cb.enrol``.

    ``nkey``: its public user nkey. ``journal_key``: its raw Ed25519 public key, standard base64. ``banks``: the ids
    that it is configured for. ``nkey_proof`` and ``journal_proof``: signatures by both keys over `proof_message`,
    standard base64; they show that the sender holds the keys that it names.
    """

    v: int
    code_id: str
    secret: str
    nkey: str
    journal_key: str
    banks: tuple[str, ...]
    nkey_proof: str
    journal_proof: str


class EnrolReply(msgspec.Struct, frozen=True):
    """What the server answers. ``nats_url`` without a host means: the host that was used for enrolling."""

    v: int
    controller: str
    nats_url: str
    banks: tuple[str, ...]


def proof_message(code_id: str, nkey: str, journal_key: str, banks: tuple[str, ...]) -> bytes:
    """The bytes that both new keys sign. No field can contain a zero byte or a comma."""
    return b"\0".join(
        (b"cubbyhole-enrol-v1", *(part.encode() for part in (code_id, nkey, journal_key, ",".join(banks))))
    )


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"cubbyhole-code-v1\0" + body).digest()[:1]
