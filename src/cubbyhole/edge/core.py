"""A bank's core: inputs in, one durable commit, effects out. No I/O of its own, no clock of its own, one thread.

`BankCore.handle` takes everything that is waiting, decides each in order against the state as it then is, and
commits all of it at once: that is the group commit. Effects leave only when the commit has been synced. A disk that
cannot take it turns every grant of the group into a denial, and the state goes back to what is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.decide import GESTURE_AFTER_MS, decide_open, decide_tap
from cubbyhole.domain.decision import Denied, Granted, Noted, Tap
from cubbyhole.domain.directory import Directory, DirectoryError
from cubbyhole.domain.ending import all_due, end, leaving, untimed
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.standing import Standing, execute, is_waiting
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Reason
from cubbyhole.domain.watch import Limits, Watch
from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import BankTime, Clock
from cubbyhole.edge.ledger import Ledger, Store
from cubbyhole.edge.looks import Looks
from cubbyhole.edge.store import StoreFull
from cubbyhole.protocol.digest import credential_digest, unknown_credential
from cubbyhole.protocol.messages import CLAIM_VALID_MS, CommandAnswer, StandingCommand
from cubbyhole.protocol.signing import public_text

GESTURE_WITHIN_MS = 5_000
SAME_TAP_MS = 700


class BankCore:
    """One bank. Call `start` once, then `handle` from one thread for ever."""

    def __init__(
        self, settings: io.BankSettings, store: Store, key: Ed25519PrivateKey, controller: str, clock: Clock,
        mint: Callable[[str], str], boot: str, version: str,
    ) -> None:  # fmt: skip
        self.settings, self._store, self._mint = settings, store, mint
        self._controller, self._public, self._version = controller, public_text(key), version
        self._ledger = Ledger(settings.bank, store, key)
        self._time = BankTime(clock, settings.trust_rtc, boot)
        self._looks = Looks()
        self._limits = Limits(settings.open_within_ms, settings.held_open_ms, settings.springs)
        self._watches: dict[str, Watch] = {}
        self._open_tap: dict[str, tuple[str, int]] = {}
        self._last_tap: dict[str | None, tuple[str, int]] = {}
        self._lost: tuple[int, int, int] | None = None  # events, denials, since ms
        self._in_flight: set[str] = set()  # grants handed to the unlocker that it has not reported on

    @property
    def state(self) -> BankState:
        return self._ledger.state

    @property
    def directory(self) -> Directory:
        return self._ledger.directory

    @property
    def epoch(self) -> str:
        return self._ledger.epoch

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, kernel_sync: bool, epoch_started: Callable[[], ev.EpochStarted] | None = None) -> None:
        """Load what the disk has, or begin an epoch; settle what a crash left open. Raises StoreFull or StoreBroken.

        ``epoch_started`` makes the first event of a new epoch where it continues another controller's.
        """
        is_new = self._ledger.open(self._mint)
        last_ms = self.state.highest_ms
        first: list[ev.Event] = []
        if is_new:
            continued = epoch_started() if epoch_started is not None else None
            first.append(continued or ev.EpochStarted(controller=self._controller, journal_key=self._public))
        first.append(ev.BootStarted(version=self._version))
        doubt = self._time.begin(self.state, kernel_sync)
        if doubt is not None and not self.state.clock_in_doubt:
            first.append(doubt)
        moment = self._moment()
        for event in first:
            self._append(event, None, moment)
        moment = self._moment()  # whether it is in doubt is known now
        s = self.settings
        configured = ev.BankConfigured(
            label=s.label, area=s.area, site=s.site, columns=s.columns, reader=s.reader, senses_lock=s.senses_lock,
            senses_occupancy=s.senses_occupancy, drives_lights=s.drives_lights,
        )  # fmt: skip
        for grant, number in self.state.open_grants():
            # Whether the frame left before the crash nobody knows; it is never sent again.
            self._append(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.UNKNOWN), None, moment)
        if is_new or _differs(self.state, configured):
            for ended in leaving(self.state, configured.columns, moment):
                self._append(ended, None, moment)
            self._append(configured, None, moment)
        if self.state.contact_lost_ms is None:
            self._append(ev.ContactLost(last_ms=moment.at_ms if is_new else last_ms), None, moment)
        self._ledger.commit()
        self._watches = {number: Watch() for number in self.state.lockers}
        self._ledger.touched.update(self.state.lockers)

    # -- one group ----------------------------------------------------------------------------------------------

    def handle(self, group: Sequence[io.Input]) -> list[io.Effect]:
        """Decide every input of ``group``, commit once, and return what to do now."""
        moment = self._judged_moment(group)
        effects: list[io.Effect] = []
        lost = self._lost
        for item in group:
            self._take(item, moment, effects)
            if isinstance(item, io.ServerAnswered):
                moment = self._moment()  # the server may just have taught what time it is
        if not self._ledger.is_staged:
            return effects + self._lights(moment)
        if self._lost is not None and any(_grants(effect) for effect in effects):
            return self._refuse_all(effects, moment)  # what room there is belongs to alarms and denials
        try:
            self._ledger.commit()
        except StoreFull:
            self._lost = lost  # `journal.lost` itself may be among what was not written
            return self._refuse_all(effects, moment)
        self._in_flight.update(e.grant for e in effects if isinstance(e, io.Unlock))
        return effects + self._lights(moment)

    def _take(self, item: io.Input, moment: Moment, effects: list[io.Effect]) -> None:
        match item:
            case io.TapSeen():
                self._tap(item, moment, effects)
            case io.Polled():
                self._polled(item, moment)
            case io.PulseSent():
                self._in_flight.discard(item.grant)
                self._watches[item.locker].released(item.grant, item.asked_ms, item.mono_ms, item.confirmed)
            case io.PulseFailed():
                self._in_flight.discard(item.grant)
                if self.state.lockers[item.locker].grant == item.grant:
                    settled = ev.UnlockSettled(grant=item.grant, locker=item.locker, outcome=item.outcome)
                    self._append(settled, None, moment)
            case io.LinkDown():
                self._link_down(item, moment)
            case io.Tick():
                self._tick(item, moment)
            case io.Claimed():
                self._claimed(item, moment, effects)
            case io.StandingCame():
                self._standing(item.commands, moment)
            case io.DirectoryCame():
                self._directory(item, moment, effects)
            case io.Acked():
                if item.epoch == self.epoch:
                    self._store.acknowledge(item.seq)
            case io.LinesGone():
                self._ledger.say_gone(item, moment)
            case io.ServerAnswered():
                self._heard(item)
            case io.ServerSilent():
                if self.state.contact_lost_ms is None:
                    self._append(ev.ContactLost(last_ms=min(item.last_ms, moment.at_ms)), None, moment)

    # -- taps and commands --------------------------------------------------------------------------------------

    def _tap(self, item: io.TapSeen, moment: Moment, effects: list[io.Effect]) -> None:
        key = self._ledger.bank_key or bytes(32)
        digest = credential_digest(key, item.canonical)
        last = self._last_tap.get(item.locker)
        self._last_tap[item.locker] = (digest, item.mono_ms)
        if last is not None and last[0] == digest and item.mono_ms - last[1] < SAME_TAP_MS:
            return  # a reader repeats a badge that is held against it: still one presentation
        known = self.directory.credentials.get(digest)
        unknown = "" if known is not None else unknown_credential(key, item.canonical)
        tap = Tap(item.locker, digest, unknown, self._is_again(item, digest, moment))
        if moment.mono_ms - item.mono_ms > io.TAP_LIVES_MS:
            offline = self.state.contact_lost_ms is not None
            denied = ev.TapDenied(reason=Reason.LATE, locker=item.locker, offline=offline)
            self._append(denied, None, moment)
            effects.append(io.Said(item, Denied((denied,), Reason.LATE, item.locker)))
            return
        decision = decide_tap(self.state, self.directory, tap, moment, self._mint)
        for event in decision.events:
            self._append(event, known.person if known is not None else None, moment)
        effects.append(io.Said(item, decision))
        if isinstance(decision, Granted):
            self._looks.yours(decision.locker, moment.mono_ms)
            if decision.unlock:
                until_ms = item.mono_ms + io.UNLOCK_LIVES_MS
                effects.append(io.Unlock(decision.locker, decision.grant, item.mono_ms, until_ms))
        elif isinstance(decision, Denied) and decision.locker is not None:
            effects.append(io.Light(decision.locker, io.Look.DENIED))
        elif isinstance(decision, Noted) and not decision.armed:
            self._looks.yours(decision.locker, moment.mono_ms)  # kept, and renewed where the rules let them

    def _is_again(self, item: io.TapSeen, digest: str, moment: Moment) -> bool:
        """Whether the same badge was here moments ago while the door had been open long enough for the gesture."""
        s = self.state.lockers.get(item.locker or "")
        if s is None or s.door is not Door.OPEN or s.opened_ms is None or moment.at_ms - s.opened_ms < GESTURE_AFTER_MS:
            return False
        last = self._open_tap.pop(s.number, None)
        if last is not None and last[0] == digest and item.mono_ms - last[1] <= GESTURE_WITHIN_MS:
            return True
        self._open_tap[s.number] = (digest, item.mono_ms)
        return False

    def _claimed(self, item: io.Claimed, moment: Moment, effects: list[io.Effect]) -> None:
        c = item.command

        def answer(outcome: str, reason: str | None) -> None:
            effects.append(io.Answer(item.token, CommandAnswer(command=c.command, outcome=outcome, reason=reason)))

        known = self.state.answered.get(c.command)
        if known is not None:
            answer(known.outcome, known.reason)
            return
        if moment.mono_ms - item.mono_ms > CLAIM_VALID_MS:
            done = ev.CommandDone(command=c.command, kind=c.kind, outcome="refused", reason=Reason.LATE)
            self._append(done, c.actor, moment)
            answer("refused", Reason.LATE)
            return
        made = decide_open(
            self.state, self.directory, c.command, c.locker, c.reason, c.note, c.person, moment, self._mint
        )
        for event in made.events:
            self._append(event, c.actor, moment)
        if isinstance(made, Granted):
            if made.unlock:
                until_ms = item.mono_ms + CLAIM_VALID_MS
                effects.append(io.Unlock(made.locker, made.grant, item.mono_ms, until_ms, c.command))
            answer("done", None)
        else:
            answer("refused", made.reason)

    def _standing(self, commands: Sequence[StandingCommand], moment: Moment) -> None:
        for c in sorted(commands, key=lambda c: c.ordinal):
            if c.ordinal <= self.state.standing:
                continue
            made = Standing(
                command=c.command, ordinal=c.ordinal, kind=c.kind, locker=c.locker, reason=c.reason,
                not_after_ms=c.not_after_ms, needs_directory=c.needs_directory, assignment=c.assignment,
                person=c.person, mode=Mode(c.mode) if c.mode in list(Mode) else None, ends_ms=c.ends_ms, note=c.note,
                candidates=tuple(c.candidates), self_service=c.self_service, hold=c.hold, group=c.group, share=c.share,
                once=c.once,
            )  # fmt: skip
            if is_waiting(self.directory, made):
                # In order: what comes behind waits too, until the directory is here. All of it is pulled again from the
                # server, which keeps it until its outcome is in the journal.
                break
            for event in execute(self.state, self.directory, made, moment, self._mint).events:
                self._append(event, c.actor, moment)

    # -- hardware -----------------------------------------------------------------------------------------------

    def _polled(self, item: io.Polled, moment: Moment) -> None:
        back = tuple(n for n in item.readings if self.state.lockers[n].link_lost)
        if back:
            self._append(ev.LinkRestored(link=item.link, lockers=back), None, moment)
        for number, reading in item.readings.items():
            s = self.state.lockers[number]
            for event in self._watches[number].read(s, reading, item.mono_ms):
                # Who a sensor saw is not known: only what a grant allowed is somebody's doing.
                self._append(event, None, moment)
                if s.door is Door.CLOSED and s.armed and s.assignment is not None:
                    ended = end(self.state, self.directory, s, Cause.RELEASED, moment)
                    self._append(ended, ended.person, moment)
            for event in self._watches[number].tick(s, self._limits, item.mono_ms):
                self._append(event, None, moment)

    def _link_down(self, item: io.LinkDown, moment: Moment) -> None:
        fresh = tuple(n for n in item.numbers if not self.state.lockers[n].link_lost)
        if not fresh:
            return
        for number in fresh:
            for event in self._watches[number].lost(self.state.lockers[number]):
                self._append(event, None, moment)
        self._append(ev.LinkLost(link=item.link, lockers=fresh), None, moment)

    # -- time, contact, directory -------------------------------------------------------------------------------

    def _judged_moment(self, group: Sequence[io.Input]) -> Moment:
        """The group's moment. The clock is judged first: a line stamped from a clock that has just jumped ahead would
        hold the bank's time there for good."""
        synced = None
        for item in group:
            if isinstance(item, io.Tick):
                synced = item.kernel_sync
        doubt = self._time.watch(self.state, synced)
        if doubt is not None:
            self._append(doubt, None, self._moment())
        return self._moment()

    def _moment(self) -> Moment:
        return self._time.moment(self.state)

    def _tick(self, item: io.Tick, moment: Moment) -> None:
        if self.state.clock_in_doubt and self._time.kernel_agrees(self.state, item.kernel_sync):
            self._append(ev.ClockTrusted(source="kernel"), None, moment)
        self._ledger.touched |= self._looks.lapse(moment.mono_ms)
        for grant, number in self.state.open_grants():
            if grant not in self._in_flight and self._watches[number].grant != grant:
                # Its report was in a commit that the disk refused: nobody knows any more.
                self._append(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.UNKNOWN), None, moment)
        for event in (*all_due(self.state, self.directory, moment), *untimed(self.state, self.directory, moment)):
            self._append(event, None, moment)
        if self._lost is not None and self._store.keep_reserve():
            events, denials, since_ms = self._lost
            self._lost = None
            self._append(ev.JournalLost(events=events, denials=denials, since_ms=since_ms), None, moment)

    def _heard(self, item: io.ServerAnswered) -> None:
        news = self._time.heard(self.state, item.at_ms, item.round_trip_ms)
        moment = self._moment()
        if news is not None:
            self._append(news, None, moment)
        if self.state.contact_lost_ms is not None:
            lost_ms = max(0, moment.at_ms - self.state.contact_lost_ms)
            self._append(ev.ContactRestored(lost_ms=lost_ms), None, moment)

    def _directory(self, item: io.DirectoryCame, moment: Moment, effects: list[io.Effect]) -> None:
        try:
            is_new = self._ledger.learn(item.reply)
        except DirectoryError:
            effects.append(io.Resync())
            return
        if is_new:
            applied = ev.DirectoryApplied(version=item.reply.upto, content_hash=item.reply.content_hash)
            self._append(applied, None, moment)

    # -- journal ------------------------------------------------------------------------------------------------

    def _append(self, event: ev.Event, actor: str | None, moment: Moment) -> None:
        self._ledger.append(event, actor, moment)

    def _refuse_all(self, effects: list[io.Effect], moment: Moment) -> list[io.Effect]:
        """Nothing of the group was written: go back to what the disk has, deny every tap, and say so in the reserve."""
        gone = self._ledger.roll_back()
        for watch in self._watches.values():
            watch.reread()
        self._store.give_up_reserve()
        taps = [e.tap for e in effects if isinstance(e, io.Said)]
        since = self._lost or (0, 0, moment.at_ms)
        self._lost = (since[0] + gone, since[1] + len(taps), since[2])
        refused: list[io.Effect] = []
        for tap in taps:
            denied = ev.TapDenied(reason=Reason.DISK_FULL, locker=tap.locker)
            refused.append(io.Said(tap, Denied((denied,), Reason.DISK_FULL, tap.locker)))
            if tap.locker is not None:
                refused.append(io.Light(tap.locker, io.Look.DENIED))
        for asked in (e for e in effects if isinstance(e, io.Answer)):
            full = CommandAnswer(command=asked.answer.command, outcome="refused", reason=Reason.DISK_FULL)
            refused.append(io.Answer(asked.token, full))
        if taps:
            # Repeats are coalesced: one denial a group, the rest is counted in `journal.lost`.
            self._append(ev.TapDenied(reason=Reason.DISK_FULL, locker=taps[0].locker), None, self._moment())
            try:
                self._ledger.commit()
            except StoreFull:
                self._ledger.roll_back()
        return refused

    # -- lights -------------------------------------------------------------------------------------------------

    def _lights(self, moment: Moment) -> list[io.Effect]:
        """The lights that changed, looking only where something happened since the last time."""
        if not self.settings.drives_lights:
            return []
        touched, self._ledger.touched = self._ledger.touched, set()
        return [*self._looks.changes(self.state, touched, moment.mono_ms)]


def _differs(state: BankState, e: ev.BankConfigured) -> bool:
    """Whether the bank is not yet what its settings say."""
    return (
        state.label, state.area, state.site, state.columns, state.reader, state.senses_lock, state.senses_occupancy,
    ) != (e.label, e.area, e.site, e.columns, e.reader, e.senses_lock, e.senses_occupancy)  # fmt: skip


def _grants(effect: io.Effect) -> bool:
    """Whether the effect lets somebody in."""
    match effect:
        case io.Said(decision=Granted()) | io.Unlock() | io.Answer(answer=CommandAnswer(outcome="done")):
            return True
    return False
