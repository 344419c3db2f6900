"""What people can be told. A notice says what happened; the words, in somebody's language, come when it is sent."""

from __future__ import annotations

import base64
from typing import ClassVar

import msgspec

from cubbyhole.server.keys import SealingKey

_SEALED_FOR = "notice"


class _Notice(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Times are ms since the epoch. ``not_after_ms`` on each kind: when it is of no use to anybody any more."""

    # Whether it is kept encrypted until it is sent, because whoever reads it could act as its receiver.
    SECRET: ClassVar[bool] = False

    @property
    def not_after_ms(self) -> int | None:
        return None


class SignInCode(_Notice, frozen=True, kw_only=True, tag="sign_in_code"):
    """The code that was asked for at the sign-in page or at a bank's screen."""

    SECRET: ClassVar[bool] = True
    code: str
    expires_ms: int

    @property
    def not_after_ms(self) -> int | None:
        return self.expires_ms


class EndsSoon(_Notice, frozen=True, kw_only=True, tag="ends_soon"):
    """A reminder, with a link that renews where somebody acts on `links.Purpose.RENEW`."""

    bank: str
    locker: str
    assignment: str
    ends_ms: int

    @property
    def not_after_ms(self) -> int | None:
        return self.ends_ms


class Ended(_Notice, frozen=True, kw_only=True, tag="ended"):
    """``cause`` is a `domain.vocabulary.Cause`. ``may_open``: they may still fetch what is inside."""

    bank: str
    locker: str
    ended_ms: int
    cause: str
    may_open: bool


class Assigned(_Notice, frozen=True, kw_only=True, tag="assigned"):
    """Somebody has a locker now, that they did not take at the bank themselves."""

    bank: str
    locker: str
    ends_ms: int | None


class WaitListOffer(_Notice, frozen=True, kw_only=True, tag="wait_list_offer"):
    """A locker is held for whoever waited; ``offer`` names the offer that the link takes up."""

    bank: str
    locker: str
    offer: str
    lapses_ms: int

    @property
    def not_after_ms(self) -> int | None:
        return self.lapses_ms


class LockerShared(_Notice, frozen=True, kw_only=True, tag="locker_shared"):
    """``by`` (a name) lets somebody use their locker; without an end where ``until_ms`` is None."""

    bank: str
    locker: str
    by: str
    until_ms: int | None


class AlarmLine(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm. Of the server itself where there is no ``bank``."""

    kind: str
    at_ms: int
    bank: str | None = None
    locker: str | None = None
    detail: str = ""


class Alarms(_Notice, frozen=True, kw_only=True, tag="alarm"):
    """All that was raised since the last such notice: the first ones, and how ``many`` there are."""

    lines: list[AlarmLine]
    many: int


Notice = SignInCode | EndsSoon | Ended | Assigned | WaitListOffer | LockerShared | Alarms


class To(msgspec.Struct, frozen=True, kw_only=True):
    """Whom: a person, an account, or an ``address`` alone. An address goes before the one that is on record.

    ``language`` counts where the person has not chosen one: what their browser asked for, say.
    """

    person: str | None = None
    account: str | None = None
    address: str | None = None
    language: str | None = None


class _Letter(msgspec.Struct, frozen=True, kw_only=True):
    to: To
    notice: Notice | None = None
    sealed: str | None = None


def pack(to: To, notice: Notice, key: SealingKey) -> dict[str, object]:
    """A notice as a row of the outbox keeps it."""
    if notice.SECRET:
        sealed = base64.b64encode(key.seal(_SEALED_FOR, msgspec.json.encode(notice))).decode()
        letter = _Letter(to=to, sealed=sealed)
    else:
        letter = _Letter(to=to, notice=notice)
    packed: dict[str, object] = msgspec.to_builtins(letter)
    return packed


def unpack(payload: str, key: SealingKey) -> tuple[To, Notice]:
    """What `pack` made. Raises ValueError (also for a kind of a newer release) and KeyDamaged."""
    letter = msgspec.json.decode(payload, type=_Letter)
    if letter.notice is not None:
        return letter.to, letter.notice
    if letter.sealed is None:
        raise ValueError("a notice without a content")
    opened = key.open(_SEALED_FOR, base64.b64decode(letter.sealed))
    return letter.to, msgspec.json.decode(opened, type=Notice)
