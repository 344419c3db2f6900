"""The driver port: all that the rest of Cubbyhole knows about a lock board.

A driver is one folder beside this file. It exports ``MANIFEST`` and ``create(settings) -> BoardBus`` and is found
through the entry-point group ``cubbyhole.drivers`` (see ``registry.py``). It imports this module and its vendor's
library, and where they fit ``refusals`` and ``wire``; nothing else of Cubbyhole.

The one rule above all others: **an unlock frame is written at most once per call of** ``unlock``. What could not be
confirmed is said (``Unconfirmed``), never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

OptionValue = str | int | bool

_NO_OPTIONS: Mapping[str, OptionValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """The board (its address on the bus) and channel (from 0) that drive one lock."""

    board: int
    channel: int


@dataclass(frozen=True, slots=True)
class Sense:
    """What a board says about one door, polarity already applied. ``None`` means that there is no such sensor."""

    door_open: bool | None
    lock_secured: bool | None
    occupied: bool | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a device family can do. Settings beyond it are refused when the bus is created."""

    family: str
    title: str
    channels_max: int
    has_checksum: bool
    senses_door: bool
    senses_lock: bool
    senses_occupancy: bool
    drives_lights: bool
    pulse_min_ms: int
    pulse_max_ms: int


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """One board on a bus. A ``*_level`` is the raw input level that means the named condition."""

    address: int
    channels: int
    door_open_level: bool = True
    lock_secured_level: bool = True
    occupied_level: bool = True
    options: Mapping[str, OptionValue] = field(default_factory=lambda: _NO_OPTIONS)


@dataclass(frozen=True, slots=True)
class BusSettings:
    """One serial bus. ``port`` is a device path (prefer ``/dev/serial/by-id/…``) or ``socket://host:port``."""

    port: str
    baudrate: int
    boards: tuple[BoardSettings, ...]


class DriverError(Exception):
    """Anything that a driver reports. The text tells the person at the bank what happened and what to look at."""


class LinkDown(DriverError):
    """The port is gone, cannot be opened, or is not open. ``close`` and ``open`` again to recover."""


class NoReply(DriverError):
    """The board was asked and stayed silent (a poll or a light; for an unlock it is ``Unconfirmed``)."""


class BadReply(DriverError):
    """The board's answer to a poll or a light was damaged or of the wrong shape."""


class NotSent(DriverError):
    """The unlock frame was surely not sent: no door can have moved by it."""


class Unconfirmed(DriverError):
    """The unlock frame was or may have been sent and nothing confirms it. It must never be sent again."""


class BoardBus(Protocol):
    """One bus with its boards. The caller guarantees one call at a time; every call ends within a bounded time."""

    @property
    def manifest(self) -> Manifest:
        """What this family can do."""
        ...

    async def open(self) -> None:
        """Open the port. Raises ``LinkDown``. Opening an open bus does nothing."""
        ...

    async def close(self) -> None:
        """Close the port. Never raises; closing a closed bus does nothing."""
        ...

    async def poll(self, board: int) -> dict[int, Sense]:
        """Read every channel of a board. Raises ``LinkDown``, ``NoReply`` or ``BadReply``."""
        ...

    async def unlock(self, line: Line, pulse_ms: int) -> None:
        """Have the board pulse one lock, writing the frame exactly once.

        Returns when the board has confirmed. Raises ``NotSent`` or ``Unconfirmed``, nothing else.
        """
        ...

    async def light(self, line: Line, on: bool) -> None:
        """Switch a door's light. Raises ``DriverError``; also where the board drives no lights."""
        ...
