"""Links that act with one tap, without a sign-in: signed, for one purpose and one subject, until a moment.

Whoever has the link may do that one thing, so it is mailed to the person concerned alone. Mail programs and scanners
open links by themselves: looking at one does nothing, see `notices.pages`.

A link works until it expires, as often as it is tapped. So ``subject`` names the state that it acts on
(``"<assignment>@<ends_ms>"``, not ``"<assignment>"``): then a second tap finds that state gone, and changes nothing.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from enum import StrEnum

from cubbyhole.server.keys import SealingKey

PATH = "/l"
SUBJECT_MOST = 200
_TOKEN_MOST = 600
_SIGNED_FOR = "one-tap"
_SIGNATURE_BYTES = 32


class Purpose(StrEnum):
    """What a link can be for."""

    RENEW = "renew"  # subject: <assignment>@<ends_ms>
    TAKE_OFFER = "take-offer"  # subject: the wait list's offer


class LinkSpent(ValueError):
    """The link was not made here, or is no longer good. Which of both is nobody's business."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a good link asks for."""

    purpose: Purpose
    subject: str
    not_after_ms: int


class Links:
    """Makes and reads links. Safe in several threads."""

    def __init__(self, key: SealingKey, base_url: str) -> None:
        self._key, self._base_url = key, base_url.rstrip("/")

    def make(self, purpose: Purpose, subject: str, not_after_ms: int) -> str:
        """The token. ``subject`` has no control characters and at most `SUBJECT_MOST` characters."""
        if not subject.isprintable() or len(subject) > SUBJECT_MOST:
            raise ValueError("a link's subject is a short text of printable characters")
        body = f"{purpose.value}\n{not_after_ms}\n{subject}".encode()
        return _text(self._key.sign(_SIGNED_FOR, body) + body)

    def url(self, purpose: Purpose, subject: str, not_after_ms: int) -> str:
        return f"{self._base_url}{PATH}/{self.make(purpose, subject, not_after_ms)}"

    def read(self, token: str, now_ms: int) -> Link:
        """What the token is for. Raises LinkSpent."""
        raw = _bytes(token)
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._key.sign(_SIGNED_FOR, body)):
            raise LinkSpent("this link was not made here")
        purpose, not_after, subject = body.decode().split("\n")
        if now_ms > int(not_after):
            raise LinkSpent("this link has expired")
        return Link(Purpose(purpose), subject, int(not_after))

    def verify(self, token: str, purpose: Purpose, now_ms: int) -> str:
        """The subject of a link for that purpose. Raises LinkSpent."""
        link = self.read(token, now_ms)
        if link.purpose is not purpose:
            raise LinkSpent("this link is for something else")
        return link.subject


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(token: str) -> bytes:
    if len(token) > _TOKEN_MOST:
        raise LinkSpent("this link was not made here")
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise LinkSpent("this link was not made here") from None
