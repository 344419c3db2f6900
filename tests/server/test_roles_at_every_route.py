"""Every route says what it is for, and is tried as every role, as nobody, from elsewhere, forged, and too large."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select, update
from starlette.routing import BaseRoute, Mount

from cubbyhole.server.auth import accounts, sessions
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.appointments import appoint
from cubbyhole.server.auth.dependencies import COOKIE, act_of, needs, open_to_all
from cubbyhole.server.auth.roles import PLACED, RIGHTS, Act, Caller, Place, Role, Scope, may
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.auth.tokens import create
from cubbyhole.server.auth.tokens import find as program
from cubbyhole.server.commands.actions import Actions, Outcomes
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.live.hub import TooManyWatchers
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandBank
from tests.server.office import ORIGIN, application

HERE = Place("Kestrel House")
# What a path's braces are filled with. Whatever names a place is called `bank` or `locker`: `needs` looks at these.
FILLED = {
    "bank": "A", "locker": "A-99", "number": "99", "act": "checked", "rule": "visitors", "token": "t0ken",
    "verb": "state", "session": "0" * 16, "passkey": "0" * 16, "evidence": "e_0", "journal": "j", "assignment": "a_0",
    "share": "s_0",
}  # fmt: skip
REFUSED = (401, 403)


class NoRoom:
    """A live feed that takes nobody in: a test's client would wait for the end of a stream."""

    def stream(self, *_: object) -> Any:
        raise TooManyWatchers("full")


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool)
    yield made
    made.close()


@pytest.fixture
async def app(store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path) -> FastAPI:
    async def nudge(_bank: str) -> None:
        pass

    key, never = Ed25519PrivateKey.generate(), Any
    for bank, site in (("A", HERE.site), ("B", "Barn"), ("C", HERE.site)):
        HandBank(store, key, bank).begin(sealing)
        with store.write() as work:
            work.connection.execute(update(t.banks).where(t.banks.c.bank == bank).values(site=site))
    live: Any = never
    actions = Actions(store, pool, live, Outcomes(asyncio.get_running_loop()), nudge)
    return application(
        store, pool, sealing, auth, tmp_path / "home", tmp_path / "no.sock", actions=actions, live=NoRoom()
    )


def all_routes(within: Any) -> Iterator[BaseRoute]:
    """Also those of the routers that were included."""
    for route in within.routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else all_routes(inner)


def routes(app: FastAPI) -> list[tuple[APIRoute, str]]:
    found = [route for route in all_routes(app) if isinstance(route, APIRoute)]
    assert len(found) >= 40
    return [(route, method) for route in found for method in sorted(route.methods or ())]


def address(route: APIRoute, **other: str) -> str:
    return route.path_format.format(**{name: (FILLED | other)[name] for name in route.param_convertors})


def cookie_of(store: Store, role: Role) -> str:
    """A session of somebody with this role; where it is bound to places, at `HERE`."""
    with store.write() as work:
        name = f"{role.value}@kestrel.example"
        if accounts.find(work.connection, name) is None:
            if role is Role.OWNER:
                accounts.make(work, name, "Olga", role, "op:test")
            else:
                appoint(work, name, role, [HERE] if role in PLACED else [], "for the test", "op:test")
        account = accounts.find(work.connection, name)
        assert account is not None
        return sessions.begin(work, account, Way.LINK)


