"""From what happened to a mail in somebody's mailbox: a real database, a real runner, a real mail server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import insert, select, update

from cubbyhole.integrations.mail.smtp import make_transport
from cubbyhole.server.jobs import outbox
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices import alarms
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.mail import KIND
from cubbyhole.server.notices.post import Post
from cubbyhole.server.people.commands import add_person, set_active
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.unit import Store
from tests.mail.post_office import PostOffice
from tests.server.hand import HandClock

BASE = "https://cubby.example"
SENDER = "Cubbyhole <lockers@kestrel.example>"


def post_to(store: Store, sealing: SealingKey, office: PostOffice | None) -> Post:
    smtp = f"smtp://127.0.0.1:{office.port}?starttls=off" if office is not None else ""
    return Post(store, sealing, make_transport(smtp, SENDER), base_url=BASE)


@asynccontextmanager
async def working(store: Store, sealing: SealingKey, office: PostOffice | None) -> AsyncIterator[Post]:
    post = post_to(store, sealing, office)
    await post.start()
    try:
        yield post
    finally:
        await post.stop()


async def until(done: Callable[[], bool], limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def ada(store: Store, language: str | None = None) -> n.To:
    with store.write() as work:
        person = add_person(work, "op:test", name="Ada Lovelace", email="ada@kestrel.example")
        work.connection.execute(update(t.people).where(t.people.c.person == person).values(language=language))
    return n.To(person=person)


def owner(store: Store, account: str = "olga@kestrel.example") -> None:
    row = {"account": account, "name": "Olga", "role": "owner", "password_hash": "", "made_ms": 1}
    with store.write() as work:
        work.connection.execute(insert(t.accounts).values(**row))


def tell(store: Store, post: Post, to: n.To, notice: n.Notice) -> None:
    with store.write() as work:
        post.notices.tell(work, to, notice)


def code(clock: HandClock) -> n.SignInCode:
    return n.SignInCode(code="715204", expires_ms=clock() + 600_000)


def jobs(store: Store, state: str) -> list[outbox.Row]:
    with store.read() as connection:
        return [row for row in outbox.listed(connection, state) if row.kind == KIND]


def raise_alarms(store: Store, *lockers: str) -> None:
    for locker in lockers:
        with store.write() as work:
            work.enqueue("alarm", {"bank": "A", "locker": locker, "kind": "forced"})


async def test_a_code_is_in_the_mailbox_within_a_second(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    async with working(store, sealing, office) as post:
        await asyncio.sleep(0.2)
        since = time.monotonic()
        await asyncio.to_thread(tell, store, post, ada(store), code(clock))
        (mail,) = await asyncio.to_thread(office.wait_for, 1)
        assert time.monotonic() - since < 1
        await until(lambda: len(jobs(store, outbox.DONE)) == 1)
    assert mail.to == ("ada@kestrel.example",) and "715 204" in mail.part("plain")
    assert mail.content["subject"] == "Your sign-in code"


async def test_a_code_is_not_readable_in_the_database(store: Store, sealing: SealingKey, clock: HandClock) -> None:
    post = post_to(store, sealing, None)
    tell(store, post, n.To(address="ada@kestrel.example"), code(clock))
    with store.read() as connection:
        payload = str(connection.execute(select(t.outbox.c.payload)).scalar_one())
    assert "715204" not in payload and "sealed" in payload


async def test_each_reads_their_own_language(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    async with working(store, sealing, office) as post:
        chosen, asked, nothing = ada(store, "de"), "ben@kestrel.example", "eve@kestrel.example"
        told = [chosen, n.To(address=asked, language="de"), n.To(address=nothing), n.To(address=nothing, language="xx")]
        for to in told:
            await asyncio.to_thread(tell, store, post, to, code(clock))
        await asyncio.to_thread(office.wait_for, 4)
    by_address: dict[str, set[str]] = {}
    for mail in office.arrived:
        by_address.setdefault(mail.to[0], set()).add(mail.content["subject"])
    assert by_address == {
        "ada@kestrel.example": {"Ihr Anmeldecode"}, asked: {"Ihr Anmeldecode"}, nothing: {"Your sign-in code"},
    }  # fmt: skip


async def test_greylisting_is_waited_out_and_a_full_mailbox_is_too(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    office.rcpt.append("450 4.2.0 Greylisted, come again")
    office.data.append("452 4.3.1 Disk full")
    async with working(store, sealing, office) as post:
        await asyncio.to_thread(tell, store, post, ada(store), code(clock))
        for tries, why in ((1, "Greylisted"), (2, "Disk full")):
            await until(lambda n=tries: [row.tries for row in jobs(store, outbox.WAITING)] == [n])  # type: ignore[misc]
            await until(lambda w=why: w in (jobs(store, outbox.WAITING)[0].note or ""))  # type: ignore[misc]
            clock.pass_ms(30_000)
            with store.write() as work:  # anything that is enqueued wakes the runner
                work.enqueue("of_a_newer_release", {})
        await asyncio.to_thread(office.wait_for, 1)


async def test_a_mailbox_that_is_not_there_is_given_up_and_the_owner_hears_of_it(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    office.rcpt.append("550 5.1.1 No such mailbox")
    owner(store)
    async with working(store, sealing, office) as post:
        await asyncio.to_thread(tell, store, post, ada(store), n.Assigned(bank="A", locker="07", ends_ms=None))
        await until(lambda: len(jobs(store, outbox.GIVEN_UP)) == 1)
        clock.pass_ms(alarms.GATHER_MS)
        (mail,) = await asyncio.to_thread(office.wait_for, 1)
        assert post.hints() == ["outbox: 1 given up; see `cubbyhole outbox list`"]
    assert mail.to == ("olga@kestrel.example",) and "No such mailbox" in mail.part("plain")


async def test_a_mail_server_that_is_away_gets_everything_when_it_is_back(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    office.shut()
    async with working(store, sealing, office) as post:
        to = ada(store)
        for _ in range(6):
            await asyncio.to_thread(tell, store, post, to, n.Assigned(bank="A", locker="07", ends_ms=None))
        await until(lambda: [row.tries for row in jobs(store, outbox.WAITING)] == [1] * 6)
        await until(lambda: all(row.note for row in jobs(store, outbox.WAITING)))
        office.open()
        clock.pass_ms(60_000)
        await asyncio.to_thread(office.wait_for, 6)
        await until(lambda: len(jobs(store, outbox.DONE)) == 6)
    assert len({mail.content["message-id"] for mail in office.arrived}) == 6


async def test_without_a_mail_server_it_is_on_record_and_sent_once_there_is_one(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    async with working(store, sealing, None) as post:
        assert not post.notices.mail_is_configured
        await asyncio.to_thread(tell, store, post, ada(store), n.Assigned(bank="A", locker="07", ends_ms=None))
        await until(lambda: len(jobs(store, outbox.GIVEN_UP)) == 1)
        assert "--smtp" in post.hints()[0] and "1 given up" in post.hints()[1]
        assert "no mail server is set" in (jobs(store, outbox.GIVEN_UP)[0].note or "")
    async with working(store, sealing, office) as post:
        assert post.notices.mail_is_configured
        with store.write() as work:
            assert outbox.try_again(work, None) == 1
        await asyncio.to_thread(office.wait_for, 1)
        await until(lambda: post.hints() == [])


async def test_nobody_is_written_to_who_has_left_or_has_no_address(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    to = ada(store)
    with store.write() as work:
        set_active(work, "op:test", str(to.person), False)
        nowhere = add_person(work, "op:test", name="Ben", number="17")
    async with working(store, sealing, office) as post:
        for one in (to, n.To(person=nowhere), n.To(person="p_nobody"), n.To(account="owner"), n.To(account="x@y.zz")):
            await asyncio.to_thread(tell, store, post, one, code(clock))
        await until(lambda: len(jobs(store, outbox.DONE)) == 5)
    assert office.tried == 0
    assert all("nobody to send it to" in (row.note or "") for row in jobs(store, outbox.DONE))


async def test_an_owner_from_the_directory_is_reached_at_their_own_address(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    owner(store, "boss")
    person = ada(store, "de").person
    with store.write() as work:
        work.connection.execute(update(t.accounts).values(person=person))
    async with working(store, sealing, office):
        await asyncio.to_thread(raise_alarms, store, "07")
        clock.pass_ms(alarms.GATHER_MS)
        (mail,) = await asyncio.to_thread(office.wait_for, 1)
    assert mail.to == ("ada@kestrel.example",)
    assert mail.content["subject"] == "Alarm bei Cubbyhole: A-07, Gewaltsam geöffnet"


async def test_a_code_that_has_expired_is_not_sent(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    tell(store, post_to(store, sealing, office), ada(store), code(clock))
    clock.pass_ms(600_001)
    async with working(store, sealing, office):
        await until(lambda: len(jobs(store, outbox.DONE)) == 1)
    assert office.tried == 0


async def test_a_notice_that_cannot_be_read_is_given_up_and_not_tried_for_a_day(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    tell(store, post_to(store, SealingKey(b"x" * 32), office), ada(store), code(clock))
    with store.write() as work:
        work.enqueue(KIND, {"to": {}, "notice": {"kind": "of_a_newer_release"}})
    async with working(store, sealing, office):
        await until(lambda: len(jobs(store, outbox.GIVEN_UP)) == 2)


async def test_a_storm_of_forced_doors_is_one_mail_and_the_rest_another(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    owner(store)
    owner(store, "owner")  # has no address
    async with working(store, sealing, office) as post:
        await asyncio.to_thread(raise_alarms, store, *[f"{number:02d}" for number in range(1, 41)])
        clock.pass_ms(alarms.GATHER_MS)
        (first,) = await asyncio.to_thread(office.wait_for, 1)
        await asyncio.to_thread(raise_alarms, store, *[f"{number:02d}" for number in range(41, 61)])
        clock.pass_ms(alarms.GATHER_MS)
        await asyncio.sleep(1.5)
        assert len(office.arrived) == 1
        clock.pass_ms(alarms.QUIET_MS)
        _, second = await asyncio.to_thread(office.wait_for, 2)
        await until(lambda: post.hints() == [] and len(jobs(store, outbox.DONE)) == 2)
    assert first.content["subject"] == "40 alarms at Cubbyhole" and "A-01" in first.part("plain")
    assert second.content["subject"] == "20 alarms at Cubbyhole" and "A-41" in second.part("plain")


async def test_alarms_that_nobody_can_be_mailed_are_done_and_not_kept_waiting(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice
) -> None:
    async with working(store, sealing, office):
        await asyncio.to_thread(raise_alarms, store, "01", "02")
        clock.pass_ms(alarms.GATHER_MS)
        await until(lambda: not any_waiting(store))
    assert office.tried == 0
    with store.read() as connection:
        notes = {row.note for row in outbox.listed(connection, outbox.DONE)}
    assert notes == {"in the log only: no owner has an address"}


async def test_two_servers_send_each_mail_once_and_a_storm_as_one(
    store: Store, sealing: SealingKey, clock: HandClock, office: PostOffice, database_url: str
) -> None:
    owner(store)
    other = Store(make_engine(database_url), clock)
    to = ada(store)
    async with working(store, sealing, office) as post, working(other, sealing, office):
        for _ in range(40):
            await asyncio.to_thread(tell, store, post, to, n.Assigned(bank="A", locker="07", ends_ms=None))
        await asyncio.to_thread(raise_alarms, other, *[f"{number:02d}" for number in range(1, 31)])
        await asyncio.to_thread(office.wait_for, 40)
        clock.pass_ms(alarms.GATHER_MS)
        await asyncio.to_thread(office.wait_for, 41)
        await until(lambda: not any_waiting(store))
    other.engine.dispose()
    assert len({mail.content["message-id"] for mail in office.arrived}) == len(office.arrived) == 41


def any_waiting(store: Store) -> bool:
    with store.read() as connection:
        return outbox.count(connection, outbox.WAITING) > 0
