"""Coroutines of the real server without an event loop: driven to where they wait for a bank, and the world answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

from cubbyhole.protocol.fabric.errors import FabricError

ANSWER_WITHIN_MS = 4_000


class AtOnce:
    """`server.persistence.pool.WorkPool` without threads."""

    async def run(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return call(*args, **named)


class _Reply:
    """What a live command waits for; the world brings it, or nothing comes."""

    def __await__(self) -> Generator[_Reply, bytes, bytes]:
        return (yield self)


class Bell:
    """`server.commands.live.Line`: carries a live command to its bank over the wire of the world."""

    def __init__(self, ring: Callable[[str, bytes], None]) -> None:
        self._ring = ring

    async def request_live(self, bank: str, payload: bytes, timeout_s: float) -> bytes:
        self._ring(bank, payload)
        return await _Reply()


class Calls:
    """The calls of one server process that wait for a bank. ``after`` is the world's timer."""

    def __init__(self, after: Callable[..., object]) -> None:
        self._after = after
        self._waiting: dict[str, Coroutine[Any, Any, Any]] = {}
        self.ringing = ""  # the command that rings just now: what a call waits for that stops next

    def drive(self, call: Coroutine[Any, Any, Any], raw: bytes | None = None, error: Exception | None = None) -> None:
        """Run ``call`` to the place where it waits for a bank, or to its end."""
        try:
            if error is not None:
                call.throw(error)
            else:
                call.send(raw)
        except StopIteration:
            return
        self._waiting[self.ringing] = call
        self._after(ANSWER_WITHIN_MS, self._unanswered, self.ringing, call)

    def take(self, command: str) -> Coroutine[Any, Any, Any] | None:
        """The call that waits for the answer to ``command``, which is here; None where nobody waits any more."""
        return self._waiting.pop(command, None)

    def die(self) -> None:
        """The process is gone, and everything with it that waited."""
        for call in self._waiting.values():
            call.close()
        self._waiting = {}

    def _unanswered(self, command: str, call: Coroutine[Any, Any, Any]) -> None:
        if self._waiting.get(command) is call:
            del self._waiting[command]
            self.drive(call, error=FabricError("no answer"))
