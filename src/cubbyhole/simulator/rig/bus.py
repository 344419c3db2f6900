"""A bus with its boards: the pace of the wire, half duplex, and what can go wrong on it.

A byte takes 10 bits; a board answers 3 ms after a request's last byte. A pty would carry bytes at once, so the rig
reckons when each would have arrived and acts then.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal

from cubbyhole.simulator.rig.boards import Family, Heard
from cubbyhole.simulator.rig.ports import make_port
from cubbyhole.simulator.rig.settings import BusSpec

TURNAROUND_NS = 3_000_000
GAP_NS = 20_000_000
HELD_BYTES_MAX = 1024
REQUESTS_MAX = 64
SLICE_BYTES = 8


class BadFault(Exception):
    """The fault cannot be set so; the text says what can."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a bus. Chances are per exchange; ``direction`` says which half of it they hit."""

    drop: float = 0.0
    corrupt: float = 0.0
    noise: float = 0.0
    delay_ms: int = 0
    absent: bool = False
    unplugged: bool = False
    direction: Literal["both", "request", "reply"] = "both"
    seed: int = 0

    @classmethod
    def of(cls, wanted: Mapping[str, object]) -> Faults:
        """Faults from a message; what is not named is off. Raises ``BadFault``."""
        known = {field.name for field in fields(cls)}
        unknown = set(wanted) - known
        if unknown:
            raise BadFault(f"there is no fault {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}")
        for name in ("drop", "corrupt", "noise"):
            chance = wanted.get(name, 0.0)
            if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
                raise BadFault(f"{name} must be a number from 0 to 1")
        for name, high in (("delay_ms", 60_000), ("seed", 2**63)):
            whole = wanted.get(name, 0)
            if isinstance(whole, bool) or not isinstance(whole, int) or not 0 <= whole <= high:
                raise BadFault(f"{name} must be a whole number from 0 to {high}")
        for name in ("absent", "unplugged"):
            if not isinstance(wanted.get(name, False), bool):
                raise BadFault(f"{name} must be true or false")
        if wanted.get("direction", "both") not in ("both", "request", "reply"):
            raise BadFault("direction must be both, request or reply")
        return cls(**wanted)  # type: ignore[arg-type]  # each one has just been checked


@dataclass(slots=True)
class Counts:
    """What has passed over a bus so far. ``unlocks`` are sound unlock requests, also those that a fault then hit."""

    requests: int = 0
    unlocks: int = 0
    replies: int = 0
    dropped: int = 0
    corrupted: int = 0
    noisy: int = 0
    unread: int = 0


class Bus:
    """One simulated bus. ``power`` False: every board on it is dead."""

    def __init__(self, spec: BusSpec, family: Family) -> None:
        self.name = spec.name
        self.counts = Counts()
        self.faults = Faults()
        self._family = family
        self._byte_ns = 10_000_000_000 // spec.baudrate
        self._port = make_port(spec.port, self._receive)
        self._held = bytearray()
        self._arrivals: list[int] = []
        self._line_free_ns = 0
        self._requests: asyncio.Queue[Heard] = asyncio.Queue(REQUESTS_MAX)
        self._chance = random.Random(0)
        self._worker: asyncio.Task[None] | None = None
        self._power = True

    async def start(self) -> None:
        """Raises ``SettingsError`` when the port's place is taken."""
        await self._port.plug()
        self._worker = asyncio.create_task(self._work(), name=f"bus {self.name}")

    async def stop(self) -> None:
        await self._stop_work()
        await self._port.unplug()

    async def _stop_work(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        self._forget()

    async def set_faults(self, faults: Faults) -> None:
        self.faults = faults
        self._chance = random.Random(faults.seed)
        if faults.unplugged:
            # Whatever was under way is lost with the cable.
            await self.stop()
        elif self._worker is None:
            await self.start()

    def set_power(self, on: bool) -> None:
        if self._power and not on:
            self._forget()
            self._family.power_off()
        self._power = on

    def describe(self) -> dict[str, object]:
        """Counters and faults, for the control socket."""
        return {"counts": asdict(self.counts), "faults": asdict(self.faults)}

    def _forget(self) -> None:
        self._held.clear()
        self._arrivals.clear()
        while not self._requests.empty():
            self._requests.get_nowait()

    def _receive(self, octets: bytes) -> None:
        if not self._power or self.faults.absent:
            return
        now_ns = time.monotonic_ns()
        if self._arrivals and now_ns - self._arrivals[-1] > GAP_NS:
            self.counts.unread += len(self._held)
            self._held.clear()
            self._arrivals.clear()
        for octet in octets:
            self._line_free_ns = max(self._line_free_ns, now_ns) + self._byte_ns
            self._held.append(octet)
            self._arrivals.append(self._line_free_ns)
        if len(self._held) > HELD_BYTES_MAX:
            self.counts.unread += len(self._held)
            self._held.clear()
            self._arrivals.clear()
        self._find_requests()

    def _find_requests(self) -> None:
        while self._held:
            done, request = self._family.take(bytes(self._held))
            if done == 0:
                return
            if request is None:
                self.counts.unread += done
            else:
                heard = Heard(request, self._arrivals[0] - self._byte_ns, self._arrivals[done - 1])
                self.counts.requests += 1
                self.counts.unlocks += self._family.is_unlock(request)
                if not self._requests.full():
                    self._requests.put_nowait(heard)
            del self._held[:done]
            del self._arrivals[:done]

    async def _work(self) -> None:
        while True:
            heard = await self._requests.get()
            await _until(heard.last_ns)
            if not self._power or self.faults.absent:
                continue
            lost = self._draw("drop")
            bent = None if lost else self._draw("corrupt")
            if lost == "request":
                continue
            if bent == "request" and self._family.take(self._bend(heard.octets))[1] is None:
                continue
            reply = self._family.answer(heard)
            if reply is None:
                continue
            if self.faults.delay_ms:
                await asyncio.sleep(self.faults.delay_ms / 1000)
            if lost == "reply":
                continue
            if bent == "reply":
                reply = self._bend(reply)
            if self._chance.random() < self.faults.noise:
                self.counts.noisy += 1
                reply = self._chance.randbytes(self._chance.randint(1, 6)) + reply
            await self._send(reply)

    def _draw(self, kind: Literal["drop", "corrupt"]) -> Literal["request", "reply"] | None:
        if self._chance.random() >= (self.faults.drop if kind == "drop" else self.faults.corrupt):
            return None
        if kind == "drop":
            self.counts.dropped += 1
        else:
            self.counts.corrupted += 1
        if self.faults.direction != "both":
            return self.faults.direction
        return "request" if self._chance.random() < 0.5 else "reply"

    def _bend(self, octets: bytes) -> bytes:
        place = self._chance.randrange(len(octets))
        bent = bytearray(octets)
        bent[place] ^= self._chance.randint(1, 255)
        return bytes(bent)

    async def _send(self, reply: bytes) -> None:
        start_ns = max(time.monotonic_ns(), self._line_free_ns) + TURNAROUND_NS
        self._line_free_ns = start_ns + len(reply) * self._byte_ns
        for at in range(0, len(reply), SLICE_BYTES):
            part = reply[at : at + SLICE_BYTES]
            await _until(start_ns + (at + len(part)) * self._byte_ns)
            if not self._power or self.faults.absent:
                return
            self._port.send(part)
        self.counts.replies += 1


async def _until(moment_ns: int) -> None:
    """Sleep until a moment of CLOCK_MONOTONIC; never less."""
    while (left_ns := moment_ns - time.monotonic_ns()) > 0:
        await asyncio.sleep(left_ns / 1_000_000_000)
