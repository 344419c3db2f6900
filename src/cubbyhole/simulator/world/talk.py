"""Carries what a bank and the server say to each other over the wire of the world.

What is said and when is `edge.conversation.Conversation`'s own decision. Only its pace is the world's: heartbeats that
could bring nothing are left out, one comes each second while something about the contact is new; and a bank gathers
lines for a while before it sends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cubbyhole.edge import inputs as io
from cubbyhole.edge.conversation import Ask, Pace, Verb
from cubbyhole.protocol import messages as m
from cubbyhole.simulator.world.machine import Machine
from cubbyhole.simulator.world.server import Answered, Server
from cubbyhole.simulator.world.wire import Weather, Wire

BEAT_MS = 1_000
QUIET_BEAT_MS = 900_000
ALERT_MS = 12_000
PULL_MS = 6 * 3_600_000


class Talk:
    """The conversation of one bank. Lives as long as the controller; a reboot starts it over (`restart`)."""

    def __init__(self, machine: Machine, office: Server, wire: Wire, pace_ms: int) -> None:
        self.machine, self.office, self.wire = machine, office, wire
        self._kernel = machine.kernel
        self._quick = Pace(BEAT_MS, PULL_MS, pace_ms)
        self._slow = Pace(QUIET_BEAT_MS, PULL_MS, pace_ms)
        self._alert_until_ms = 0
        self._stir_at_ms: int | None = None
        self._serve = {
            Verb.BEAT: office.serve_beat, Verb.EVENTS: office.serve_events, Verb.SYNC: office.serve_sync,
            Verb.STANDING: office.serve_standing,
        }  # fmt: skip
        record = office.banks[machine.settings.bank]
        record.nudge, record.ring = self._to_bank(self._nudged), self._ring
        self._answers: dict[str, Answered] = {}  # of live commands under way

    def restart(self) -> None:
        """The controller is up (again)."""
        self._stir_at_ms = None
        self._answers.clear()
        self.machine.conversation.pace = self._quick
        self.alert()

    def alert(self) -> None:
        """Something about the contact is new: beat now, and each second for a while."""
        self._alert_until_ms = self._kernel.now_ms + ALERT_MS
        if self.machine.alive:
            conversation = self.machine.conversation
            if conversation.pace is self._slow and self.machine.core.state.contact_lost_ms is None:
                conversation.heard()  # the beats that were left out had all been answered
            conversation.pace = self._quick
            conversation.reconnected()
            self._stir()

    def wake(self) -> None:
        """There are new lines, or something to pull."""
        if self.machine.alive:
            self.machine.conversation.wake()
            self._stir()

    # -- requests -----------------------------------------------------------------------------------------------

    def _connected(self) -> bool:
        return self.wire.weather is not Weather.CUT and self.office.up

    def _stir(self) -> None:
        """Send what is due, and come again when something is."""
        machine, connected = self.machine, self._connected()
        conversation = machine.conversation
        next_ms = conversation.next_ms(connected)
        while next_ms is not None and next_ms <= machine.clock.mono_ms():
            for ask in conversation.due(connected):
                self._carry(ask)
            next_ms = conversation.next_ms(connected)
        if next_ms is None:
            return
        at_ms = self._kernel.now_ms + next_ms - machine.clock.mono_ms()
        if self._stir_at_ms is None or at_ms < self._stir_at_ms:
            self._stir_at_ms = at_ms
            self._kernel.at(at_ms, self._stir_again, machine.life, at_ms)

    def _stir_again(self, life: int, at_ms: int) -> None:
        if life == self.machine.life and at_ms == self._stir_at_ms:
            self._stir_at_ms = None
            self._stir()

    def _carry(self, ask: Ask) -> None:
        conversation = self.machine.conversation

        def answered(raw: bytes) -> None:
            self._back(ask, lambda: conversation.answered(ask, raw))

        def silent() -> None:
            if ask.verb is Verb.BEAT and conversation.pace is self._slow:
                self._alert_until_ms = self._kernel.now_ms + ALERT_MS
            self._back(ask, lambda: conversation.failed(ask, "no answer"))

        self._ask(self._serve[ask.verb], ask.payload, answered, silent, ask.patience_ms)

    def _back(self, ask: Ask, take: Callable[[], list[io.Input]]) -> None:
        machine = self.machine
        if ask.verb is Verb.BEAT:
            machine.conversation.pace = self._quick if self._is_new() else self._slow
        for item in take():
            machine.post(item)
        if machine.alive:
            self._stir()

    def _is_new(self) -> bool:
        """Whether heartbeats may bring something at the moment."""
        if self._kernel.now_ms < self._alert_until_ms:
            return True
        state, version = self.machine.core.state, self.machine.core.directory.version
        lag = version < self.office.directory_head(state.bank) and state.contact_lost_ms is None
        return self._connected() and (state.clock_in_doubt or lag)

    def _to_bank(self, take: Callable[[bytes], object]) -> Callable[[bytes], None]:
        def carry(raw: bytes) -> None:
            life = self.machine.life

            def arrive(payload: bytes) -> None:
                if self.machine.alive and self.machine.life == life:
                    take(payload)

            self.wire.carry(arrive, raw)

        return carry

    def _ask(
        self, serve: Callable[[bytes], bytes | None], payload: bytes, answered: Callable[[bytes], Any],
        silent: Callable[[], Any], patience_ms: int,
    ) -> None:  # fmt: skip
        life, machine = self.machine.life, self.machine

        def heard(raw: bytes) -> None:
            if machine.life == life:
                answered(raw)

        def unheard() -> None:
            if machine.life == life:
                silent()

        self.wire.ask(serve, payload, heard, unheard, patience_ms)

    def _nudged(self, payload: bytes) -> None:
        self.machine.conversation.nudged(payload)
        self._stir()

    # -- live commands ------------------------------------------------------------------------------------------

    def _ring(self, payload: bytes, answered: Answered) -> None:
        """The server asks for a door, now or never."""

        def arrive(raw: bytes) -> None:
            self._live(raw, answered)

        self._to_bank(arrive)(payload)

    def answer(self, token: object, answer: m.CommandAnswer) -> None:
        """The core has decided on a live command; the lines that say so go with its answer."""
        assert isinstance(token, m.LiveCommand), "what `_claim` gave it"
        self.machine.give_slot_back(token.locker)
        batch = self.machine.conversation.batch()
        if batch is not None and batch.first == self.machine.conversation.acked + 1:
            answer = msgspec.structs.replace(answer, events=batch)
        self._say(token, answer)

    def _say(self, command: m.LiveCommand, answer: m.CommandAnswer) -> None:
        answered = self._answers.pop(command.command, None)
        if answered is not None:
            self.wire.carry(answered, m.encode(answer))

    def _refuse(self, command: m.LiveCommand, reason: str) -> None:
        self._say(command, m.CommandAnswer(command=command.command, outcome="refused", reason=reason))

    def _live(self, payload: bytes, answered: Answered) -> None:
        machine = self.machine
        command = m.decode(m.LiveCommand, payload)
        self._answers[command.command] = answered
        known = machine.core.state.answered.get(command.command)
        if known is not None:
            self._say(
                command, m.CommandAnswer(command=command.command, outcome=known.outcome, reason=known.reason)
            )  # fmt: skip
            return
        if command.locker not in machine.doors:
            self._refuse(command, "unknown_locker")
            return
        turn_ms = machine.take_slot(command.locker)
        if turn_ms is None:
            self._refuse(command, "busy")
        else:
            self._kernel.at(turn_ms, self._claim, machine.life, command)

    def _claim(self, life: int, command: m.LiveCommand) -> None:
        machine = self.machine
        if life != machine.life:
            return
        asked_ms = machine.clock.mono_ms()

        def answered(raw: bytes) -> None:
            reply = m.decode(m.ClaimReply, raw)
            if not reply.go:
                machine.give_slot_back(command.locker)
                self._refuse(command, reply.why)
                return
            # The server's word is a second old at most when it is acted on: it counts from the question.
            machine.post(io.Claimed(command, command, asked_ms))
            self._kernel.after(2_000, self._slot_back, life, command.locker)

        self._ask(
            self.office.serve_claim, m.encode(m.Claim(bank=machine.settings.bank, command=command.command)), answered,
            lambda: machine.give_slot_back(command.locker), 1_000,
        )  # fmt: skip

    def _slot_back(self, life: int, locker: str) -> None:
        if life == self.machine.life:
            self.machine.give_slot_back(locker)
