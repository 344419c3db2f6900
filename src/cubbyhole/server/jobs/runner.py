"""The runner of the outbox: takes jobs, has them done in threads, and writes down what became of them.

Several runners, in one process or in many, share one outbox. It looks at once after a commit in this process that
enqueued something, and each second for what others have put there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from cubbyhole.server.jobs import outbox
from cubbyhole.server.jobs.outbox import Job
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store, UnitOfWork

AT_ONCE: Final = 4
POLL_S: Final = 1.0
AFTER_TROUBLE_S: Final = 5.0
HOLD_S: Final = outbox.LEASE_MS / 4000
PRUNE_S: Final = 3600.0
STOP_WITHIN_S: Final = 4.0
ALARM: Final = "alarm"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The job is done, or of no use any more; ``note`` says how."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet: look again at ``until_ms``. This is no try."""

    until_ms: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done. ``final``: another try would end the same. ``quiet``: and nobody needs an alarm."""

    why: str
    final: bool = False
    quiet: bool = False


Outcome = Done | Later | Failed
# Runs in a thread; what it raises counts as a failure that may pass.
Handler = Callable[[Job], Outcome]


class OutboxRunner:
    """``handlers`` by kind; other kinds stay where they are. ``at_once`` jobs are done at the same time, at most.

    ``break_off`` makes handlers that wait for others end soon.
    """

    def __init__(
        self, store: Store, handlers: Mapping[str, Handler], *, at_once: int = AT_ONCE,
        break_off: Callable[[], None] = lambda: None, chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._store, self._handlers, self._at_once = store, dict(handlers), at_once
        self._break_off, self._chance = break_off, chance or random.Random()
        self._holder = secrets.token_hex(8)
        self._pool = WorkPool("jobs", at_once + 2, at_once * 4 + 8)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._store.on_enqueued = self.wake
        for part, name in ((self._take, "outbox"), (self._hold, "outbox-hold"), (self._prune, "outbox-prune")):
            self._tasks.append(asyncio.create_task(part(), name=name))

    async def stop(self) -> None:
        """Take nothing more, wait `STOP_WITHIN_S` for what is under way, then break it off: it is done again later."""
        self._store.on_enqueued = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._running:
            await asyncio.wait(list(self._running), timeout=STOP_WITHIN_S)
        self._break_off()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.to_thread(self._pool.close)
        with contextlib.suppress(Exception):  # a claim that stays lapses by itself
            await asyncio.to_thread(self._let_go)

    def wake(self) -> None:
        """Look now. From any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the next process will look
                self._loop.call_soon_threadsafe(self._woken.set)

    async def _take(self) -> None:
        while True:
            self._woken.clear()
            pause_s = POLL_S
            try:
                free = self._at_once - len(self._running)
                if free > 0:
                    jobs, wait_ms = await self._pool.run(self._claim, free)
                    for job in jobs:
                        task = asyncio.create_task(self._do(job), name=f"job-{job.id}")
                        self._running[task] = job
                        task.add_done_callback(self._ended)
                    pause_s = 0 if len(jobs) == free else min(POLL_S, wait_ms / 1000)
            except Exception as error:
                # A database that is away must not end the runner.
                log.warning("the outbox cannot be read; it is tried again", why=str(error))
                pause_s = AFTER_TROUBLE_S
            if len(self._running) >= self._at_once or pause_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s or None):
                        await self._woken.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._woken.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("what became of a job is not on record; it is done again", why=str(task.exception()))

    def _claim(self, free: int) -> tuple[list[Job], int]:
        """Jobs, and how long to wait for the next one, ms."""
        kinds = self._handlers.keys()
        with self._store.read() as connection:  # most looks find nothing, and should lock nothing
            due_ms = outbox.next_due(connection, kinds)
        now_ms = self._store.now_ms()
        if due_ms is None or due_ms > now_ms:
            return [], 3_600_000 if due_ms is None else due_ms - now_ms
        with self._store.write() as work:
            return outbox.claim(work, kinds, free, self._holder), 0

    async def _do(self, job: Job) -> None:
        # In one piece: where the server stops meanwhile, the thread still writes down what came of it.
        await self._pool.run(self._carry_out, job)

    def _carry_out(self, job: Job) -> None:
        try:
            outcome = self._handle(job)
        except Exception as error:
            log.warning("a job failed", job=job.id, kind=job.kind, why=repr(error))
            outcome = Failed(f"{type(error).__name__}: {error}")
        self._settle(job, outcome)

    def _handle(self, job: Job) -> Outcome:
        if job.not_after_ms is not None and self._store.now_ms() > job.not_after_ms:
            return Done("too late to be of use")
        return self._handlers[job.kind](job)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        with self._store.write() as work:
            match outcome:
                case Done(note=note):
                    outbox.finish(work, job, note)
                case Later(until_ms=until_ms, note=note):
                    outbox.put_off(work, job, until_ms, note, counts=False)
                case Failed(why=why, final=final, quiet=quiet):
                    if final or job.tries >= outbox.TRIES_MOST:
                        self._give_up(work, job, why, quiet)
                    else:
                        outbox.put_off(work, job, work.now_ms + outbox.wait_ms(job.tries, self._chance), why)

    def _give_up(self, work: UnitOfWork, job: Job, why: str, quiet: bool) -> None:
        if not outbox.give_up(work, job, why) or quiet:
            return
        log.error("a job was given up; see `cubbyhole outbox list`", job=job.id, kind=job.kind, why=why)
        # Not about alarms themselves: where those cannot be told, telling more of them does not help.
        if job.kind != ALARM:
            work.enqueue(ALARM, {"kind": "given_up", "detail": f"{job.kind} {job.id}: {why}"[: outbox.NOTE_MOST]})

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(HOLD_S)
            if jobs := list(self._running.values()):
                try:
                    await self._pool.run(self._hold_all, jobs)
                except Exception as error:
                    log.warning("claims could not be held; others may do these jobs too", why=str(error))

    def _hold_all(self, jobs: list[Job]) -> None:
        with self._store.write() as work:
            outbox.hold(work, jobs)

    def _let_go(self) -> None:
        with self._store.write() as work:
            outbox.let_go(work, self._holder)

    async def _prune(self) -> None:
        while True:
            try:
                while await self._pool.run(self._prune_some) == outbox.PRUNED_AT_ONCE:
                    pass
            except Exception as error:
                log.warning("old jobs could not be pruned", why=str(error))
            await asyncio.sleep(PRUNE_S)

    def _prune_some(self) -> int:
        with self._store.write() as work:
            return outbox.prune(work)
