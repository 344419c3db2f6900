"""Which banks are there: a heartbeat each second, gone after 2.5 s without one. Kept in memory, from the event loop.

A connection that ended (as the fabric tells) takes a bank offline at once; only a heartbeat brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cubbyhole.protocol import messages as m

GONE_AFTER_S = 2.5
LAG_ALARM_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What the server has for a bank, as the newest look into the database found it."""

    controller: str
    epoch: str
    acked: int
    quarantined: bool
    standing: int
    last_seen_ms: int | None


@dataclass(slots=True)
class _Pulse:
    """The last sign of life of one bank."""

    beat: m.Beat
    heard_s: float
    heard_ms: int
    online: bool = True
    behind_since_s: float | None = None
    lagging: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the screens say about a bank's presence."""

    online: bool
    offline_since_ms: int | None
    lagging: bool = False


class Heartbeats:
    """``mono_s`` and ``now_ms`` are the clocks; ``changed`` hears of a bank that comes, goes, lags or catches up."""

    def __init__(
        self, mono_s: Callable[[], float], now_ms: Callable[[], int], changed: Callable[[str, bool], None]
    ) -> None:
        self._mono_s, self._now_ms, self._changed = mono_s, now_ms, changed
        self._pulses: dict[str, _Pulse] = {}
        self._known: dict[str, Standing] = {}
        self._directory = 0

    # -- what the database says ---------------------------------------------------------------------------------

    def learn(self, directory: int, known: dict[str, Standing]) -> None:
        """Take the newest look into the database. Banks that are gone from it are forgotten."""
        self._directory = max(directory, self._directory)
        self._known = known
        for bank in self._pulses.keys() - known.keys():
            del self._pulses[bank]

    def committed(self, bank: str, epoch: str, seq: int) -> None:
        """A batch was committed by this process; no need to wait for the next look."""
        old = self._known.get(bank)
        if old is not None:
            self._known[bank] = Standing(old.controller, epoch, seq, False, old.standing, old.last_seen_ms)

    # -- what the banks say -------------------------------------------------------------------------------------

    def beat(self, beat: m.Beat) -> m.BeatReply | None:
        """Note a heartbeat; None where the server does not know the bank."""
        known = self._known.get(beat.bank)
        if known is None:
            return None
        old = self._pulses.get(beat.bank)
        pulse = _Pulse(beat, self._mono_s(), self._now_ms())
        if old is not None:
            pulse.behind_since_s, pulse.lagging = old.behind_since_s, old.lagging
        self._pulses[beat.bank] = pulse
        if old is None or not old.online:
            self._changed(beat.bank, True)
        return m.BeatReply(
            at=pulse.heard_ms,
            directory=self._directory,
            standing=known.standing,
            # In quarantine nothing is said, or the bank would send its suspect lines again and again.
            acked_epoch=None if known.quarantined else known.epoch,
            acked=known.acked,
        )

    def disconnected(self, controller: str) -> None:
        """The fabric says that this controller has no connection any more."""
        for bank, known in self._known.items():
            if known.controller == controller:
                self._gone(bank)

    def sweep(self) -> None:
        """Call several times a second: banks that were silent too long go offline."""
        limit_s = self._mono_s() - GONE_AFTER_S
        for bank, pulse in list(self._pulses.items()):
            if pulse.online and pulse.heard_s < limit_s:
                self._gone(bank)

    def _gone(self, bank: str) -> None:
        pulse = self._pulses.get(bank)
        if pulse is not None and pulse.online:
            pulse.online = False
            self._changed(bank, False)

    # -- what others ask ----------------------------------------------------------------------------------------

    def seen(self, bank: str) -> Seen:
        pulse = self._pulses.get(bank)
        if pulse is not None:
            return Seen(pulse.online, None if pulse.online else pulse.heard_ms, pulse.online and pulse.lagging)
        known = self._known.get(bank)
        return Seen(False, known.last_seen_ms if known is not None else None)

    def knows(self, bank: str) -> bool:
        return bank in self._known

    @property
    def controllers(self) -> frozenset[str]:
        return frozenset(known.controller for known in self._known.values())

    def heard(self) -> dict[str, int]:
        """When each bank was last heard, for keeping over a restart."""
        return {bank: pulse.heard_ms for bank, pulse in self._pulses.items()}

    def ahead(self) -> tuple[int, dict[str, int]]:
        """The highest directory version and, by bank, the standing ordinal beyond what the server has: it was
        restored from a backup, and its numbers must go on above these."""
        directory = max((p.beat.directory for p in self._pulses.values()), default=0)
        standing = {
            bank: pulse.beat.standing
            for bank, pulse in self._pulses.items()
            if bank in self._known and pulse.beat.standing > self._known[bank].standing
        }
        return (directory if directory > self._directory else 0), standing

    def behind(self) -> list[tuple[str, m.Nudge]]:
        """Who has something to pull, with the nudge that says so."""
        found = []
        for bank, pulse in self._pulses.items():
            known = self._known.get(bank)
            if known is None or not pulse.online:
                continue
            if pulse.beat.directory < self._directory or pulse.beat.standing < known.standing:
                found.append((bank, m.Nudge(directory=self._directory, standing=known.standing)))
                pulse.behind_since_s = pulse.behind_since_s or self._mono_s()
            else:
                pulse.behind_since_s = None
        return found

    def lagging(self) -> Iterable[tuple[str, bool]]:
        """Banks that began or ceased to lag behind although they are online: (bank, lags now)."""
        now_s = self._mono_s()
        for bank, pulse in self._pulses.items():
            late = pulse.behind_since_s is not None and now_s - pulse.behind_since_s > LAG_ALARM_AFTER_S
            if late != pulse.lagging:
                pulse.lagging = late
                self._changed(bank, pulse.online)
                yield bank, late
