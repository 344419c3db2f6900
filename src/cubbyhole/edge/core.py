"""A bank's core: inputs in, one durable commit, effects out. No I/O of its own, no clock of its own, one thread.

`BankCore.handle` takes everything that is waiting, decides each in order against the state as it then is, and
commits all of it at once: that is the group commit. Effects leave only when the commit has been synced. A disk that
cannot take it turns every grant of the group into a denial, and the state goes back to what is on the disk.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.decide import (
    GESTURE_AFTER_MS,
    Denied,
    Granted,
    Tap,
    decide_open,
    decide_tap,
)
from cubbyhole.domain.directory import Directory, DirectoryError, Row
from cubbyhole.domain.ending import all_due, end, untimed
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.standing import Standing, execute, is_waiting
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Reason
from cubbyhole.domain.watch import Limits, Watch
from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import Clock, ClockJudge
from cubbyhole.edge.store import SNAPSHOT_EVERY, DirectoryChange, Loaded, StoreFull
from cubbyhole.protocol.digest import credential_digest, unknown_credential
from cubbyhole.protocol.journal import encode_line
from cubbyhole.protocol.messages import (
    CLAIM_VALID_MS,
    CommandAnswer,
    Head,
    StandingCommand,
)
from cubbyhole.protocol.signing import public_text, sign

GESTURE_WITHIN_MS = 5_000
SAME_TAP_MS = 700
BACKLOG_MOST = 1_000


class Store(Protocol):
    """Where the core keeps its journal: `edge.store.BankStore`, or the world simulator's disk."""

    def epoch(self) -> str | None: ...
    def begin_epoch(self, epoch: str) -> None: ...
    def load(self) -> Loaded | None: ...
    def directory(self) -> tuple[Directory, bytes | None]: ...
    def commit(
        self,
        epoch: str,
        first: int,
        lines: Sequence[tuple[bytes, bytes]],
        head: Head,
        change: DirectoryChange | None = None,
    ) -> None: ...
    def snapshot(self, state: BankState) -> None: ...
    def acknowledge(self, seq: int) -> None: ...
    def keep_reserve(self) -> bool: ...
    def give_up_reserve(self) -> None: ...


