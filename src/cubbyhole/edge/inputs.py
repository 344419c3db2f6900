"""What reaches a bank's core, and what it asks for in return. Plain values: the world simulator makes them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cubbyhole.domain.decision import Decision
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.domain.watch import Reading
from cubbyhole.protocol.messages import (
    CommandAnswer,
    LiveCommand,
    StandingCommand,
    SyncReply,
)

TAP_LIVES_MS = 2_000
UNLOCK_LIVES_MS = 5_000


@dataclass(frozen=True, slots=True)
class TapSeen:
    """A badge at a reader. ``locker`` None: the shared reader. ``canonical`` as in `domain.credential`."""

    locker: str | None
    canonical: str
    mono_ms: int


@dataclass(frozen=True, slots=True)
class Polled:
    """One reading of every locker on a link."""

    link: str
    readings: Mapping[str, Reading]
    mono_ms: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A board fell silent; ``numbers`` are the lockers that it drives."""

    link: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PulseSent:
    """The unlock frame of ``grant`` went out at ``mono_ms``; without ``confirmed`` the board did not say so."""

    grant: str
    locker: str
    asked_ms: int
    mono_ms: int
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class PulseFailed:
    """The unlock of ``grant`` has ended without a frame that surely went out."""

    grant: str
    locker: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Claimed:
    """A live command that the server let go; ``mono_ms`` is when it was asked. ``token`` goes back with the answer."""

    command: LiveCommand
    token: object
    mono_ms: int


@dataclass(frozen=True, slots=True)
class StandingCame:
    commands: tuple[StandingCommand, ...]


@dataclass(frozen=True, slots=True)
class DirectoryCame:
    reply: SyncReply


@dataclass(frozen=True, slots=True)
class ServerAnswered:
    """A heartbeat's answer: the server's clock, and how long the question took."""

    at_ms: int
    round_trip_ms: int


@dataclass(frozen=True, slots=True)
class ServerSilent:
    """No heartbeat has been answered for a while; ``last_ms`` is when one was last."""

    last_ms: int


@dataclass(frozen=True, slots=True)
class Acked:
    """The server has committed this bank's journal up to ``seq`` of ``epoch``."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesGone:
    """The server asks for lines that the disk does not have any more: ``first`` to ``last``, from which the chain goes
    on with ``hash_after`` (None: to the end of what is durable). ``seen`` is the newest `journal.gap` that was known
    when that was found, by its line; hashes are hex."""

    epoch: str
    first: int
    last: int | None
    hash_before: str | None
    hash_after: str | None
    why: str
    seen: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. ``kernel_sync`` says whether the system clock is disciplined."""

    mono_ms: int
    kernel_sync: bool


Input = (
    TapSeen | Polled | LinkDown | PulseSent | PulseFailed | Claimed | StandingCame | DirectoryCame | ServerAnswered
    | ServerSilent | Acked | LinesGone | Tick
)  # fmt: skip


class Look(StrEnum):
    """What a door's light shows; `edge.lights` draws it."""

    OFF = "off"
    FREE = "free"
    YOURS = "yours"
    DENIED = "denied"
    RELEASING = "releasing"
    OUT_OF_SERVICE = "out_of_service"


@dataclass(frozen=True, slots=True)
class Unlock:
    """Send the unlock frame of a durable grant, if its turn comes before ``until_ms`` (monotonic). ``command`` is the
    live command that holds the supply's slot for it already."""

    locker: str
    grant: str
    asked_ms: int
    until_ms: int
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Light:
    locker: str
    look: Look


@dataclass(frozen=True, slots=True)
class Said:
    """What a decision on a tap was, for whoever shows it (a screen, a test)."""

    tap: TapSeen
    decision: Decision


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a live command; its lines are added by the uplink."""

    token: object
    answer: CommandAnswer


@dataclass(frozen=True, slots=True)
class Resync:
    """The directory did not add up: ask for all of it."""


Effect = Unlock | Light | Said | Answer | Resync


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSettings:
    """What the controller's configuration says of one bank."""

    bank: str
    label: str
    area: str
    site: str
    columns: tuple[str, ...]
    reader: str = "door"
    senses_lock: bool = False
    senses_occupancy: bool = False
    drives_lights: bool = False
    springs: bool = False
    open_within_ms: int = 5_000
    held_open_ms: int = 900_000
    pulse_ms: int = 500
    trust_rtc: bool = False
