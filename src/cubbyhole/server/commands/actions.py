"""What people and programs ask of a locker, from the question to what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import RowMapping, select

from cubbyhole.server.commands.live import LiveCommands, Result
from cubbyhole.server.commands.standing import NotPossible, Order, issue
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import lockers, people
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

    async def open(self, bank: str, number: str, actor: str, reason: str, note: str | None = None) -> Result:
        """Open a door now. Raises NotPossible."""
        row = await self._pool.run(self._locker, bank, number)
        return await self._live.open(bank, number, actor, reason, note, row["person"])

    async def end(
        self, bank: str, number: str, actor: str, reason: str, note: str | None = None, assignment: str | None = None
    ) -> Result:
        """End the assignment that is there now (or exactly ``assignment``). Raises NotPossible."""
        row = await self._pool.run(self._locker, bank, number)
        if row["assignment"] is None:
            raise NotPossible("not_assigned", f"Nobody has locker {bank}-{number}.")
        return await self._order(
            Order(
                bank=bank, locker=number, kind="end", actor=actor, reason=reason, note=note,
                assignment=assignment or row["assignment"],
            )
        )  # fmt: skip

    async def change(
        self, kind: str, bank: str, number: str, actor: str, reason: str, note: str | None = None
    ) -> Result:
        """Out of service, in service or checked. Raises NotPossible."""
        await self._pool.run(self._locker, bank, number)
        return await self._order(Order(bank=bank, locker=number, kind=kind, actor=actor, reason=reason, note=note))

    async def assign(
        self, bank: str, number: str, actor: str, reason: str, note: str | None, person: str, mode: str | None = None,
        ends_ms: int | None = None,
    ) -> Result:  # fmt: skip
        """Give a locker to somebody. Raises NotPossible."""
        row = await self._pool.run(self._locker, bank, number)
        await self._pool.run(self._person, person)
        if row["person"] is not None:
            raise NotPossible("taken", f"Locker {bank}-{number} is taken. End that assignment first.")
        return await self._order(
            Order(
                bank=bank, locker=number, kind="assign", actor=actor, reason=reason, note=note, person=person,
                mode=mode,
                ends_ms=ends_ms,
            )
        )  # fmt: skip

    async def _order(self, order: Order) -> Result:
        name = await self._pool.run(self._issue, order)
        future = self._outcomes.expect(name)
        await self._nudge(order.bank)
        try:
            return await asyncio.wait_for(future, SETTLED_WITHIN_S)
        except TimeoutError:
            return Result(name, "requested", "bank_has_not_answered")

    def _issue(self, order: Order) -> str:
        with self._store.write() as work:
            return issue(work, order)

    def _locker(self, bank: str, number: str) -> RowMapping:
        with self._store.read() as connection:
            query = select(lockers).where(lockers.c.bank == bank, lockers.c.number == number)
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotPossible("unknown_locker", f"There is no locker {bank}-{number}.")
        return row

    def _person(self, person: str) -> None:
        with self._store.read() as connection:
            if connection.execute(select(people.c.person).where(people.c.person == person)).scalar() is None:
                raise NotPossible("unknown_person", f"There is no person {person}.")
