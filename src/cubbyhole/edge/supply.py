"""One solenoid at a time per power supply: a slot is taken before anything is decided on a live command."""

from __future__ import annotations

import asyncio
import time


def mono_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class Supply:
    """The slot of one supply. A slot is given back when the pulse is over, not when the frame is sent."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._busy_until_ms = 0

    async def take(self, until_ms: int) -> bool:
        """Wait for the slot, at most until ``until_ms`` (monotonic); False where it did not come in time."""
        try:
            async with asyncio.timeout(max(0.0, (until_ms - mono_ms()) / 1000)):
                await self._lock.acquire()
                try:
                    while (left := self._busy_until_ms - mono_ms()) > 0:
                        await asyncio.sleep(left / 1000)
                except BaseException:
                    self._lock.release()
                    raise
        except TimeoutError:
            return False
        return True

    def give_back(self, pulse_ms: int = 0) -> None:
        """Free the slot once a pulse of ``pulse_ms`` that has just begun is over."""
        self._busy_until_ms = mono_ms() + pulse_ms
        self._lock.release()
