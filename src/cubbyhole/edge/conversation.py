"""What a bank says to its server and asks of it, decided without any I/O: heartbeats, events up, directory and standing
commands down.

Everything is request and reply and may fail at any time; nothing here is needed for a decision at the bank. Whoever
carries the requests asks `due` for what to send now, reports each as `answered` or `failed`, and hands the inputs that
come of it to the core. Each of the four lanes has at most one request under way, and only what the server has
acknowledged is behind us.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import Clock
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.inputs import LinesGone
from cubbyhole.edge.reader import Reader, Stretch, next_stretch
from cubbyhole.protocol import messages as m

SILENT_AFTER_MS = 3_000
STALE_MS = 1_000  # how far what a server process says of a bank may be behind its database
SETTLE_MS = 50  # the core takes over what was pulled before more of it is asked for
SENT_AGAIN_MS = (200, 5_000)  # the first pause after a batch that failed, and the longest
ASKED_AGAIN_MS = 1_000
PULLED_AGAIN_MS = (1_000, 30_000)
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024

log = structlog.get_logger(__name__)


class Verb(StrEnum):
    """The lanes, by the last word of their subject."""

    BEAT = "beat"
    EVENTS = "events"
    SYNC = "sync"
    STANDING = "standing"


PATIENCE_MS = {Verb.BEAT: 2_000, Verb.EVENTS: 5_000, Verb.SYNC: 5_000, Verb.STANDING: 5_000}
ALL_OF_IT_MS = 30_000  # for a directory from its first row
_WAITS = {
    Verb.EVENTS: "events wait at the bank",
    Verb.SYNC: "the directory could not be pulled",
    Verb.STANDING: "standing commands could not be pulled",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a bank speaks without a cause. ``gather_ms``: how long new lines are gathered into one batch."""

    beat_ms: int = 1_000
    pull_ms: int = 60_000
    gather_ms: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. An answer that is not here after ``patience_ms`` counts as none."""

    verb: Verb
    payload: bytes
    patience_ms: int
    asked_ms: int  # monotonic


@dataclass(slots=True)
class _Lane:
    """``due_ms``: when its next request is due (monotonic), None while there is no cause for one; not before
    ``rest_ms``."""

    due_ms: int | None = None
    rest_ms: int = 0
    under_way: bool = False
    pause_ms: int = 0

    def want(self, at_ms: int) -> None:
        at_ms = max(at_ms, self.rest_ms)
        self.due_ms = at_ms if self.due_ms is None else min(self.due_ms, at_ms)

    def rest(self, until_ms: int) -> None:
        self.rest_ms = until_ms
        if self.due_ms is not None:
            self.due_ms = max(self.due_ms, until_ms)


@dataclass(slots=True)
class Conversation:
    """One bank's side, from one start of the controller to its end. Not for several threads."""

    core: BankCore
    reader: Reader
    clock: Clock
    acked: int
    pace: Pace = field(default_factory=Pace)
    chance: Callable[[], float] = random.random
    full: bool = False  # the next pull asks for the whole directory
    quarantined: bool = False
    _lanes: dict[Verb, _Lane] = field(init=False)
    _standing_head: int = 0
    _silent_since_ms: int | None = None
    _last_heard_ms: int = 0
    _retry_ms: int = 0  # no batch before
    _gone: LinesGone | None = None  # what the core has to own up to before anything more can be sent
    _acked_ms: int = -STALE_MS  # when the server last answered a batch

    def __post_init__(self) -> None:
        now_ms = self.clock.mono_ms()
        self._last_heard_ms = self.clock.wall_ms()
        self._lanes = {verb: _Lane() for verb in Verb}
        self._lanes[Verb.BEAT].want(now_ms)
        self._lanes[Verb.SYNC].want(now_ms + self.pace.pull_ms)

    # -- causes -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There are new lines."""
        self._lanes[Verb.EVENTS].want(max(self.clock.mono_ms() + self.pace.gather_ms, self._retry_ms))

    def reconnected(self) -> None:
        """There may be somebody to talk to again: nothing waits out its pause any more."""
        now_ms, self._retry_ms = self.clock.mono_ms(), 0
        for lane in self._lanes.values():
            if lane.pause_ms:
                lane.pause_ms, lane.due_ms = 0, now_ms
        self._lanes[Verb.BEAT].want(now_ms)
        self.wake()

    def resync(self) -> None:
        """Ask for the whole directory."""
        self.full = True
        self._lanes[Verb.SYNC].want(self.clock.mono_ms())

    def nudged(self, payload: bytes) -> None:
        """The server says that there is something to pull. Anything else that comes this way is dropped."""
        try:
            nudge = m.decode(m.Nudge, payload)
        except m.MessageError as error:
            log.warning("a nudge could not be read", bank=self.core.settings.bank, why=str(error))
            return
        self._compare(nudge.directory, nudge.standing)

    def heard(self) -> None:
        """The server is known to be there at this moment."""
        self._silent_since_ms, self._last_heard_ms = None, self.clock.wall_ms()

    # -- requests -----------------------------------------------------------------------------------------------

    def due(self, connected: bool) -> list[Ask]:
        """What to send now; each is under way until it is reported. Without a connection only heartbeats are tried,
        so that the silence is noticed."""
        now_ms = self.clock.mono_ms()
        asks = []
        for verb, lane in self._lanes.items():
            if lane.under_way or lane.due_ms is None or lane.due_ms > now_ms or not (connected or verb is Verb.BEAT):
                continue
            message = self._message(verb, now_ms)
            lane.due_ms = None
            if message is not None:
                lane.under_way = True
                whole = isinstance(message, m.SyncRequest) and message.have == 0
                asks.append(Ask(verb, m.encode(message), ALL_OF_IT_MS if whole else PATIENCE_MS[verb], now_ms))
        return asks

    def next_ms(self, connected: bool) -> int | None:
        """When `due` has something next, monotonic; None while only an answer or a cause can bring something."""
        times = [
            lane.due_ms
            for verb, lane in self._lanes.items()
            if not lane.under_way and lane.due_ms is not None and (connected or verb is Verb.BEAT)
        ]
        return min(times, default=None)

    def _message(self, verb: Verb, now_ms: int) -> m.Message | None:
        core, bank = self.core, self.core.settings.bank
        match verb:
            case Verb.BEAT:
                state = core.state
                return m.Beat(
                    bank=bank, epoch=core.epoch, seq=state.seq, directory=core.directory.version,
                    standing=state.standing, at=self.clock.wall_ms(), mono=now_ms, boot=state.boot,
                    sync=not state.clock_in_doubt, in_doubt=state.clock_in_doubt,
                )  # fmt: skip
            case Verb.EVENTS:
                return self.batch()
            case Verb.SYNC:
                have = 0 if self.full else core.directory.version
                return m.SyncRequest(bank=bank, have=have, content_hash=core.directory.content_hash)
            case Verb.STANDING:
                behind = self._standing_head > core.state.standing
                return m.StandingRequest(bank=bank, after=core.state.standing) if behind else None

    def batch(self) -> m.Events | None:
        """The next lines that the server lacks, cut behind a head; None where it has all of them."""
        epoch, gaps = self.core.epoch, self.core.state.gaps
        found = next_stretch(self.reader, epoch, self.acked, gaps)
        if self.acked < self.core.state.seq and isinstance(found, LinesGone):
            self._gone = found
        if not isinstance(found, Stretch):
            return None
        return m.Events(
            bank=self.core.settings.bank, epoch=epoch, first=found.first, lines=found.lines, heads=found.heads,
            gap=found.gap,
        )  # fmt: skip

    # -- replies ------------------------------------------------------------------------------------------------

    def answered(self, ask: Ask, raw: bytes) -> list[io.Input]:
        """Take the reply to ``ask``; what the core has to hear of it. A reply that cannot be read is none."""
        try:
            match ask.verb:
                case Verb.BEAT:
                    made = self._beaten(ask, m.decode(m.BeatReply, raw))
                case Verb.EVENTS:
                    made = self.took(m.decode(m.EventsReply, raw))
                case Verb.SYNC:
                    made = self._pulled(m.decode(m.SyncReply, _inflate(raw)))
                case Verb.STANDING:
                    made = self._stood(m.decode(m.StandingReply, raw))
        except (m.MessageError, zlib.error) as error:
            return self.failed(ask, str(error))
        lane = self._lanes[ask.verb]
        lane.under_way, lane.pause_ms = False, 0
        return made

    def failed(self, ask: Ask, why: str) -> list[io.Input]:
        """No reply came to ``ask``: when to try again, and what the core has to hear of it."""
        now_ms, lane, bank = self.clock.mono_ms(), self._lanes[ask.verb], self.core.settings.bank
        lane.under_way = False
        if ask.verb is Verb.BEAT:
            lane.want(self._next_beat_ms(ask))
            return self._silence(now_ms)
        first_ms, most_ms = SENT_AGAIN_MS if ask.verb is Verb.EVENTS else PULLED_AGAIN_MS
        lane.pause_ms = min(most_ms, max(first_ms, lane.pause_ms * 2))
        pause_ms = round(lane.pause_ms * (0.75 + self.chance() / 2))
        lane.due_ms = now_ms + pause_ms
        if ask.verb is Verb.EVENTS:
            self._retry_ms = lane.due_ms
        log.info(_WAITS[ask.verb], bank=bank, why=why, pause_s=round(pause_ms / 1000, 1))
        return []

    def _beaten(self, ask: Ask, reply: m.BeatReply) -> list[io.Input]:
        now_ms = self.clock.mono_ms()
        self.heard()
        self._compare(reply.directory, reply.standing)
        is_newer = ask.asked_ms > self._acked_ms + STALE_MS  # or a batch may have overtaken what the reply says
        if reply.acked_epoch == self.core.epoch and reply.acked < self.acked and is_newer:
            # The server's database was restored to an earlier day: send again what it lacks.
            self.acked = reply.acked
        if self.acked < self.core.state.seq:
            self.wake()
        self._lanes[Verb.BEAT].want(self._next_beat_ms(ask))
        gone, self._gone = self._gone, None
        answered = io.ServerAnswered(reply.at, now_ms - ask.asked_ms)
        return [answered] if gone is None else [answered, gone]

    def _next_beat_ms(self, ask: Ask) -> int:
        return max(self.clock.mono_ms() + 100, ask.asked_ms + self.pace.beat_ms)

    def _silence(self, now_ms: int) -> list[io.Input]:
        if self._silent_since_ms is None:
            self._silent_since_ms = now_ms
        elif now_ms - self._silent_since_ms > SILENT_AFTER_MS:
            return [io.ServerSilent(self._last_heard_ms)]
        return []

    def _compare(self, directory: int, standing: int) -> None:
        now_ms = self.clock.mono_ms()
        if directory > self.core.directory.version or self.core.directory.version == 0:
            self._lanes[Verb.SYNC].want(now_ms)
        self._standing_head = standing
        if standing > self.core.state.standing:
            self._lanes[Verb.STANDING].want(now_ms)

    def took(self, reply: m.EventsReply) -> list[io.Input]:
        """Act on the server's answer to a batch."""
        self._retry_ms, self._acked_ms = 0, self.clock.mono_ms()
        if reply.epoch != self.core.epoch:
            return []
        if reply.quarantined and not self.quarantined:
            log.error(
                "the server does not believe this journal and keeps it as evidence; call whoever runs it",
                bank=self.core.settings.bank,
            )
        self.quarantined = reply.quarantined
        if reply.need == self.acked + 1:
            # It asks for what it was just sent, or for what cannot be sent: the same again at once would help nobody.
            self._retry_ms = self.clock.mono_ms() + ASKED_AGAIN_MS
        self.acked = reply.need - 1 if reply.need is not None else max(self.acked, reply.ack)
        if self.acked < self.core.state.seq:
            self.wake()
        return [io.Acked(reply.epoch, self.acked)]

    def _pulled(self, reply: m.SyncReply) -> list[io.Input]:
        now_ms = self.clock.mono_ms()
        self.full = False
        lane = self._lanes[Verb.SYNC]
        lane.rest(now_ms + SETTLE_MS)
        lane.want(now_ms + (0 if reply.more else self.pace.pull_ms))
        self._lanes[Verb.STANDING].want(now_ms + SETTLE_MS)
        return [io.DirectoryCame(reply)]

    def _stood(self, reply: m.StandingReply) -> list[io.Input]:
        now_ms, lane = self.clock.mono_ms(), self._lanes[Verb.STANDING]
        lane.rest(now_ms + SETTLE_MS)
        if len(reply.commands) == m.MAX_STANDING:
            lane.want(now_ms)
        return [io.StandingCame(tuple(reply.commands))] if reply.commands else []


def _inflate(raw: bytes) -> bytes:
    """Unpack a directory, bounded. A reply that is no zlib stream is a plain `Trouble`."""
    if raw[:1] == b"{":
        return raw
    box = zlib.decompressobj()
    text = box.decompress(raw, MAX_DIRECTORY_BYTES)
    if box.unconsumed_tail:
        raise m.MessageError("too_large", f"a directory has at most {MAX_DIRECTORY_BYTES} bytes")
    return text
