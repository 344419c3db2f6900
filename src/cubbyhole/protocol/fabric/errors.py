"""What can go wrong between a bank and the server, as the caller sees it.

Only `Refused` and `NobodyThere` say that the other side certainly did not act on a request beyond what the answer
tells. After `Offline` or `NoAnswer` it may have acted, and may still.
"""

from __future__ import annotations


class FabricError(Exception):
    """Base of all errors of the fabric. The text is for the person who reads the log or the screen."""


class Offline(FabricError):
    """There is no connection, or it was lost before the answer came. Nothing is sent later by itself."""


class AccessRefused(FabricError):
    """The server does not accept this key or code."""


class NobodyThere(FabricError):
    """The connection is up, but nobody listens at the other end; nobody received the message."""


class NoAnswer(FabricError):
    """The other end listens, but did not answer in time."""


class TooLarge(FabricError):
    """The message is larger than the fabric carries. Nothing was sent."""


class TooMany(FabricError):
    """Too many requests are waiting already. Nothing was sent."""


class NotPermitted(FabricError):
    """The server does not let this connection use this subject. Nobody received the message."""


class Refused(FabricError):
    """The other end answered with `messages.Trouble`. A handler raises it to answer so: a fixed word, and a detail."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(f"{word}: {detail}")
        self.word = word
        self.detail = detail
