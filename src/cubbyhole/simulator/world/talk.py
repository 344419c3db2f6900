"""What a bank and the server say to each other, over the wire of the world.

The rules of the conversation (which batch is next, what an answer means, when to pull) are `edge.uplink.Uplink`'s own
methods; its endless loops are replaced by things that come at a virtual time. Heartbeats that could bring nothing are
left out: one comes each second only while something about the contact is new.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from cubbyhole.edge import inputs as io
from cubbyhole.edge.uplink import SILENT_AFTER_MS, _inflate
from cubbyhole.protocol import messages as m
from cubbyhole.simulator.world.machine import Machine
from cubbyhole.simulator.world.office import Office
from cubbyhole.simulator.world.wire import Weather, Wire

BEAT_MS = 1_000
QUIET_BEAT_MS = 900_000
ALERT_MS = 12_000
PULL_MS = 6 * 3_600_000


class Talk:
    """The conversation of one bank. Lives as long as the bank; a reboot starts it over (`restart`)."""

    def __init__(self, machine: Machine, office: Office, wire: Wire, pace_ms: int) -> None:
        self.machine, self.office, self.wire, self.pace_ms = machine, office, wire, pace_ms
        self._kernel = machine.kernel
        self._alert_until_ms = 0
        self._beat_at_ms = 0
        self._beating = 0
        self._sending = self._send_due = self._pulling = self._standing = False
        self._pause_ms = 0
        self._last_heard_ms = self._last_heard_true_ms = 0
        self._quiet = False
        office.banks[machine.settings.bank].nudge = self._to_bank(self._nudged)

    def restart(self) -> None:
        """The controller is up (again)."""
        self._sending = self._send_due = self._pulling = self._standing = False
        self._pause_ms = 0
        self._quiet = False
        self._heard()
        self.alert()
        self._kernel.after(PULL_MS, self._pull_again, self.machine.life)

    def alert(self) -> None:
        """Something about the contact is new: beat each second for a while."""
        self._alert_until_ms = self._kernel.now_ms + ALERT_MS
        self._pause_ms = 0
        if self.machine.alive:
            self._beating += 1
            self._beat(self.machine.life, self._beating)

    def wake(self) -> None:
        """There are new lines, or something to pull."""
        if not self._send_due and not self._sending and self.machine.alive:
            self._send_due = True
            self._kernel.after(self.pace_ms + self._pause_ms, self._send, self.machine.life)
        uplink = self.machine.uplink
        if uplink._pull.is_set():
            self._pull()

    def _to_bank(self, take: Callable[[bytes], object]) -> Callable[[bytes], None]:
        def carry(raw: bytes) -> None:
            life = self.machine.life

            def arrive(payload: bytes) -> None:
                if self.machine.alive and self.machine.life == life:
                    take(payload)

            self.wire.carry(arrive, raw)

        return carry

    def _ask(
        self, serve: Callable[[bytes], bytes | None], message: m.Message, answered: Callable[[bytes], Any],
        silent: Callable[[], Any], patience_ms: int,
    ) -> None:  # fmt: skip
        life, machine = self.machine.life, self.machine

        def heard(raw: bytes) -> None:
            if machine.life == life:
                answered(raw)

        def unheard() -> None:
            if machine.life == life:
                silent()

        self.wire.ask(serve, m.encode(message), heard, unheard, patience_ms)

    # -- heartbeat ----------------------------------------------------------------------------------------------

    def _beat(self, life: int, beating: int) -> None:
        machine = self.machine
        if life != machine.life or beating != self._beating:
            return
        core, asked_ms = machine.core, machine.clock.mono_ms()
        state = core.state
        if self._quiet and state.contact_lost_ms is None:
            self._heard()  # the beats that were left out had all been answered
        beat = m.Beat(
            bank=state.bank, epoch=core.epoch, seq=state.seq, directory=core.directory.version, standing=state.standing,
            at=machine.clock.wall_ms(), mono=asked_ms, boot=state.boot, sync=not state.clock_in_doubt,
            in_doubt=state.clock_in_doubt,
        )  # fmt: skip

        def answered(raw: bytes) -> None:
            reply = m.decode(m.BeatReply, raw)
            self._heard()
            lost = core.state.contact_lost_ms is not None
            machine.post(io.ServerAnswered(reply.at, machine.clock.mono_ms() - asked_ms))
            machine.uplink._compare(reply.directory, reply.standing)
            if lost or machine.uplink.acked < core.state.seq:
                self.wake()
            self._follow()

        def silent() -> None:
            if self._kernel.now_ms - self._last_heard_true_ms > SILENT_AFTER_MS:
                machine.post(io.ServerSilent(self._last_heard_ms))
            elif self._kernel.now_ms >= self._alert_until_ms:
                self.alert()

        self._ask(self.office.serve_beat, beat, answered, silent, 2_000)
        lag = core.directory.version < len(self.office.banks[state.bank].editions)
        can_answer = self.wire.weather is not Weather.CUT and self.office.up
        quick = self._kernel.now_ms < self._alert_until_ms
        quick = quick or (can_answer and (state.clock_in_doubt or (lag and state.contact_lost_ms is None)))
        self._quiet = not quick
        self._kernel.after(BEAT_MS if quick else QUIET_BEAT_MS, self._beat, life, beating)

    def _heard(self) -> None:
        self._last_heard_ms, self._last_heard_true_ms = self.machine.clock.wall_ms(), self._kernel.now_ms

    def _nudged(self, payload: bytes) -> None:
        self.machine.uplink.nudged(payload)
        self._follow()

    def _follow(self) -> None:
        uplink = self.machine.uplink
        if uplink._pull.is_set():
            self._pull()
        if uplink._stand.is_set():
            self._stand()

    # -- events -------------------------------------------------------------------------------------------------

    def _send(self, life: int) -> None:
        machine = self.machine
        self._send_due = False
        if life != machine.life or self._sending:
            return
        batch = machine.uplink.batch()
        if batch is None:
            return
        self._sending = True

        def answered(raw: bytes) -> None:
            self._sending = False
            self._pause_ms = 0
            machine.uplink.took(m.decode(m.EventsReply, raw))
            if machine.uplink.acked < machine.core.state.seq:
                self.wake()

        def silent() -> None:
            self._sending = False
            self._pause_ms = min(300_000, max(400, self._pause_ms * 3))
            self.wake()

        self._ask(self.office.serve_events, batch, answered, silent, 5_000)

    # -- directory and standing commands ------------------------------------------------------------------------

    def _pull_again(self, life: int) -> None:
        if life == self.machine.life:
            self.machine.uplink._pull.set()
            self._pull()
            self._kernel.after(PULL_MS, self._pull_again, life)

    def _pull(self) -> None:
        if self._pulling or not self.machine.alive:
            return
        self._pulling = True
        machine, uplink = self.machine, self.machine.uplink
        uplink._pull.clear()
        directory = machine.core.directory
        have = 0 if uplink._full else directory.version
        request = m.SyncRequest(bank=machine.settings.bank, have=have, content_hash=directory.content_hash)

        def answered(raw: bytes) -> None:
            self._pulling = False
            try:
                reply = m.decode(m.SyncReply, _inflate(raw))
            except (m.MessageError, zlib.error):
                return
            uplink._full = False
            machine.post(io.DirectoryCame(reply))
            uplink._stand.set()
            self._follow()

        def silent() -> None:
            self._pulling = False
            self._alert_until_ms = max(self._alert_until_ms, self._kernel.now_ms + 3_000)

        self._ask(self.office.serve_sync, request, answered, silent, 5_000)

    def _stand(self) -> None:
        machine, uplink = self.machine, self.machine.uplink
        uplink._stand.clear()
        if self._standing or uplink._standing_head <= machine.core.state.standing:
            return
        self._standing = True
        request = m.StandingRequest(bank=machine.settings.bank, after=machine.core.state.standing)

        def answered(raw: bytes) -> None:
            self._standing = False
            reply = m.decode(m.StandingReply, raw)
            if reply.commands:
                machine.post(io.StandingCame(tuple(reply.commands)))

        def silent() -> None:
            self._standing = False

        self._ask(self.office.serve_standing, request, answered, silent, 5_000)

    # -- live commands ------------------------------------------------------------------------------------------

    def order(self, command: m.LiveCommand) -> None:
        """The server asks for a door, now or never."""
        self._to_bank(self._live)(m.encode(command))

    def _live(self, payload: bytes) -> None:
        machine = self.machine
        command = m.decode(m.LiveCommand, payload)
        if command.command in machine.core.state.answered or command.locker not in machine.doors:
            return
        turn_ms = machine.take_slot(command.locker)
        if turn_ms is not None:
            self._kernel.at(turn_ms, self._claim, machine.life, command)

    def _claim(self, life: int, command: m.LiveCommand) -> None:
        machine = self.machine
        if life != machine.life:
            return
        asked_ms = machine.clock.mono_ms()

        def answered(raw: bytes) -> None:
            if not m.decode(m.ClaimReply, raw).go:
                machine.give_slot_back(command.locker)
                return
            # The server's word is a second old at most when it is acted on: it counts from the question.
            machine.post(io.Claimed(command, command, asked_ms))
            self._kernel.after(2_000, self._slot_back, life, command.locker)

        self._ask(
            self.office.serve_claim, m.Claim(bank=machine.settings.bank, command=command.command), answered,
            lambda: machine.give_slot_back(command.locker), 1_000,
        )  # fmt: skip

    def _slot_back(self, life: int, locker: str) -> None:
        if life == self.machine.life:
            self.machine.give_slot_back(locker)