class BankCore:
    """One bank. Call `start` once, then `handle` from one thread for ever."""

    def __init__(
        self,
        settings: io.BankSettings,
        store: Store,
        key: Ed25519PrivateKey,
        controller: str,
        clock: Clock,
        mint: Callable[[str], str],
        boot: str,
        version: str,
    ) -> None:
        self.settings, self._store, self._key, self._controller = (
            settings,
            store,
            key,
            controller,
        )
        self._clock, self._mint, self._boot, self._version = clock, mint, boot, version
        self._judge = ClockJudge(settings.trust_rtc)
        self._limits = Limits(settings.open_within_ms, settings.held_open_ms, settings.springs)
        self.state = BankState(bank=settings.bank)
        self.directory = Directory()
        self._bank_key: bytes | None = None
        self._hash = b""
        self._watches: dict[str, Watch] = {}
        self._kernel_sync = False
        self._open_tap: dict[str, tuple[str, int]] = {}
        self._last_tap: dict[str | None, tuple[str, int]] = {}
        self._waiting: list[StandingCommand] = []
        self._looks: dict[str, io.Look] = {}
        self._touched: set[str] = set()  # lockers whose light may have changed
        self._yours_until: dict[str, int] = {}
        self._lost: tuple[int, int, int] | None = None  # events, denials, since ms
        self._staged: list[tuple[bytes, bytes]] = []
        self._change: DirectoryChange | None = None
        self._snapshot_seq = 0
        self._in_flight: set[str] = set()  # grants handed to the unlocker that it has not reported on

    # -- life ---------------------------------------------------------------------------------------------------

    def start(
        self,
        kernel_sync: bool,
        epoch_started: Callable[[], ev.EpochStarted] | None = None,
    ) -> None:
        """Load what the disk has, or begin an epoch; settle what a crash left open. Raises StoreFull or StoreBroken.

        ``epoch_started`` makes the first event of a new epoch where it continues another controller's.
        """
        self._kernel_sync = kernel_sync
        loaded = self._store.load()
        self.directory, self._bank_key = self._store.directory()
        first: list[ev.Event] = []
        if loaded is None:
            epoch = self._mint("")
            self._store.begin_epoch(epoch)
            self._hash = genesis(self.settings.bank, epoch)
            self.state = BankState(bank=self.settings.bank)
            self._epoch = epoch
            key = public_text(self._key)
            started = epoch_started() if epoch_started is not None else None
            first.append(started or ev.EpochStarted(controller=self._controller, journal_key=key))
        else:
            self.state, self._hash, self._epoch = (
                loaded.state,
                loaded.last_hash,
                loaded.state.epoch,
            )
        first.append(ev.BootStarted(version=self._version))
        doubt = self._judge.at_boot(
            self._clock.wall_ms(),
            self._clock.mono_ms(),
            self.state.highest_ms,
            kernel_sync,
        )
        if doubt is not None and not self.state.clock_in_doubt:
            first.append(doubt)
        moment = self._moment()
        for event in first:
            self._stage(event, None, moment)
        moment = self._moment()  # whether it is in doubt is known now
        s = self.settings
        configured = ev.BankConfigured(
            label=s.label,
            area=s.area,
            site=s.site,
            columns=s.columns,
            reader=s.reader,
            senses_lock=s.senses_lock,
            senses_occupancy=s.senses_occupancy,
            drives_lights=s.drives_lights,
        )
        if loaded is None or self._is_new(configured):
            self._stage(configured, None, moment)
        for grant, number in self.state.open_grants():
            # Whether the frame left before the crash nobody knows; it is never sent again.
            self._stage(
                ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.UNKNOWN),
                None,
                moment,
            )
        if self.state.contact_lost_ms is None and loaded is not None:
            self._stage(ev.ContactLost(last_ms=loaded.state.highest_ms), None, moment)
        elif loaded is None:
            self._stage(ev.ContactLost(last_ms=moment.at_ms), None, moment)
        self._commit()
        self._watches = {number: Watch() for number in self.state.lockers}
        self._touched.update(self.state.lockers)

    def _is_new(self, e: ev.BankConfigured) -> bool:
        b = self.state
        return (b.label, b.area, b.site, b.columns, b.reader, b.senses_lock, b.senses_occupancy) != (
            e.label,
            e.area,
            e.site,
            e.columns,
            e.reader,
            e.senses_lock,
            e.senses_occupancy,
        )

    @property
    def epoch(self) -> str:
        return self._epoch

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
        if not self._staged:
            return effects + self._lights(moment)
        if self._lost is not None and any(_grants(effect) for effect in effects):
            return self._refuse_all(effects, moment)  # what room there is belongs to alarms and denials
        try:
            self._commit()
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
                    self._stage(settled, None, moment)
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
                if item.epoch == self._epoch:
                    self._store.acknowledge(item.seq)
            case io.ServerAnswered():
                self._heard(item)
            case io.ServerSilent():
                if self.state.contact_lost_ms is None:
                    self._stage(
                        ev.ContactLost(last_ms=min(item.last_ms, moment.at_ms)),
                        None,
                        moment,
                    )

    # -- taps and commands --------------------------------------------------------------------------------------

    def _tap(self, item: io.TapSeen, moment: Moment, effects: list[io.Effect]) -> None:
        key = self._bank_key or bytes(32)
        digest = credential_digest(key, item.canonical)
        last = self._last_tap.get(item.locker)
        self._last_tap[item.locker] = (digest, item.mono_ms)
        if last is not None and last[0] == digest and item.mono_ms - last[1] < SAME_TAP_MS:
            return  # a reader repeats a badge that is held against it: still one presentation
        tap = Tap(
            item.locker,
            digest,
            "" if digest in self.directory.credentials else unknown_credential(key, item.canonical),
            self._is_again(item, digest, moment),
        )
        if moment.mono_ms - item.mono_ms > io.TAP_LIVES_MS:
            denied = ev.TapDenied(
                reason=Reason.LATE,
                locker=item.locker,
                offline=self.state.contact_lost_ms is not None,
            )
            self._stage(denied, None, moment)
            effects.append(io.Said(item, Denied((denied,), Reason.LATE, item.locker)))
            return
        decision = decide_tap(self.state, self.directory, tap, moment, self._mint)
        known = self.directory.credentials.get(digest)
        for event in decision.events:
            self._stage(event, known.person if known is not None else None, moment)
        effects.append(io.Said(item, decision))
        if isinstance(decision, Granted):
            self._yours_until[decision.locker] = moment.mono_ms + 10_000
            if decision.unlock:
                effects.append(
                    io.Unlock(
                        decision.locker,
                        decision.grant,
                        item.mono_ms,
                        item.mono_ms + io.UNLOCK_LIVES_MS,
                    )
                )
        elif isinstance(decision, Denied) and decision.locker is not None:
            effects.append(io.Light(decision.locker, io.Look.DENIED))

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
        known = self.state.answered.get(c.command)
        if known is not None:
            effects.append(
                io.Answer(
                    item.token,
                    CommandAnswer(command=c.command, outcome=known.outcome, reason=known.reason),
                )
            )
            return
        if moment.mono_ms - item.mono_ms > CLAIM_VALID_MS:
            done = ev.CommandDone(command=c.command, kind=c.kind, outcome="refused", reason=Reason.LATE)
            self._stage(done, c.actor, moment)
            effects.append(
                io.Answer(
                    item.token,
                    CommandAnswer(command=c.command, outcome="refused", reason=Reason.LATE),
                )
            )
            return
        made = decide_open(
            self.state,
            self.directory,
            c.command,
            c.locker,
            c.reason,
            c.note,
            c.person,
            moment,
            self._mint,
        )
        for event in made.events:
            self._stage(event, c.actor, moment)
        if isinstance(made, Granted):
            if made.unlock:
                effects.append(
                    io.Unlock(
                        made.locker,
                        made.grant,
                        item.mono_ms,
                        item.mono_ms + CLAIM_VALID_MS,
                        c.command,
                    )
                )
            effects.append(io.Answer(item.token, CommandAnswer(command=c.command, outcome="done")))
        else:
            effects.append(
                io.Answer(
                    item.token,
                    CommandAnswer(command=c.command, outcome="refused", reason=made.reason),
                )
            )

    def _standing(self, commands: Sequence[StandingCommand], moment: Moment) -> None:
        for c in sorted((*self._waiting, *commands), key=lambda c: c.ordinal):
            if c.ordinal <= self.state.standing:
                continue
            mode = Mode(c.mode) if c.mode in list(Mode) else None
            made = Standing(
                command=c.command,
                ordinal=c.ordinal,
                kind=c.kind,
                locker=c.locker,
                reason=c.reason,
                not_after_ms=c.not_after_ms,
                needs_directory=c.needs_directory,
                assignment=c.assignment,
                person=c.person,
                mode=mode,
                ends_ms=c.ends_ms,
                note=c.note,
            )
            if is_waiting(self.directory, made):
                break  # in order: what comes behind waits too, until the directory is here
            for event in execute(self.state, self.directory, made, moment, self._mint).events:
                self._stage(event, c.actor, moment)
        # Whatever is left is pulled again from the server, which keeps it until its outcome is in the journal.
        self._waiting = []

    # -- hardware -----------------------------------------------------------------------------------------------

    def _polled(self, item: io.Polled, moment: Moment) -> None:
        back = tuple(n for n in item.readings if self.state.lockers[n].link_lost)
        if back:
            self._stage(ev.LinkRestored(link=item.link, lockers=back), None, moment)
        for number, reading in item.readings.items():
            s = self.state.lockers[number]
            for event in self._watches[number].read(s, reading, item.mono_ms):
                # Who a sensor saw is not known: only what a grant allowed is somebody's doing.
                self._stage(event, None, moment)
                if s.door is Door.CLOSED and s.armed and s.assignment is not None:
                    ended = end(self.state, self.directory, s, Cause.RELEASED, moment)
                    self._stage(ended, ended.person, moment)
            for event in self._watches[number].tick(s, self._limits, item.mono_ms):
                self._stage(event, None, moment)

    def _link_down(self, item: io.LinkDown, moment: Moment) -> None:
        fresh = tuple(n for n in item.numbers if not self.state.lockers[n].link_lost)
        if not fresh:
            return
        for number in fresh:
            for event in self._watches[number].lost(self.state.lockers[number]):
                self._stage(event, None, moment)
        self._stage(ev.LinkLost(link=item.link, lockers=fresh), None, moment)

    # -- time, contact, directory -------------------------------------------------------------------------------

    def _tick(self, item: io.Tick, moment: Moment) -> None:
        if self.state.clock_in_doubt and item.kernel_sync and self._clock.wall_ms() >= self.state.highest_ms - 5_000:
            self._stage(ev.ClockTrusted(source="kernel"), None, moment)
        self._touched.update(self._yours_until)
        self._yours_until = {n: until for n, until in self._yours_until.items() if until > moment.mono_ms}
        for grant, number in self.state.open_grants():
            if grant not in self._in_flight and self._watches[number].grant != grant:
                # Its report was in a commit that the disk refused: nobody knows any more.
                self._stage(
                    ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.UNKNOWN),
                    None,
                    moment,
                )
        for event in (
            *all_due(self.state, self.directory, moment),
            *untimed(self.state, self.directory, moment),
        ):
            self._stage(event, None, moment)
        if self._lost is not None and self._store.keep_reserve():
            events, denials, since_ms = self._lost
            self._lost = None
            self._stage(
                ev.JournalLost(events=events, denials=denials, since_ms=since_ms),
                None,
                moment,
            )

    def _heard(self, item: io.ServerAnswered) -> None:
        news = self._judge.heard(
            self._clock.wall_ms(),
            self.state.highest_ms,
            item.at_ms,
            item.round_trip_ms,
            self._kernel_sync,
            self.state.clock_in_doubt,
        )
        moment = self._moment()
        if news is not None:
            self._stage(news, None, moment)
        if self.state.contact_lost_ms is not None:
            self._stage(
                ev.ContactRestored(lost_ms=max(0, moment.at_ms - self.state.contact_lost_ms)),
                None,
                moment,
            )

    def _directory(self, item: io.DirectoryCame, moment: Moment, effects: list[io.Effect]) -> None:
        r = item.reply
        rows: tuple[Row, ...] = (*r.people, *r.credentials, *r.rules)
        if not r.full and r.upto < self.directory.version:
            return
        new_version = r.upto != self.directory.version or r.full
        try:
            self.directory.apply(
                version=r.upto,
                rows=rows,
                deletes=r.deletes,
                expected_hash=r.content_hash,
                full=r.full,
            )
        except DirectoryError:
            effects.append(io.Resync())
            return
        self.directory.calendar = r.calendar
        key = self._bank_key = base64.b64decode(r.key)
        change = DirectoryChange(
            version=r.upto,
            full=r.full,
            rows=rows,
            deletes=tuple(r.deletes),
            calendar=r.calendar,
            key=key,
        )
        if self._change is None:
            self._change = change
        else:
            was = self._change
            self._change = (
                change
                if change.full
                else DirectoryChange(
                    version=change.version,
                    full=was.full,
                    rows=(*was.rows, *change.rows),
                    deletes=(*was.deletes, *change.deletes),
                    calendar=change.calendar,
                    key=change.key,
                )
            )
        if new_version:
            self._stage(
                ev.DirectoryApplied(version=r.upto, content_hash=r.content_hash),
                None,
                moment,
            )

    # -- journal ------------------------------------------------------------------------------------------------

    def _judged_moment(self, group: Sequence[io.Input]) -> Moment:
        """The group's moment. The clock is judged first: a line stamped from a clock that has just jumped ahead would
        hold the bank's time there for good."""
        for item in group:
            if isinstance(item, io.Tick):
                self._kernel_sync = item.kernel_sync
        wall_ms, mono_ms = self._clock.wall_ms(), self._clock.mono_ms()
        doubt = self._judge.tick(wall_ms, mono_ms, self._kernel_sync, self.state.clock_in_doubt)
        moment = self._moment()
        if doubt is not None:
            self._stage(doubt, None, moment)
            moment = self._moment()
        return moment

    def _moment(self) -> Moment:
        wall_ms = self._clock.wall_ms() + self._judge.offset_ms
        return Moment(
            max(wall_ms, self.state.highest_ms),
            self._clock.mono_ms(),
            self._boot,
            not self.state.clock_in_doubt,
        )

    def _stage(self, event: ev.Event, actor: str | None, moment: Moment) -> None:
        seq = self.state.seq + 1
        raw = encode_line(
            bank=self.settings.bank,
            epoch=self._epoch,
            seq=seq,
            moment=moment,
            actor=actor,
            event=event,
        )
        self._hash = link(self._hash, raw)
        self._staged.append((raw, self._hash))
        self.state.apply(event, seq, moment)
        self.state.epoch = self._epoch
        number = ev.locker_of(event)
        if number is not None:
            self._touched.add(number)
        elif isinstance(event, ev.LinkLost | ev.LinkRestored):
            self._touched.update(event.lockers)

    def _commit(self) -> None:
        staged, change = self._staged, self._change
        self._staged, self._change = [], None
        seq = self.state.seq
        head = Head(
            seq,
            self._hash.hex(),
            sign(self._key, head_text(self.settings.bank, self._epoch, seq, self._hash)),
        )
        self._store.commit(self._epoch, seq - len(staged) + 1, staged, head, change)
        if seq - self._snapshot_seq >= SNAPSHOT_EVERY:
            self._snapshot_seq = seq
            self._store.snapshot(self.state)

    def _refuse_all(self, effects: list[io.Effect], moment: Moment) -> list[io.Effect]:
        """Nothing of the group was written: go back to what the disk has, deny every tap, and say so in the reserve."""
        self._staged, self._change = [], None
        loaded = self._store.load()
        assert loaded is not None, "an epoch was begun before any input"
        lost = self.state.seq - loaded.state.seq
        self.state, self._hash = loaded.state, loaded.last_hash
        self.directory, self._bank_key = self._store.directory()
        for watch in self._watches.values():
            watch.reread()
        self._touched.update(self.state.lockers)
        self._store.give_up_reserve()
        taps = [e for e in effects if isinstance(e, io.Said)]
        since = self._lost or (0, 0, moment.at_ms)
        self._lost = (since[0] + lost, since[1] + len(taps), since[2])
        refused: list[io.Effect] = []
        for said in taps:
            denied = ev.TapDenied(reason=Reason.DISK_FULL, locker=said.tap.locker)
            refused.append(io.Said(said.tap, Denied((denied,), Reason.DISK_FULL, said.tap.locker)))
            if said.tap.locker is not None:
                refused.append(io.Light(said.tap.locker, io.Look.DENIED))
        for answer in (e for e in effects if isinstance(e, io.Answer)):
            full = CommandAnswer(
                command=answer.answer.command,
                outcome="refused",
                reason=Reason.DISK_FULL,
            )
            refused.append(io.Answer(answer.token, full))
        if taps:
            # Repeats are coalesced: one denial a group, the rest is counted in `journal.lost`.
            self._stage(
                ev.TapDenied(reason=Reason.DISK_FULL, locker=taps[0].tap.locker),
                None,
                self._moment(),
            )
            try:
                self._commit()
            except StoreFull:
                again = self._store.load()
                assert again is not None
                self.state, self._hash = again.state, again.last_hash
        return refused

    # -- lights -------------------------------------------------------------------------------------------------

    def _lights(self, moment: Moment) -> list[io.Effect]:
        """The lights that changed, looking only where something happened since the last time."""
        if not self.settings.drives_lights:
            return []
        changed: list[io.Effect] = []
        touched, self._touched = self._touched, set()
        for number in touched:
            s = self.state.lockers.get(number)
            if s is None:
                continue
            look = self._look(s, moment)
            if self._looks.get(number) is not look:
                self._looks[number] = look
                changed.append(io.Light(number, look))
        return changed

    def _look(self, s: LockerState, moment: Moment) -> io.Look:
        if s.armed:
            return io.Look.RELEASING
        if s.out_of_service is not None:
            return io.Look.OUT_OF_SERVICE
        if self._yours_until.get(s.number, 0) > moment.mono_ms:
            return io.Look.YOURS
        return io.Look.FREE if s.not_offered() is None else io.Look.OFF


def _grants(effect: io.Effect) -> bool:
    """Whether the effect lets somebody in."""
    match effect:
        case io.Said(decision=Granted()) | io.Unlock() | io.Answer(answer=CommandAnswer(outcome="done")):
            return True
    return False
