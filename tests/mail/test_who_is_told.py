"""Who is told of what happens at the banks, and when: not of what they did themselves, and of each end once."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Cause, Mode
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices import following, reminders
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.notices.mail import KIND
from cubbyhole.server.notices.post import Post
from cubbyhole.server.people.commands import add_person
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.unit import Store
from tests.mail.post_office import PostOffice
from tests.mail.test_notices import working
from tests.server.hand import HandBank, HandClock

HOUR = 3_600_000


class ToNobody:
    """The channel of a test that looks into the outbox."""

    kind = KIND


@pytest.fixture
def notices(sealing: SealingKey) -> Notices:
    return Notices(sealing, [ToNobody()], mail_is_configured=True)  # type: ignore[list-item]


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    return HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)


def person(store: Store, name: str) -> str:
    with store.write() as work:
        return add_person(work, "op:test", name=name, email=f"{name.split()[0].lower()}@kestrel.example")


def told(store: Store, sealing: SealingKey) -> list[tuple[str, n.Notice]]:
    query = select(t.outbox.c.payload).where(t.outbox.c.kind == KIND).order_by(t.outbox.c.id)
    with store.read() as connection:
        letters = [n.unpack(payload, sealing) for payload in connection.execute(query).scalars()]
    return [(str(to.person), notice) for to, notice in letters]


def started(who: str, name: str = "as_1", mode: Mode = Mode.DAY, ends_ms: int | None = None) -> ev.AssignmentStarted:
    return ev.AssignmentStarted(assignment=name, locker="07", person=who, mode=mode, ends_ms=ends_ms, rule="default")


def ended(who: str, cause: Cause, now_ms: int) -> ev.AssignmentEnded:
    return ev.AssignmentEnded(
        assignment="as_1", locker="07", person=who, cause=cause, ended_ms=now_ms, former_may_open=True, check=None
    )


def test_nobody_is_told_of_what_they_did_themselves(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock
) -> None:
    ada = person(store, "Ada")
    bank.write(started(ada), actor=ada)
    bank.write(ended(ada, Cause.RELEASED, clock()), actor=ada)
    assert following.Following(store, notices).look() is False
    assert told(store, sealing) == []


@pytest.mark.parametrize("cause", [Cause.EXPIRED, Cause.OPERATOR])
def test_who_got_a_locker_from_the_desk_or_lost_one_is_told_once(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock, cause: Cause
) -> None:
    ada = person(store, "Ada")
    bank.write(started(ada, ends_ms=clock() + HOUR), actor="op:desk")
    clock.pass_ms(1000)
    bank.write(ended(ada, cause, clock()), actor="op:desk" if cause is Cause.OPERATOR else None)
    for _ in range(2):
        following.Following(store, notices).look()
    assert told(store, sealing) == [
        (ada, n.Assigned(bank="A", locker="07", ends_ms=clock() - 1000 + HOUR)),
        (ada, n.Ended(bank="A", locker="07", ended_ms=clock(), cause=cause.value, may_open=True)),
    ]


def test_with_whom_a_locker_is_shared_is_told_by_whom(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices
) -> None:
    ada, ben = person(store, "Ada Lovelace"), person(store, "Ben")
    bank.write(started(ada), actor=ada)
    bank.write(ev.AssignmentShared(assignment="as_1", locker="07", share="sh_1", person=ben), actor=ada)
    following.Following(store, notices).look()
    assert told(store, sealing) == [(ben, n.LockerShared(bank="A", locker="07", by="Ada Lovelace", until_ms=None))]


def test_what_was_over_long_ago_is_no_news(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock
) -> None:
    ada = person(store, "Ada")
    batch = bank.batch(started(ada), actor="op:desk")
    clock.pass_ms(following.OLDEST_MS + 1)
    bank.send(batch)
    following.Following(store, notices).look()
    assert told(store, sealing) == []


def test_a_long_feed_is_followed_in_pieces(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVENTS_AT_ONCE", 2)
    ada = person(store, "Ada")
    bank.write(started(ada), actor="op:desk")
    looks = 1
    while following.Following(store, notices).look():
        looks += 1
    assert looks >= 2 and len(told(store, sealing)) == 1


def test_two_servers_tell_of_each_event_once(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, database_url: str, clock: HandClock
) -> None:
    other = Store(make_engine(database_url), clock)
    ada = person(store, "Ada")
    bank.write(started(ada, ends_ms=clock() + 6 * HOUR), actor="op:desk")

    async def both() -> None:
        for look in (following.Following, reminders.Reminders):
            await asyncio.gather(*[asyncio.to_thread(look(s, notices).look) for s in (store, other) for _ in range(3)])

    asyncio.run(both())
    clock.pass_ms(3 * HOUR)
    asyncio.run(both())
    other.engine.dispose()
    assert [type(notice) for _, notice in told(store, sealing)] == [n.Assigned, n.EndsSoon]


@pytest.mark.parametrize(
    ("mode", "lasts_ms", "before_ms"),
    [
        (Mode.HOURS, 4 * HOUR, HOUR // 2),
        (Mode.HOURS, HOUR // 2, HOUR // 4),  # half of a short time
        (Mode.DAY, 15 * HOUR, 7 * HOUR),
        (Mode.TERM, 30 * 24 * HOUR, 72 * HOUR),
    ],
)
def test_a_holder_is_reminded_once_and_in_time(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock, mode: Mode, lasts_ms: int,
    before_ms: int,
) -> None:  # fmt: skip
    ada, ends_ms = person(store, "Ada"), clock() + lasts_ms
    bank.write(started(ada, mode=mode, ends_ms=ends_ms), actor=ada)
    looking = reminders.Reminders(store, notices)
    clock.pass_ms(lasts_ms - before_ms - 1)
    looking.look()
    assert told(store, sealing) == []
    clock.pass_ms(1)
    for _ in range(3):
        looking.look()
    assert told(store, sealing) == [(ada, n.EndsSoon(bank="A", locker="07", assignment="as_1", ends_ms=ends_ms))]


def test_after_a_renewal_the_new_end_is_reminded_of_too(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock
) -> None:
    ada, ends_ms = person(store, "Ada"), clock() + 15 * HOUR
    bank.write(started(ada, ends_ms=ends_ms), actor=ada)
    looking = reminders.Reminders(store, notices)
    clock.pass_ms(8 * HOUR)
    looking.look()
    later = ends_ms + 24 * HOUR
    bank.write(
        ev.AssignmentRenewed(assignment="as_1", locker="07", person=ada, ends_ms=later, rule="default"), actor=ada
    )
    looking.look()
    clock.pass_ms(24 * HOUR)
    looking.look()
    assert [notice.ends_ms for _, notice in told(store, sealing) if isinstance(notice, n.EndsSoon)] == [ends_ms, later]


def test_nobody_is_reminded_of_what_has_no_end_is_over_or_comes_too_late(
    store: Store, sealing: SealingKey, bank: HandBank, notices: Notices, clock: HandClock
) -> None:
    ada = person(store, "Ada")
    bank.write(started(ada, mode=Mode.PERMANENT), actor=ada)
    bank.write(ended(ada, Cause.RELEASED, clock()), actor=ada)
    bank.write(started(ada, "as_2", ends_ms=clock() + reminders.TOO_LATE_MS), actor=ada)
    reminders.Reminders(store, notices).look()
    assert told(store, sealing) == []


async def test_a_reminder_that_waited_for_the_post_says_nothing_of_an_end_that_moved(
    store: Store, sealing: SealingKey, bank: HandBank, clock: HandClock, office: PostOffice
) -> None:
    ada, ends_ms = person(store, "Ada"), clock() + HOUR
    bank.write(started(ada, ends_ms=ends_ms), started(ada, "as_2", ends_ms=ends_ms), actor=ada)
    made = Post(store, sealing, None, base_url="https://cubby.example")
    with store.write() as work:
        for name in ("as_1", "as_2"):
            soon = n.EndsSoon(bank="A", locker="07", assignment=name, ends_ms=ends_ms)
            made.notices.tell(work, n.To(person=ada), soon)
        first = t.assignments.c.assignment == "as_1"
        work.connection.execute(update(t.assignments).where(first).values(ends_ms=ends_ms + HOUR))
        work.connection.execute(update(t.assignments).where(~first).values(ended_ms=work.now_ms))
    async with working(store, sealing, office):
        while any_waiting(store):
            await asyncio.sleep(0.05)
    assert office.tried == 0


def any_waiting(store: Store) -> bool:
    waiting = (t.outbox.c.done_ms.is_(None), t.outbox.c.given_up_ms.is_(None))
    with store.read() as connection:
        return connection.execute(select(t.outbox.c.id).where(*waiting).limit(1)).first() is not None


async def test_from_a_desk_s_gift_to_the_mailbox(
    store: Store, sealing: SealingKey, bank: HandBank, clock: HandClock, office: PostOffice
) -> None:
    ada = person(store, "Ada")
    async with working(store, sealing, office):
        await asyncio.to_thread(bank.write, started(ada, ends_ms=clock() + HOUR), actor="op:desk")
        (mail,) = await asyncio.to_thread(office.wait_for, 1)
    assert mail.content["subject"] == "Locker A-07 is yours" and "Ground floor, Lobby" in mail.part("plain")
