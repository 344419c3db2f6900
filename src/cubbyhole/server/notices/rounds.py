"""What notices come from by themselves, round after round: the feed, and ends that come near."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.notices.following import Following
from cubbyhole.server.notices.reminders import Reminders
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store

FOLLOW_S: Final = 1.0
REMIND_S: Final = 30.0
FORGET_S: Final = 86_400.0

log = structlog.get_logger(__name__)


class NoticeRounds:
    """Start it once the database is there."""

    def __init__(self, store: Store, notices: Notices) -> None:
        self._following, self._reminders = Following(store, notices), Reminders(store, notices)
        self._pool = WorkPool("notices", 1, 4)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        def forget() -> bool:
            self._reminders.forget_old()
            return False

        rounds = ((self._following.look, FOLLOW_S), (self._reminders.look, REMIND_S), (forget, FORGET_S))
        self._tasks = [asyncio.create_task(self._forever(look, pause_s)) for look, pause_s in rounds]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._pool.close)

    async def _forever(self, look: Callable[[], bool], pause_s: float) -> None:
        while True:
            try:
                while await self._pool.run(look):
                    pass
            except Exception as error:
                # One bad row or a database that is away must not end the rounds.
                log.warning("a round of notices failed; it is tried again", why=repr(error))
            await asyncio.sleep(pause_s)
