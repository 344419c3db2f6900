"""What a bank's message must be before anything is done with it."""

from __future__ import annotations

from typing import TypeVar

from cubbyhole.protocol import messages as m

M = TypeVar("M", m.Beat, m.Claim, m.SyncRequest, m.StandingRequest, m.ResumeRequest)


class Unacceptable(ValueError):
    """A message that is answered with `Trouble`; ``word`` is its fixed word."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


def parse(kind: type[M], bank: str, payload: bytes) -> M:
    """Read a message that came over ``bank``'s subject. Raises Unacceptable where it names another bank."""
    try:
        message = m.decode(kind, payload)
    except m.MessageError as error:
        raise Unacceptable(error.word, str(error)) from None
    if message.bank != bank:
        raise Unacceptable("wrong_bank", f"a message of bank {message.bank[:24]!r} came over bank {bank}'s subject")
    return message
