"""What people and programs ask of a locker, from the question to what became of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from sqlalchemy import RowMapping, select

from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.server.banks.picture import REMOVED
from cubbyhole.server.commands.live import LiveCommands, Result, result_of
from cubbyhole.server.commands.once import Once, before, first_wins
from cubbyhole.server.commands.standing import NotPossible, Order, issue
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.tables import alarms, commands, lockers, people
from cubbyhole.server.persistence.unit import Store

SETTLED_WITHIN_S = 1.5
WAITING_MOST = 2000


class Outcomes:
    """Wakes those who wait for a command's outcome. From the event loop only, but for `settled`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, asyncio.Future[Result]] = {}

    def expect(self, command: str) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self._loop.create_future()
        if len(self._waiting) < WAITING_MOST:
            self._waiting[command] = future
            future.add_done_callback(lambda _: self._waiting.pop(command, None))
        return future

    def settled(self, result: Result) -> None:
        """A journal told the outcome; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake, result)

    def _wake(self, result: Result) -> None:
        future = self._waiting.get(result.command)
        if future is not None and not future.done():
            future.set_result(result)


class Actions:
    """``nudge`` tells a bank at once that there is something to pull; ``requested`` hears what a page should show."""

    def __init__(
        self,
        store: Store,
        pool: WorkPool,
        live: LiveCommands,
        outcomes: Outcomes,
        nudge: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store, self._pool, self._live, self._outcomes, self._nudge = store, pool, live, outcomes, nudge

    async def open(
        self, bank: str, number: str, actor: str, reason: str, note: str | None = None, wanted: Once | None = None,
        *, person: str | None = None,
    ) -> Result:
        """Open a door now. With ``person`` they act for themselves, else it is an operator's override. Raises
        NotPossible, KeyReused."""
        await self._pool.run(self._locker, bank, number)
        return await self._live.open(bank, number, actor, reason, note, person, wanted)

    async def end(
        self, bank: str, number: str, actor: str, reason: str, note: str | None = None, assignment: str | None = None,
        wanted: Once | None = None,
    ) -> Result:  # fmt: skip
        """End the assignment that is there now (or exactly ``assignment``). Raises NotPossible, KeyReused."""

        def order(row: RowMapping) -> Order:
            if row["assignment"] is None:
                raise NotPossible("not_assigned", f"Nobody has locker {bank}-{number}.")
            return Order(
                bank=bank, locker=number, kind="end", actor=actor, reason=reason, note=note,
                assignment=assignment or row["assignment"],
            )  # fmt: skip

        return await self._order(bank, number, order, wanted)

    async def change(
        self, kind: str, bank: str, number: str, actor: str, reason: str, note: str | None = None,
        wanted: Once | None = None,
    ) -> Result:  # fmt: skip
        """Out of service, in service or checked. Raises NotPossible, KeyReused."""

        def order(_row: RowMapping) -> Order:
            return Order(bank=bank, locker=number, kind=kind, actor=actor, reason=reason, note=note)

        return await self._order(bank, number, order, wanted, removed_too=kind == "checked")

    async def assign(
        self, bank: str, number: str, actor: str, reason: str, note: str | None, person: str, mode: str | None = None,
        ends_ms: int | None = None, wanted: Once | None = None,
    ) -> Result:  # fmt: skip
        """Give a locker to somebody. Raises NotPossible, KeyReused."""

        def order(row: RowMapping) -> Order:
            if row["person"] is not None:
                raise NotPossible("taken", f"Locker {bank}-{number} is taken. End that assignment first.")
            return Order(
                bank=bank, locker=number, kind="assign", actor=actor, reason=reason, note=note, person=person,
                mode=mode, ends_ms=ends_ms,
            )  # fmt: skip

        await self._pool.run(self._person, person)
        return await self._order(bank, number, order, wanted)

    async def ask(self, order: Order, wanted: Once | None = None) -> Result:
        """Have a command written down and wait a moment for what becomes of it. Raises NotPossible, KeyReused."""
        return await self._order(order.bank, order.locker, lambda _row: order, wanted)

    async def _order(
        self, bank: str, number: str, order: Callable[[RowMapping], Order], wanted: Once | None, *,
        removed_too: bool = False,
    ) -> Result:  # fmt: skip
        row = await self._pool.run(self._locker, bank, number, removed_too)
        name, earlier = await self._pool.run(first_wins, lambda: self._issue(row, order, wanted))
        if earlier is not None:
            return earlier
        future = self._outcomes.expect(name)
        try:
            # It is written down; telling the bank now only saves it the wait for its next heartbeat.
            await self._nudge(bank)
            async with asyncio.timeout(SETTLED_WITHIN_S):
                return await future
        except (TimeoutError, FabricError, Overloaded):
            pass
        with contextlib.suppress(Overloaded):
            return await self._pool.run(self._result, name)
        return Result(name, "requested")

    def _issue(
        self, row: RowMapping, order: Callable[[RowMapping], Order], wanted: Once | None
    ) -> tuple[str, Result | None]:
        """The new command's id; where this very request made one before, that one and what became of it."""
        with self._store.write() as work:
            earlier = before(work, wanted)
            if earlier is not None:
                return earlier["command"], result_of(earlier)
            return issue(work, order(row), wanted), None

    def _result(self, name: str) -> Result:
        with self._store.read() as connection:
            return result_of(connection.execute(select(commands).where(commands.c.command == name)).mappings().one())

    def _locker(self, bank: str, number: str, removed_too: bool = False) -> RowMapping:
        """The locker's row; with ``removed_too`` something in its place where the bank was rebuilt without it."""
        with self._store.read() as connection:
            query = select(lockers).where(lockers.c.bank == bank, lockers.c.number == number)
            row = connection.execute(query).mappings().one_or_none()
            if row is None and removed_too:
                gone = select(alarms).where(
                    alarms.c.bank == bank, alarms.c.locker == number, alarms.c.kind == REMOVED,
                    alarms.c.cleared_ms.is_(None),
                )  # fmt: skip
                row = connection.execute(gone).mappings().first()
        if row is None:
            raise NotPossible("unknown_locker", f"There is no locker {bank}-{number}.")
        return row

    def _person(self, person: str) -> None:
        with self._store.read() as connection:
            if connection.execute(select(people.c.person).where(people.c.person == person)).scalar() is None:
                raise NotPossible("unknown_person", f"There is no person {person}.")
