"""The JWTs of NATS (algorithm ``ed25519-nkey``): read and verify a request, sign an answer.

Format: https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_callout
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from cubbyhole.protocol.fabric.nkey import Nkey, is_signed_by

Claims = dict[str, Any]  # foreign JSON; callout.py parses it at once

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class BadToken(ValueError):
    """The token is malformed or not signed by whom it names."""


def signed(claims: Claims, key: Nkey, issued_at_s: int) -> str:
    """A token with these claims, issued by ``key`` now."""
    claims = {**claims, "iss": key.public, "iat": issued_at_s}
    number = hashlib.sha256(_packed(claims)).digest()
    claims["jti"] = base64.b32encode(number).decode().rstrip("=")
    text = f"{_unpadded(_packed(_HEADER))}.{_unpadded(_packed(claims))}"
    return f"{text}.{_unpadded(key.sign(text.encode()))}"


def verified(token: str, issuer_kind: int) -> Claims:
    """The claims of a token, signed by the nkey that it names as its issuer. Raises BadToken."""
    text, _, signature = token.rpartition(".")
    try:
        header, body = (json.loads(_padded(part)) for part in text.split("."))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise BadToken("not a token") from error
    if not isinstance(header, dict) or not isinstance(body, dict) or header.get("alg") != _HEADER["alg"]:
        raise BadToken("not a token of NATS")
    if not is_signed_by(str(body.get("iss")), issuer_kind, text.encode(), signature):
        raise BadToken("the token is not signed by its issuer")
    return body


def _packed(value: Claims | dict[str, str]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _padded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
