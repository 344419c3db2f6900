"""What a decision is about and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Reason

Mint = Callable[[str], str]  # a fresh id with the given prefix


@dataclass(frozen=True, slots=True)
class Tap:
    """One presentation at a reader. ``digest`` names the credential under the bank's key; ``unknown`` is how the
    journal names it where it is on no file. ``again`` says that the same credential was at this reader moments ago;
    ``second_factor`` that the person has shown besides that it is them."""

    locker: str | None
    digest: str
    unknown: str
    again: bool = False
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The door may be opened; with ``unlock`` False it already is."""

    events: tuple[ev.Event, ...]
    locker: str
    grant: str
    unlock: bool
    rule: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The door stays shut: ``reason`` has a hint for the person in the locale files, ``rule`` names who said so."""

    events: tuple[ev.Event, ...]
    reason: Reason
    locker: str | None
    rule: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A gesture at the holder's own open door: the release is armed or disarmed."""

    events: tuple[ev.Event, ...]
    locker: str
    armed: bool


@dataclass(frozen=True, slots=True)
class Executed:
    """A command without a door: its events, `CommandDone` last. ``reason`` None means done."""

    events: tuple[ev.Event, ...]
    reason: Reason | None = None


Decision = Granted | Denied | Noted
