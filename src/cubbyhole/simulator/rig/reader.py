"""A simulated badge reader: one line per tap, at the pace of its serial line."""

from __future__ import annotations

import asyncio
import time

from cubbyhole.simulator.rig.ports import make_port
from cubbyhole.simulator.rig.settings import ReaderSpec
from cubbyhole.simulator.rig.truth import Tap, Truth, wall_ms

LINE_END = b"\r\n"
TAP_BYTES_MAX = 16_384
TAPS_WAITING_MAX = 64
SLICE_BYTES = 8


class CannotTap(Exception):
    """The tap did not happen; the text says why."""


class Reader:
    """One reader. Taps queue up behind each other, as people do."""

    def __init__(self, bank: str, spec: ReaderSpec, truth: Truth) -> None:
        self.name = spec.name
        self.power = True
        self._bank = bank
        self._truth = truth
        self._byte_ns = 10_000_000_000 // spec.baudrate
        self._port = make_port(spec.port, lambda _: None)
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def start(self) -> None:
        """Raises ``SettingsError`` when the port's place is taken."""
        await self._port.plug()

    async def stop(self) -> None:
        await self._port.unplug()

    async def set_plugged(self, plugged: bool) -> None:
        if plugged:
            await self._port.plug()
        else:
            await self._port.unplug()

    async def tap(self, badge: str, octets: bytes) -> Tap:
        """Send ``octets``; returns, with the record, when the last byte is on the wire. Raises ``CannotTap``."""
        if len(octets) > TAP_BYTES_MAX:
            raise CannotTap(f"a tap has at most {TAP_BYTES_MAX} bytes, this one has {len(octets)}")
        if self._waiting >= TAPS_WAITING_MAX:
            raise CannotTap(f"{TAPS_WAITING_MAX} taps wait at this reader already; wait for their answers")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await self._send(badge, octets)
        finally:
            self._waiting -= 1

    async def _send(self, badge: str, octets: bytes) -> Tap:
        start_ns = time.monotonic_ns()
        for at in range(0, len(octets), SLICE_BYTES):
            part = octets[at : at + SLICE_BYTES]
            due_ns = start_ns + (at + len(part)) * self._byte_ns
            while (left_ns := due_ns - time.monotonic_ns()) > 0:
                await asyncio.sleep(left_ns / 1_000_000_000)
            if not self.power:
                raise CannotTap("the bank has no power")
            if at + len(part) == len(octets):
                # On the record before the controller can act on it.
                tap = Tap(self._bank, self.name, badge, time.monotonic_ns(), wall_ms())
                self._truth.tap(tap)
                self._port.send(part)
                return tap
            self._port.send(part)
        raise CannotTap("an empty tap has nothing to send")