def client(app: FastAPI, cookie: str | None = None, **headers: str) -> httpx.AsyncClient:
    """What is not expected of a route is a 500 here, and no error of the test's own."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=ORIGIN,
        headers={"origin": ORIGIN, "accept": "application/json", **headers},
        cookies={COOKIE: cookie} if cookie else {},
    )  # fmt: skip


async def tried(browser: httpx.AsyncClient, method: str, path: str, **query: str) -> int:
    body: dict[str, str] | None = {} if method in ("POST", "PUT", "PATCH") else None
    return (await browser.request(method, path, params=query, json=body)).status_code


def refusals(store: Store) -> set[tuple[str, str]]:
    with store.read() as connection:
        query = select(t.server_audit.c.actor, t.server_audit.c.detail).where(t.server_audit.c.act == "refused")
        return {(actor, detail) for actor, detail in connection.execute(query)}


async def test_every_route_says_what_it_is_for(app: FastAPI) -> None:
    for route, _ in routes(app):
        act_of(route)  # raises where it says nothing
        assert set(route.param_convertors) <= FILLED.keys(), f"say in FILLED what {route.path} is tried with"
    others = [route for route in all_routes(app) if not isinstance(route, APIRoute)]
    assert {getattr(route, "path", "") for route in others} == {"/api/v1/openapi.json", "/static"}
    assert isinstance(others[-1], Mount)


def test_a_route_that_says_nothing_or_two_things_is_found() -> None:
    silent, double = FastAPI(), FastAPI()
    silent.get("/")(lambda: None)
    double.get("/", dependencies=[open_to_all])(_double)
    for one in (silent, double):
        route = one.routes[-1]
        assert isinstance(route, APIRoute)
        with pytest.raises(LookupError):
            act_of(route)


async def _double(_caller: Annotated[Caller, Depends(needs(Act.SEE))]) -> None:
    pass


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_reaches_what_the_table_says_and_nothing_else(app: FastAPI, store: Store, role: Role) -> None:
    refused = set()
    for route, method in routes(app):
        act = act_of(route)
        if act is None:
            continue
        async with client(app, cookie_of(store, role)) as browser:  # a session each: some routes end it
            status = await tried(browser, method, address(route))
        if act in RIGHTS[role]:
            assert status not in REFUSED, f"{role} {method} {route.path}: {status}"
            continue
        refused.add(act)
        # The front page shows everybody the way to what is theirs.
        assert status == (303 if route.path == "/" else 403), f"{role} {method} {route.path}: {status}"
    noted = {(actor, detail.partition('"why": "')[2].partition('"')[0]) for actor, detail in refusals(store)}
    assert noted >= {(f"op:{role.value}@kestrel.example", act.value) for act in refused}


async def test_without_a_session_only_what_is_open_answers(app: FastAPI) -> None:
    for route, method in routes(app):
        if route.path.startswith("/sign-in"):  # there, 401 is a wrong password
            continue
        async with client(app) as browser:
            status = await tried(browser, method, address(route))
        assert (status == 401) is (act_of(route) is not None), f"{method} {route.path}: {status}"


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_token_reaches_what_its_scope_says(app: FastAPI, store: Store, scope: Scope) -> None:
    with store.write() as work:
        token = create(work, f"Robot {scope}", [scope], "op:test")
    with store.read() as connection:
        caller = program(connection, token)
    assert caller is not None and not may(caller, Act.ACCOUNTS) and not may(caller, Act.ACCOUNT)
    async with client(app, authorization=f"Bearer {token}") as robot:
        for route, method in routes(app):
            act = act_of(route)
            if act is not None and route.path != "/":
                status = await tried(robot, method, address(route))
                assert (status not in REFUSED) is may(caller, act), f"{scope} {method} {route.path}: {status}"


@pytest.mark.parametrize("role", sorted(PLACED))
async def test_another_sites_banks_are_refused_wherever_they_are_named(app: FastAPI, store: Store, role: Role) -> None:
    async with client(app, cookie_of(store, role)) as browser:
        for route, method in routes(app):
            act = act_of(route)
            if act is None or act in RIGHTS[Role.PERSON] or act not in RIGHTS[role]:
                continue
            elsewhere = address(route, bank="B", locker="B-99")
            if elsewhere != address(route):
                assert await tried(browser, method, elsewhere) == 403, f"{method} {elsewhere}"
            for query in ({"bank": "B"}, {"banks": "A,B"}, {"locker": "B-01"}, {"bank": "Z"}):
                assert await tried(browser, method, address(route), **query) == 403, f"{method} {route.path} {query}"
            assert await tried(browser, method, address(route), bank="A") not in REFUSED


@pytest.mark.parametrize("role", sorted(PLACED))
async def test_what_no_address_narrows_shows_only_the_callers_places(app: FastAPI, store: Store, role: Role) -> None:
    async with client(app, cookie_of(store, role)) as browser:
        banks = (await browser.get("/api/v1/banks")).json()["items"]
        assert [bank["id"] for bank in banks] == ["A", "C"]
        for path in ("/api/v1/lockers", "/api/v1/assignments", "/api/v1/events"):
            items = (await browser.get(path, params={"limit": 500})).json()["items"]
            assert {item.get("bank") or item["id"].rpartition("-")[0] for item in items} <= {"A", "C"}
        for path in ("/", "/banks", "/events", "/people"):
            page = await browser.get(path, headers={"accept": "text/html"})
            assert page.status_code == 200 and "/banks/B" not in page.text and 'value="B"' not in page.text


async def test_a_forged_request_is_refused_at_every_route_that_changes_something(app: FastAPI, store: Store) -> None:
    for route, method in routes(app):
        if method in ("GET", "HEAD") or route.path.startswith("/l/"):  # there the link itself is the right
            continue
        for forged in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            async with client(app, cookie_of(store, Role.OWNER), **forged) as browser:
                assert await tried(browser, method, address(route)) == 403, f"{method} {route.path}"
    assert {actor for actor, detail in refusals(store) if "origin" in detail} == {"op:nobody"}


async def test_ten_megabytes_are_refused_at_every_route(app: FastAPI, store: Store) -> None:
    async with client(app, cookie_of(store, Role.OWNER)) as browser:
        for route, method in routes(app):
            answer = await browser.request(method, address(route), content=b"x" * 10_000_000)
            assert answer.status_code == 413, f"{method} {route.path}: {answer.status_code}"


async def test_refusals_do_not_fill_the_record(app: FastAPI, store: Store) -> None:
    async with client(app, cookie_of(store, Role.PERSON)) as browser:
        for _ in range(20):
            assert await tried(browser, "GET", "/people") == 403
    assert len(refusals(store)) == 1
