"""Jobs of the outbox: done after their commit, by one runner, again where that failed, and given up in the end."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from sqlalchemy import select, update

from cubbyhole.server.jobs import outbox
from cubbyhole.server.jobs.outbox import Job
from cubbyhole.server.jobs.runner import Done, Failed, Handler, Later, OutboxRunner
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandClock

HOLDER = "0" * 16


def enqueue(store: Store, *names: str, kind: str = "greet", **when: int) -> None:
    with store.write() as work:
        for name in names:
            work.enqueue(kind, {"name": name}, **when)


def row(store: Store, number: int = 1) -> dict[str, object]:
    with store.read() as connection:
        return dict(connection.execute(select(t.outbox).where(t.outbox.c.id == number)).mappings().one())


def count(store: Store, state: str) -> int:
    with store.read() as connection:
        return outbox.count(connection, state)


def take(store: Store, most: int = 10) -> list[Job]:
    with store.write() as work:
        return outbox.claim(work, ["greet"], most, HOLDER)


@asynccontextmanager
async def runner(store: Store, at_once: int = 4, **handlers: Handler) -> AsyncIterator[OutboxRunner]:
    made = OutboxRunner(store, handlers, at_once=at_once, chance=random.Random(1))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def failed(store: Store, tries: int) -> bool:
    """Whether that many tries of the first job have failed."""
    return row(store)["tries"] == tries and row(store)["claim"] is None


async def until(done: Callable[[], bool], limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_a_job_is_done_right_after_the_commit_that_enqueued_it(store: Store) -> None:
    done: list[tuple[str, float]] = []

    def greet(job: Job) -> Done:
        done.append((json.loads(job.payload)["name"], time.monotonic()))
        return Done("greeted")

    async with runner(store, greet=greet):
        await asyncio.sleep(0.3)  # it has looked and found nothing
        since = time.monotonic()
        await asyncio.to_thread(enqueue, store, "Ada")
        await until(lambda: count(store, outbox.DONE) == 1)
    assert done[0][0] == "Ada" and done[0][1] - since < 0.5
    assert row(store)["note"] == "greeted"
    assert row(store)["payload"] == "{}", "what a job was about is not kept once it is done"


async def test_a_rolled_back_change_leaves_no_job(store: Store) -> None:
    def change() -> None:
        with store.write() as work:
            work.enqueue("greet", {})
            raise ZeroDivisionError

    async with runner(store, greet=lambda job: Done()):
        with suppress(ZeroDivisionError):
            await asyncio.to_thread(change)
        assert count(store, outbox.WAITING) == count(store, outbox.DONE) == 0


async def test_what_failed_waits_longer_each_time_and_is_given_up_with_an_alarm(
    store: Store, clock: HandClock
) -> None:
    waits: list[int] = []

    def greet(_job: Job) -> Failed:
        return Failed("nobody is at home")

    async with runner(store, greet=greet) as it:
        await asyncio.to_thread(enqueue, store, "Ada")
        for tries in range(1, outbox.TRIES_MOST):
            await until(partial(failed, store, tries))
            waits.append(int(str(row(store)["not_before_ms"])) - clock())
            clock.pass_ms(waits[-1])
            it.wake()
        await until(lambda: row(store)["given_up_ms"] is not None)
    assert all(2_500 * 2**n <= wait <= 7_500 * 2**n for n, wait in enumerate(waits[:8]))
    assert max(waits) <= 1.5 * outbox.LONGEST_WAIT_MS
    assert 12 * 3_600_000 < sum(waits) < 48 * 3_600_000, "about a day in all"
    assert row(store)["note"] == "nobody is at home"
    alarm = row(store, 2)
    assert alarm["kind"] == "alarm" and "nobody is at home" in str(alarm["payload"])


async def test_a_handler_that_breaks_is_a_failure_that_may_pass(store: Store) -> None:
    def greet(_job: Job) -> Done:
        raise OSError("the line is cut")

    async with runner(store, greet=greet):
        await asyncio.to_thread(enqueue, store, "Ada")
        await until(lambda: row(store)["note"] is not None)
    assert row(store)["note"] == "OSError: the line is cut" and row(store)["given_up_ms"] is None


async def test_a_failure_that_will_not_pass_is_given_up_at_once(store: Store) -> None:
    async with runner(store, greet=lambda job: Failed("no such person", final=True)):
        await asyncio.to_thread(enqueue, store, "Ada")
        await until(lambda: count(store, outbox.GIVEN_UP) == 1)
    assert row(store)["tries"] == 1


async def test_given_up_jobs_can_be_tried_again_by_hand(store: Store, clock: HandClock) -> None:
    open_ = threading.Event()

    def greet(_job: Job) -> Done | Failed:
        return Done() if open_.is_set() else Failed("closed", final=True, quiet=True)

    async with runner(store, greet=greet) as it:
        await asyncio.to_thread(enqueue, store, "Ada", "Ben")
        await until(lambda: count(store, outbox.GIVEN_UP) == 2)
        open_.set()
        with store.write() as work:
            assert outbox.try_again(work, [1]) == 1
        it.wake()
        await until(lambda: count(store, outbox.DONE) == 1)
        with store.write() as work:
            assert outbox.try_again(work, None) == 1
        it.wake()
        await until(lambda: count(store, outbox.DONE) == 2)


async def test_what_comes_too_late_is_dropped_and_what_comes_too_early_waits(store: Store, clock: HandClock) -> None:
    seen: list[str] = []

    def greet(job: Job) -> Done | Later:
        seen.append(json.loads(job.payload)["name"])
        return Done() if clock() >= job.made_ms + 60_000 else Later(job.made_ms + 60_000, "not yet")

    async with runner(store, greet=greet) as it:
        await asyncio.to_thread(enqueue, store, "late", not_after_ms=clock() - 1)
        await until(lambda: count(store, outbox.DONE) == 1)
        assert seen == [] and row(store)["note"] == "too late to be of use"
        await asyncio.to_thread(enqueue, store, "early")
        await until(lambda: row(store, 2)["note"] == "not yet")
        assert row(store, 2)["tries"] == 0
        await asyncio.to_thread(enqueue, store, "tomorrow", not_before_ms=clock() + 90_000)
        await asyncio.sleep(1.2)
        assert seen == ["early"]
        clock.pass_ms(60_000)
        it.wake()
        await until(lambda: count(store, outbox.DONE) == 2)
        clock.pass_ms(60_000)
        it.wake()
        await until(lambda: count(store, outbox.DONE) == 3)
    assert seen == ["early", "early", "tomorrow"]


async def test_only_so_many_jobs_are_done_at_once(store: Store) -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def greet(_job: Job) -> Done:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.05)
        with lock:
            busy -= 1
        return Done()

    async with runner(store, at_once=3, greet=greet):
        await asyncio.to_thread(enqueue, store, *[f"p{n}" for n in range(15)])
        await until(lambda: count(store, outbox.DONE) == 15)
    assert most == 3


async def test_jobs_of_a_kind_that_nobody_does_stay(store: Store) -> None:
    async with runner(store, greet=lambda job: Done()):
        await asyncio.to_thread(enqueue, store, "Ada", kind="of_a_newer_release")
        await asyncio.to_thread(enqueue, store, "Ben")
        await until(lambda: count(store, outbox.DONE) == 1)
    assert count(store, outbox.WAITING) == 1


async def test_two_runners_share_the_work_and_never_a_job(store: Store, database_url: str, clock: HandClock) -> None:
    done: dict[str, list[str]] = {"one": [], "two": []}

    def greets(who: str) -> Handler:
        def greet(job: Job) -> Done:
            time.sleep(0.005)
            done[who].append(job.payload)
            return Done()

        return greet

    other = Store(make_engine(database_url), clock)
    async with runner(store, greet=greets("one")) as one, runner(other, greet=greets("two")) as two:
        await asyncio.to_thread(enqueue, store, *[f"p{n}" for n in range(120)])
        one.wake()
        two.wake()
        await until(lambda: count(store, outbox.DONE) == 120, 40)
    other.engine.dispose()
    assert len(done["one"]) + len(done["two"]) == len(set(done["one"] + done["two"])) == 120
    assert done["one"] and done["two"]


def test_what_a_dead_process_held_is_free_after_its_lease(store: Store, clock: HandClock) -> None:
    enqueue(store, "Ada", "Ben")
    held = take(store)
    assert [job.tries for job in held] == [1, 1] and take(store) == []
    clock.pass_ms(outbox.LEASE_MS - 1)
    with store.write() as work:
        outbox.hold(work, held[:1])  # one goes on being held
    clock.pass_ms(1)
    again = take(store)
    assert [(job.id, job.tries) for job in again] == [(2, 2)]
    assert again[0].key == held[1].key, "the same mail, whoever sends it"
    with store.write() as work:
        assert not outbox.finish(work, held[1]), "a claim that lapsed settles nothing"
        assert outbox.finish(work, again[0])


def test_a_job_that_ends_every_process_is_given_up(store: Store, clock: HandClock) -> None:
    enqueue(store, "Ada")
    for _ in range(outbox.TRIES_MOST):
        assert len(take(store)) == 1
        clock.pass_ms(outbox.LEASE_MS)
    assert take(store) == []
    assert count(store, outbox.GIVEN_UP) == 1


async def test_a_runner_that_stops_lets_go_of_what_it_has_not_begun(store: Store) -> None:
    enqueue(store, "Ada")
    made = OutboxRunner(store, {"greet": lambda job: Done()})
    with store.write() as work:
        outbox.claim(work, ["greet"], 1, made._holder)
    await made.stop()
    assert len(take(store)) == 1


def test_old_rows_are_pruned_and_waiting_ones_never(store: Store, clock: HandClock) -> None:
    enqueue(store, "waiting", "done", "given up")
    with store.write() as work:
        for number, column in ((2, t.outbox.c.done_ms), (3, t.outbox.c.given_up_ms)):
            work.connection.execute(update(t.outbox).where(t.outbox.c.id == number).values({column: work.now_ms}))
    clock.pass_ms(outbox.KEEP_DONE_MS + 1)
    with store.write() as work:
        assert outbox.prune(work) == 1
    clock.pass_ms(outbox.KEEP_GIVEN_UP_MS)
    with store.write() as work:
        assert outbox.prune(work) == 1
    assert row(store)["id"] == 1 and count(store, outbox.WAITING) == 1


def test_waits_differ_so_that_not_all_come_back_at_once() -> None:
    chance = random.Random(3)
    assert len({outbox.wait_ms(3, chance) for _ in range(50)}) > 40
