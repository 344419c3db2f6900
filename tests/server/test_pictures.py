"""What people see: the strongest state of a locker, words for every event, news that nobody misses unnoticed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import head_text, link
from cubbyhole.domain.vocabulary import Door, Occupancy, Reason
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import decode_state, encode_state
from cubbyhole.protocol.signing import sign
from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.banks.presence import Heartbeats, Seen
from cubbyhole.server.banks.queries import BankQueries
from cubbyhole.server.banks.refold import refold_stale
from cubbyhole.server.banks.views import EXPIRING_MS, locker_view
from cubbyhole.server.banks.wording import Said, words
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.live.hub import QUEUE_MOST, Hub, Moved, TooManyWatchers
from cubbyhole.server.live.stream import LiveFeed
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.initials import initials_of
from cubbyhole.ui.words import ENGLISH, LANGUAGES, Words
from tests.server.hand import HandBank
from tests.support.pseudo import a_language_that_nobody_speaks, words_outside

OCCUPIED = Occupancy.OCCUPIED
HERE, AWAY = Seen(True, None), Seen(False, 5)
NOW = 1_000_000_000


def row(**more: Any) -> Any:
    plain: dict[str, Any] = {
        "bank": "A", "number": "07", "size": "M", "features": "", "door": "closed", "lock": "secured",
        "occupancy": "unknown", "alarm": None, "check_why": None, "out_of_service": None, "unverified": False,
        "link_lost": False, "armed": False, "assignment": None, "person": None, "mode": None, "since_ms": None,
        "ends_ms": None, "former": None, "offered": True,
    }  # fmt: skip
    return plain | more


@pytest.mark.parametrize(
    ("state", "change", "seen"),
    [
        ("free", {}, HERE),
        ("inuse", {"person": "p_a", "offered": False}, HERE),
        ("expiring", {"person": "p_a", "ends_ms": NOW + EXPIRING_MS - 1, "offered": False}, HERE),
        ("inuse", {"person": "p_a", "ends_ms": NOW + EXPIRING_MS + 1, "offered": False}, HERE),
        ("open", {"door": "open", "offered": False}, HERE),
        ("oos", {"check_why": "contents_unknown", "offered": False}, HERE),
        ("oos", {"occupancy": "occupied", "offered": False}, HERE),
        ("oos", {"unverified": True, "offered": False}, HERE),
        ("oos", {"out_of_service": "cleaning", "offered": False}, HERE),
        ("oos", {"out_of_service": "cleaning", "offered": False}, AWAY),
        ("alarm", {"alarm": "forced", "out_of_service": "cleaning", "offered": False}, HERE),
        ("offline", {"door": "unknown", "offered": False}, HERE),
        ("offline", {"link_lost": True, "person": "p_a", "offered": False}, HERE),
        ("offline", {}, AWAY),
        ("offline", {"person": "p_a"}, AWAY),
    ],
)
def test_when_states_compete_the_strongest_is_shown(state: str, change: dict[str, Any], seen: Seen) -> None:
    assert locker_view(row(**change), seen, {}, NOW)["state"] == state


def test_a_door_that_nobody_hears_of_is_unknown_and_never_shown_closed() -> None:
    view = locker_view(row(person="p_a"), AWAY, {"p_a": "Ada Okafor"}, NOW)
    assert (view["door"], view["lock"]) == ("unknown", "unknown")
    assert view["holder"] == {"person": "p_a", "name": "Ada Okafor", "initials": "AO"}


def test_who_was_erased_has_no_name_but_still_the_locker() -> None:
    view = locker_view(row(person="p_gone"), HERE, {}, NOW)
    assert view["holder"] is not None
    assert view["holder"]["name"] == "Unknown person"


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Ada Okafor", "AO"),
        ("Ada", "A"),
        ("Anne-Marie van der Berg", "AB"),
        ("  ", "?"),
        ("42", "?"),
        ("Ärzte Önal", "ÄÖ"),
    ],
)
def test_initials_are_of_the_first_and_the_last_name(name: str, initials: str) -> None:
    assert initials_of(name) == initials


@pytest.mark.parametrize("kind", sorted(ev.EVENT_TYPES))
def test_every_event_has_words_of_its_own_in_every_language(kind: str) -> None:
    @given(st.from_type(ev.EVENT_TYPES[kind]))
    def check(event: ev.Event) -> None:
        for language in LANGUAGES:
            speak = Words(language)
            said = words(event, speak)
            assert isinstance(said, Said)
            assert said.what
            assert said.what != speak.t("event.newer")
            assert said.tone in ("plain", "denied", "alarm", "good")

    check()


def test_an_event_of_a_newer_release_is_said_to_be_that() -> None:
    said = words(ev.UnknownEvent(type="door.sang"))
    assert said.how is not None
    assert "door.sang" in said.how


def test_the_stream_speaks_the_listeners_language_and_nothing_else(
    store: Store, pool: WorkPool, sealing: SealingKey
) -> None:
    bank = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    bank.write(
        ev.TapDenied(reason=Reason.TAKEN, locker="01", offline=True), ev.DoorForced(locker="01"),
        ev.CheckNeeded(locker="02", why="not_empty"), ev.OutOfService(locker="02", reason="door_damaged"),
    )  # fmt: skip

    async def picture(speak: Words) -> dict[str, Any]:
        queries = BankQueries(store, Heartbeats(lambda: 0.0, store.now_ms, lambda bank, online: None))
        stream = LiveFeed(Hub(asyncio.get_running_loop()), store, pool, queries).stream(None, 0, speak)
        await anext(stream)
        message = (await anext(stream)).decode()
        await stream.aclose()  # type: ignore[attr-defined]
        found: dict[str, Any] = json.loads(message.partition("data: ")[2])
        return found

    with a_language_that_nobody_speaks() as language:
        told = asyncio.run(picture(Words(language)))
    said = [event[part] for event in told["events"] for part in ("who", "what", "how") if event[part]]
    said += [locker["note"] for locker in told["lockers"] if locker["note"]]
    assert len(said) >= 8
    assert [text for text in said if words_outside(text)] == []
    german = asyncio.run(picture(Words("de")))
    assert german["events"][-4]["what"] == "Abgelehnt: Das Fach gehört jemand anderem"
    # Programs go by the same words in every language.
    assert german["events"][-4]["why"] == told["events"][-4]["why"] == "taken"
    assert german["lockers"][1]["out_of_service"] == told["lockers"][1]["out_of_service"] == "door_damaged"


def test_the_mark_beside_the_overview_counts_exactly_what_needs_somebody(store: Store, sealing: SealingKey) -> None:
    bank = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    queries = BankQueries(store, Heartbeats(lambda: 0.0, store.now_ms, lambda bank, online: None))

    def counted() -> int:
        with store.read() as connection:
            assert queries.attention(connection) == len(needs_of(queries.banks(connection), ENGLISH))
            return queries.attention(connection)

    assert counted() == 1  # the bank is away
    bank.write(ev.DoorForced(locker="01"), ev.CheckNeeded(locker="02", why="not_empty"))
    bank.write(ev.ClockDoubted(why="jumped", offset_ms=5), ev.OccupancyChanged(locker="03", occupancy=OCCUPIED))
    assert counted() == 5
    bank.write(ev.OutOfService(locker="02", reason="cleaning"))
    bad = bank.batch(ev.DoorOpened(locker="01"))
    forged = msgspec.structs.replace(bad, heads=[msgspec.structs.replace(bad.heads[0], signature="00" * 64)])
    assert bank.send(forged).quarantined
    assert counted() == 5
    assert bank.announced[-1].quarantined


def test_a_page_that_cannot_follow_is_told_to_load_anew(store: Store, pool: WorkPool) -> None:
    async def run() -> list[bytes]:
        hub = Hub(asyncio.get_running_loop())
        queries = BankQueries(store, Heartbeats(lambda: 0.0, store.now_ms, lambda bank, online: None))
        stream = LiveFeed(hub, store, pool, queries).stream(None, None, ENGLISH)
        told = [await anext(stream), await anext(stream)]
        for _ in range(QUEUE_MOST + 1):
            hub.publish(Moved("A"))
        told += [piece async for piece in stream]
        assert hub.watchers == 0
        return told

    assert b"event: reset" in asyncio.run(run())[-1]


def test_a_page_hears_only_of_the_banks_that_it_shows() -> None:
    async def run() -> list[str]:
        hub = Hub(asyncio.get_running_loop())
        with hub.watch(frozenset({"B"})) as watcher:
            hub.publish(Moved("A"))
            hub.publish(Moved("B"))
            await asyncio.sleep(0)
            return [watcher.queue.get_nowait().bank for _ in range(watcher.queue.qsize())]

    assert asyncio.run(run()) == ["B"]


def test_streams_end_when_the_server_stops(store: Store, pool: WorkPool) -> None:
    async def run() -> list[bytes]:
        hub = Hub(asyncio.get_running_loop())
        queries = BankQueries(store, Heartbeats(lambda: 0.0, store.now_ms, lambda bank, online: None))
        stream = LiveFeed(hub, store, pool, queries).stream(None, None, ENGLISH)
        await anext(stream)
        await anext(stream)
        hub.close()
        return [piece async for piece in stream]

    assert asyncio.run(run()) == []


def test_there_is_a_limit_to_watchers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cubbyhole.server.live.hub.WATCHERS_MOST", 1)

    async def run() -> None:
        hub = Hub(asyncio.get_running_loop())
        with hub.watch(None), pytest.raises(TooManyWatchers), hub.watch(None):
            pass

    asyncio.run(run())


def test_after_an_upgrade_the_journal_is_folded_again(store: Store, sealing: SealingKey) -> None:
    bank = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    bank.write(ev.DoorSeen(locker="01", door=Door.CLOSED))
    with store.read() as connection:
        good = connection.execute(select(t.banks.c.state)).scalar_one()
    # As if this release had not known the last event when it came.
    state = decode_state(good)
    state.lockers["01"].door, state.unknown_types = Door.UNKNOWN, 1
    with store.write() as work:
        work.connection.execute(update(t.banks).values(state=encode_state(state), stale=True))
        work.connection.execute(update(t.lockers).where(t.lockers.c.number == "01").values(door="unknown"))
    assert refold_stale(store) == ["A"]
    with store.read() as connection:
        found = connection.execute(select(t.banks.c.state, t.banks.c.stale)).one()
        door = connection.execute(select(t.lockers.c.door).where(t.lockers.c.number == "01")).scalar()
    assert (found.state, found.stale, door) == (good, False, "closed")


def test_a_view_that_still_meets_newer_events_stays_marked(store: Store, sealing: SealingKey) -> None:
    bank = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    batch = bank.batch(ev.DoorSeen(locker="01", door=Door.CLOSED))
    raw = bytes(batch.lines[0]).replace(b'"door.seen"', b'"door.sang"')
    with store.read() as connection:
        before = bytes.fromhex(connection.execute(select(t.banks.c.last_hash)).scalar_one())
    hashed = link(before, raw)
    signature = sign(bank.key, head_text("A", bank.epoch, 3, hashed))
    head = m.Head(seq=3, hash=hashed.hex(), signature=signature)
    assert bank.send(m.Events(bank="A", epoch=bank.epoch, first=3, lines=[msgspec.Raw(raw)], heads=[head])).ack == 3
    assert refold_stale(store) == []
    with store.read() as connection:
        row_ = connection.execute(select(t.banks.c.state, t.banks.c.stale)).one()
    assert row_.stale
    assert isinstance(decode_state(row_.state), BankState)
