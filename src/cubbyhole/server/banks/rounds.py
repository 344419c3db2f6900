"""What the server does by itself, round after round: watch heartbeats, look into the database, nudge, cut off.

Other processes (the command line, other servers) change the database too; the look each second is how this one
learns of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import insert, update

from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError, Refused
from cubbyhole.server.banks import controllers
from cubbyhole.server.banks.messages import Unacceptable, parse
from cubbyhole.server.banks.presence import Heartbeats, Standing
from cubbyhole.server.banks.queries import standings
from cubbyhole.server.fabric.link import Link
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.tables import alarms, banks
from cubbyhole.server.persistence.unit import DIRECTORY, Store

SWEEP_S = 0.25
LOOK_S = 0.5
KEEP_S = 60.0

log = structlog.get_logger(__name__)


class Rounds:
    """Start it once the link runs."""

    def __init__(self, store: Store, pool: WorkPool, heartbeats: Heartbeats, link: Link) -> None:
        self._store, self._pool, self._heartbeats, self._link = store, pool, heartbeats, link
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for round_, pause_s in ((self._sweep, SWEEP_S), (self._look_and_nudge, LOOK_S), (self._keep, KEEP_S)):
            self._tasks.append(asyncio.create_task(self._forever(round_, pause_s), name=round_.__name__))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        with contextlib.suppress(Exception):
            await self._keep()

    async def beat(self, bank: str, payload: bytes) -> bytes:
        """Answer a heartbeat, from memory."""
        try:
            beat = parse(m.Beat, bank, payload)
        except Unacceptable as error:
            raise Refused(error.word, str(error)) from None
        reply = self._heartbeats.beat(beat)
        if reply is None:
            await self.look()
            reply = self._heartbeats.beat(beat)
        if reply is None:
            raise Refused("unknown_bank", f"bank {bank} is not enrolled here")
        return m.encode(reply)

    async def look(self) -> None:
        """Learn now what the database says."""
        directory, known = await self._pool.run(self._standings)
        self._heartbeats.learn(directory, known)

    async def nudge(self, bank: str) -> None:
        """Something was just written for this bank: tell it. The next round does it again if that gets lost."""
        await self.look()
        await self._nudge_all(only=bank)

    async def _forever(self, round_: Callable[[], Awaitable[None]], pause_s: float) -> None:
        name = getattr(round_, "__name__", "round")
        while True:
            try:
                await round_()
            except asyncio.CancelledError:
                raise
            except (FabricError, Overloaded) as error:
                log.info("a round was not finished", round=name, why=str(error))
            except Exception:
                # One bad row or a database that is away must not end the rounds.
                log.exception("a round failed", round=name)
            await asyncio.sleep(pause_s)

    async def _sweep(self) -> None:
        self._heartbeats.sweep()

    async def _look_and_nudge(self) -> None:
        await self.look()
        ahead, standing = self._heartbeats.ahead()
        if ahead or standing:
            await self._pool.run(self._catch_up, ahead, standing)
        await self._nudge_all()
        for bank, lags in self._heartbeats.lagging():
            await self._pool.run(self._note_lag, bank, lags)
        for controller in await self._pool.run(self._to_kick):
            await self._link.kick(controller)
            await self._pool.run(self._kicked, controller)
            log.info("cut off", controller=controller)

    async def _nudge_all(self, only: str | None = None) -> None:
        for bank, nudge in self._heartbeats.behind():
            if only is None or bank == only:
                await self._link.nudge(bank, m.encode(nudge))

    async def _keep(self) -> None:
        await self._pool.run(self._write_heard, self._heartbeats.heard())

    def _standings(self) -> tuple[int, dict[str, Standing]]:
        with self._store.read() as connection:
            return standings(connection)

    def _to_kick(self) -> list[str]:
        with self._store.read() as connection:
            return controllers.to_kick(connection)

    def _kicked(self, controller: str) -> None:
        with self._store.write() as work:
            controllers.kicked(work, controller)

    def _catch_up(self, directory: int, standing: dict[str, int]) -> None:
        """Numbers that banks have seen and this database has not (it was restored) are never given out again."""
        with self._store.write() as work:
            if directory:
                now = work.take(DIRECTORY, 0)
                if now <= directory:
                    work.take(DIRECTORY, directory + 1 - now)
            for bank, ordinal in standing.items():
                work.connection.execute(
                    update(banks)
                    .where(banks.c.bank == bank, banks.c.standing_last < ordinal)
                    .values(standing_last=ordinal)
                )
        log.warning("banks are ahead of this database; was it restored?", directory=directory, banks=sorted(standing))

    def _note_lag(self, bank: str, lags: bool) -> None:
        with self._store.write() as work:
            if lags:
                detail = "online, but does not take over the directory or its commands"
                work.connection.execute(
                    insert(alarms).values(bank=bank, kind="lagging", detail=detail, raised_ms=work.now_ms)
                )
                work.enqueue("alarm", {"bank": bank, "kind": "lagging", "detail": detail})
            else:
                work.connection.execute(
                    update(alarms)
                    .where(alarms.c.bank == bank, alarms.c.kind == "lagging", alarms.c.cleared_ms.is_(None))
                    .values(cleared_ms=work.now_ms)
                )

    def _write_heard(self, heard: dict[str, int]) -> None:
        if not heard:
            return
        with self._store.write() as work:
            for bank, heard_ms in heard.items():
                work.connection.execute(update(banks).where(banks.c.bank == bank).values(last_seen_ms=heard_ms))
