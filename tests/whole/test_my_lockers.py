"""People get, open, share, renew and give back lockers by themselves, over the real server and a real bank."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cubbyhole.server.auth import accounts, sessions
from cubbyhole.server.auth.dependencies import COOKIE
from cubbyhole.server.keys import load_or_make
from cubbyhole.server.notices.links import Links, Purpose
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.unit import Store
from cubbyhole.simulator.house import House
from cubbyhole.simulator.office import BankPlan, Worker
from tests.support.house import eventually, pulses, running_house

pytestmark = pytest.mark.slow

LOCKERS = 12
PLAN = BankPlan("A", "Lobby", "Ground floor", ("M M M M", "S S S S", "L+ L M_"), "modbus", 19200, True, True)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house((PLAN,), people=40) as started:
        yield started


@dataclass(frozen=True)
class Phone:
    """Somebody's signed-in browser."""

    worker: Worker
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, **body: object) -> httpx.Response:
        return await self.client.request(method, f"/api/v1/me{path}", json=body or None)

    async def lockers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.ask("GET", "/lockers")).json()
        return found

    async def do(self, mine: dict[str, Any], what: str, **body: object) -> httpx.Response:
        return await self.ask("POST", f"/lockers/{mine['assignment']}/{what}", **body)


@pytest.fixture
async def opened() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Browsers that are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


async def phone(house: House, worker: Worker, opened: contextlib.AsyncExitStack) -> Phone:
    engine = make_engine(f"sqlite:///{house.folder / 'cubbyhole.db'}")
    store = Store(engine, lambda: time.time_ns() // 1_000_000)
    with store.write() as work:
        reached = accounts.reached_at(work.connection, worker.email)
        assert reached is not None
        token = sessions.begin(work, accounts.come_in(work, reached, worker.email), sessions.Way.CODE)
    engine.dispose()
    client = httpx.AsyncClient(base_url=house.url, cookies={COOKIE: token}, headers={"origin": house.url}, timeout=30)
    return Phone(worker, await opened.enter_async_context(client))


async def get(who: Phone, **wish: object) -> dict[str, Any]:
    answer = await who.ask("POST", "/lockers", **({"size": "S"} | wish))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["locker"]
    return found


async def use(house: House, who: Phone, mine: dict[str, Any], before: int) -> None:
    """The door that was just released springs open; whoever stands before it pushes it shut again."""
    number = mine["locker"].removeprefix("A-")
    eventually(lambda: len(pulses(house, "A")) > before, "the pulse at the board")
    assert pulses(house, "A")[-1]["locker"] == number
    async with asyncio.timeout(60):
        await until(who, mine, "open")
        house.sim("door", bank="A", door=number, act="close")
        await until(who, mine, "closed")


async def until(who: Phone, mine: dict[str, Any], door: str) -> None:
    while [m["door"] for m in await who.lockers() if m["assignment"] == mine["assignment"]] != [door]:
        await asyncio.sleep(0.1)


async def test_get_open_share_renew_release(house: House, opened: contextlib.AsyncExitStack) -> None:
    ada, ben = await phone(house, house.staff[0], opened), await phone(house, house.staff[1], opened)
    mine = await get(ada, size="M")
    assert mine["size"] == "M" and mine["hold_until"] is not None
    before = len(pulses(house, "A"))

    answer = await ada.do(mine, "open")
    assert answer.json()["outcome"] == "done", answer.text
    await use(house, ada, mine, before)
    assert (await ada.lockers())[0]["hold_until"] is None, "whoever has opened it has it"

    assert await ben.lockers() == []
    bens = person_id(house, ben.worker)
    shared = await ada.do(mine, "shares", person=bens, once=True)
    assert shared.status_code == 200, shared.text
    (seen,) = await ben.lockers()
    assert (seen["locker"], seen["holder"]) == (mine["locker"], ada.worker.name)
    refused = await ben.do(seen, "release")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:cubbyhole:not_holder")
    assert (await ben.do(seen, "open")).json()["outcome"] == "done"
    await use(house, ada, mine, before + 1)
    assert await ben.lockers() == [], "it was for once"

    renewed = await ada.do(mine, "renew")
    assert renewed.json()["outcome"] == "done", renewed.text
    (kept,) = await ada.lockers()
    assert kept["until"] > mine["until"]
    again = await ada.do(mine, "renew")
    assert (again.status_code, again.json()["type"]) == (409, "urn:cubbyhole:too_early")
    assert (await ada.do(mine, "release")).json()["outcome"] == "done"
    assert await ada.lockers() == []


def person_id(house: House, worker: Worker) -> str:
    engine = make_engine(f"sqlite:///{house.folder / 'cubbyhole.db'}")
    store = Store(engine, lambda: 0)
    with store.read() as connection:
        reached = accounts.reached_at(connection, worker.email)
    engine.dispose()
    assert reached is not None and reached.person is not None
    return reached.person


async def test_of_many_at_once_each_gets_a_locker_of_their_own_or_a_reason(
    house: House, opened: contextlib.AsyncExitStack
) -> None:
    phones = [await phone(house, worker, opened) for worker in house.staff[2:36]]
    answers = await asyncio.gather(*(p.ask("POST", "/lockers", size="S") for p in phones))
    assert {a.status_code for a in answers} <= {200, 202, 409}, [a.text for a in answers if a.status_code >= 500]

    async def settled() -> list[dict[str, Any]]:
        return [m for p in phones for m in await p.lockers()]

    async with asyncio.timeout(60):
        while len(held := await settled()) < LOCKERS - 1:
            await asyncio.sleep(0.2)
    numbers = [m["locker"] for m in held]
    assert len(numbers) == len(set(numbers)), "no locker twice"
    at_bank = house.get("/api/v1/assignments?bank=A")["items"]
    assert sorted(a["locker"] for a in at_bank) == sorted(numbers), "bank, server and everybody's phone agree"
    refused = [a.json() for a in answers if a.status_code == 409]
    assert refused and all(r["type"] == "urn:cubbyhole:nothing_free" and r["detail"] for r in refused)
    for p in phones:
        for m in await p.lockers():
            assert (await p.do(m, "release")).status_code in (200, 202)


async def test_one_tap_in_a_mail_renews_once_and_looking_changes_nothing(
    house: House, opened: contextlib.AsyncExitStack
) -> None:
    cleo = await phone(house, house.staff[38], opened)
    mine = await get(cleo)
    links = Links(load_or_make(house.folder / "keys" / "sealing.key"), house.url)
    address = links.url(Purpose.RENEW, f"{mine['assignment']}@{mine['until']}", mine["until"])
    async with httpx.AsyncClient(headers={"accept-language": "de"}) as mail_program:
        for _ in range(2):
            page = await mail_program.get(address)
            assert page.status_code == 200 and f"{mine['locker']} behalten" in page.text
        assert (await cleo.lockers())[0]["until"] == mine["until"]
        done = await mail_program.post(address)
        assert done.status_code == 200 and f"{mine['locker']} bleibt Ihres" in done.text
        assert (await cleo.lockers())[0]["until"] > mine["until"]
        assert (await mail_program.post(address)).status_code == 410
    assert (await cleo.do(mine, "release")).json()["outcome"] == "done"


async def test_an_owner_who_is_nobody_of_the_directory_is_told_so(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url) as nobody:
        assert (await nobody.get("/api/v1/me/lockers")).status_code == 401
