"""What links that act with one tap do. Each feature says it for its own purpose; without that, no mail has such a link.

taps.on(Purpose.RENEW, ask=..., act=...)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cubbyhole.server.notices.links import Purpose
from cubbyhole.ui.words import Words


@dataclass(frozen=True, slots=True)
class Question:
    """What the page says before anything happens: what the ``button`` would do."""

    title: str
    text: str
    button: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What has become of it."""

    title: str
    text: str


# In a thread: what the link would do now. Raises `links.LinkSpent` where that is over. It changes nothing.
Ask = Callable[[str, Words], Question]
# In the event loop: do it. Raises `links.LinkSpent`. A second call with the same subject does nothing more.
Do = Callable[[str, Words], Awaitable[Answer]]


class Taps:
    """Who acts on which purpose. Filled while the server is put together."""

    def __init__(self) -> None:
        self._known: dict[Purpose, tuple[Ask, Do]] = {}

    def on(self, purpose: Purpose, ask: Ask, act: Do) -> None:
        if purpose in self._known:
            raise ValueError(f"somebody else acts on {purpose} already")
        self._known[purpose] = (ask, act)

    def purposes(self) -> frozenset[Purpose]:
        return frozenset(self._known)

    def of(self, purpose: Purpose) -> tuple[Ask, Do] | None:
        return self._known.get(purpose)
