"""Live commands: a door opens now or never. The bank claims the command before it acts, and gets it once, in time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import RowMapping, insert, update

from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.server.banks.messages import Unacceptable
from cubbyhole.server.commands.once import Once, before, first_wins
from cubbyhole.server.commands.standing import Why, because, new_command_id
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.tables import commands
from cubbyhole.server.persistence.unit import Store

log = structlog.get_logger(__name__)

CLAIM_WITHIN_MS = 2000  # from the request to the bank's claim
ANSWER_WITHIN_S = 4.0


class Line(Protocol):
    """How a bank is asked at once: `server.fabric.link.ServerLink`."""

    def request_live(self, bank: str, payload: bytes, timeout_s: float) -> Awaitable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Result:
    """What became of it, as far as is known: done, refused, unknown or unreachable; ``why`` is a fixed word."""

    command: str
    outcome: str
    why: str | None = None


_OUTCOMES = {"waiting": "requested", "claimed": "unknown", "expired": "unreachable"}


def result_of(row: RowMapping) -> Result:
    """What a command's row says became of it."""
    return Result(row["command"], _OUTCOMES.get(row["state"], row["state"]), row["why"])


class LiveCommands:
    """``apply`` takes the journal lines that an answer brings (`Ingest.receive`); ``mono_s`` is a monotonic clock."""

    def __init__(
        self, store: Store, pool: WorkPool, line: Line, apply: Callable[[str, m.Events], object],
        mono_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store, self._pool, self._line, self._apply, self._mono_s = store, pool, line, apply, mono_s
        # Beside the database's wall time: a step of the clock must not make a late claim look timely.
        self._deadlines_s: dict[str, float] = {}

    async def open(
        self,
        bank: str,
        locker: str,
        actor: str,
        reason: str,
        note: str | None = None,
        person: str | None = None,
        wanted: Once | None = None,
    ) -> Result:
        """Ask the bank to open a door now. Raises NotPossible; returns at the latest after ANSWER_WITHIN_S."""
        why = because(reason, note)
        command = m.LiveCommand(
            command=new_command_id(),
            kind="open",
            locker=locker,
            actor=actor,
            reason=why.reason,
            note=why.commitment,
            person=person,
        )
        name = command.command
        self._deadlines_s[name] = self._mono_s() + CLAIM_WITHIN_MS / 1000
        try:
            earlier = await self._pool.run(first_wins, lambda: self._write(bank, command, why, wanted))
            if earlier is not None:
                return earlier
            try:
                return await self._send(bank, command)
            except Overloaded:
                # It is on its way already: "nothing was done" would be wrong. Its journal will tell.
                return Result(name, "unknown", "busy")
        finally:
            self._deadlines_s.pop(name, None)

    async def _send(self, bank: str, command: m.LiveCommand) -> Result:
        name = command.command
        try:
            raw = await self._line.request_live(bank, m.encode(command), ANSWER_WITHIN_S)
            answer = m.decode(m.CommandAnswer, raw)
        except (FabricError, m.MessageError):
            return await self._pool.run(self._unanswered, name)
        return await self._pool.run(self._answered, bank, name, answer)

    def claim(self, bank: str, command: str) -> m.ClaimReply:
        """Let the bank go ahead: once, and only before the deadline."""
        deadline_s = self._deadlines_s.get(command)
        if deadline_s is not None and self._mono_s() > deadline_s:
            return m.ClaimReply(go=False, why="late")
        with self._store.write() as work:
            claimed = work.connection.execute(
                update(commands)
                .where(
                    commands.c.command == command, commands.c.bank == bank, commands.c.ordinal.is_(None),
                    commands.c.state == "waiting", commands.c.not_after_ms >= work.now_ms,
                )
                .values(state="claimed", claimed_ms=work.now_ms)
            ).rowcount  # fmt: skip
        if claimed != 1:
            return m.ClaimReply(go=False, why="late_or_claimed")
        return m.ClaimReply(go=True)

    def _write(self, bank: str, command: m.LiveCommand, why: Why, wanted: Once | None) -> Result | None:
        """Write the command down; where this very request did so before, what became of it then."""
        with self._store.write() as work:
            earlier = before(work, wanted)
            if earlier is not None:
                return result_of(earlier)
            work.connection.execute(
                insert(commands).values(
                    command=command.command, bank=bank, ordinal=None, kind=command.kind, locker=command.locker,
                    payload=msgspec.json.encode(command), state="waiting", actor=command.actor,
                    **why.columns(),
                    **(wanted.columns() if wanted is not None else {}),
                    made_ms=work.now_ms, not_after_ms=work.now_ms + CLAIM_WITHIN_MS,
                )
            )  # fmt: skip
            subject = f"{bank}-{command.locker}"
            work.audit(command.actor, "command.open", subject, command=command.command, reason=command.reason)
        return None

    def _unanswered(self, name: str) -> Result:
        """No answer came: withdraw the command. If it was claimed already, only the journal will tell."""
        with self._store.write() as work:
            withdrawn = work.connection.execute(
                update(commands)
                .where(commands.c.command == name, commands.c.state == "waiting")
                .values(state="expired", why="unreachable", settled_ms=work.now_ms)
            ).rowcount
        return Result(name, "unreachable", "unreachable") if withdrawn else Result(name, "unknown", "no_answer")

    def _answered(self, bank: str, name: str, answer: m.CommandAnswer) -> Result:
        if answer.events is not None:
            try:
                self._apply(bank, answer.events)
            except Unacceptable as error:
                # The lines come again by themselves; the answer stands without them.
                log.warning("an answer brought lines that cannot be taken", bank=bank, why=str(error))
        why = answer.reason.partition(":")[0][:40] if answer.reason else None
        with self._store.write() as work:
            # Where the bank's journal has settled it already, the journal stands.
            work.connection.execute(
                update(commands)
                .where(commands.c.command == name, commands.c.state.in_(("waiting", "claimed")))
                .values(state=answer.outcome[:12], why=why, settled_ms=work.now_ms)
            )
        return Result(name, answer.outcome, why)
