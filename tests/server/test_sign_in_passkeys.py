"""Passkeys at the API: made and used as they should, and everything that must not be taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from cubbyhole.server.auth import accounts, passkeys, sessions
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.dependencies import COOKIE
from cubbyhole.server.auth.other_ways import PASSKEY_COOKIE
from cubbyhole.server.auth.roles import Role
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from tests.server.authenticator import Authenticator, text
from tests.server.hand import HandClock
from tests.server.office import application

PUBLIC = "https://cubby.example"


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool, always_secure=True)
    yield made
    made.close()


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path) -> FastAPI:
    return application(store, pool, sealing, auth, tmp_path / "home", public_url=PUBLIC)


def browser(app: FastAPI, cookie: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=PUBLIC, headers={"origin": PUBLIC, "accept": "text/html"},
        cookies={COOKIE: cookie} if cookie else {},
    )  # fmt: skip


def signed_in(app: FastAPI, store: Store, name: str = "olga") -> httpx.AsyncClient:
    with store.write() as work:
        account = accounts.find(work.connection, name) or accounts.make(work, name, "Olga", Role.OWNER, "op:test")
        return browser(app, sessions.begin(work, account, Way.LINK))


async def made(client: httpx.AsyncClient, phone: Authenticator, name: str = "Phone") -> httpx.Response:
    options = (await client.post("/account/passkeys/options")).json()
    return await client.post("/account/passkeys", json={"name": name, "credential": phone.make(options)})


async def options_for(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/sign-in/passkey/options")
    assert answer.status_code == 200
    options: dict[str, Any] = answer.json()
    return options


async def come(client: httpx.AsyncClient, phone: Authenticator, options: dict[str, Any]) -> httpx.Response:
    return await client.post("/sign-in/passkey?next=/account", json=phone.use(options))


async def test_a_passkey_is_made_and_signs_in_without_a_name_being_typed(app: FastAPI, store: Store) -> None:
    phone, mine = Authenticator(PUBLIC), signed_in(app, store)
    options = (await mine.post("/account/passkeys/options")).json()
    assert options["rp"]["id"] == "cubby.example" and options["attestation"] == "none"
    chosen = options["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert (await made(mine, phone, " My  phone ")).status_code == 200
    assert "My phone" in (await mine.get("/account")).text
    client = browser(app)
    asked = await options_for(client)
    assert asked["userVerification"] == "required" and not asked.get("allowCredentials")
    answer = await come(client, phone, asked)
    assert (answer.status_code, answer.json()) == (200, {"next": "/account"})
    assert "by passkey" in (await client.get("/account")).text
    with store.read() as connection:
        row = connection.execute(select(t.passkeys)).mappings().one()
    assert (row["sign_count"], row["account"]) == (1, "olga") and row["used_ms"] is not None


async def test_a_challenge_is_used_up_by_the_first_answer_right_or_wrong(app: FastAPI, store: Store) -> None:
    phone = Authenticator(PUBLIC)
    await made(signed_in(app, store), phone)
    client = browser(app)
    asked = await options_for(client)
    cookie = client.cookies[PASSKEY_COOKIE]
    assert (await come(client, Authenticator(PUBLIC), asked)).status_code == 401
    client.cookies.set(PASSKEY_COOKIE, cookie, domain="cubby.example", path="/sign-in")
    assert (await come(client, phone, asked)).status_code == 401
    again = await options_for(client)
    answer = phone.use(again)
    cookie = client.cookies[PASSKEY_COOKIE]

    async def replayed() -> int:
        other = browser(app)
        other.cookies.set(PASSKEY_COOKIE, cookie)
        return (await other.post("/sign-in/passkey", json=answer)).status_code

    assert sorted(await asyncio.gather(*(replayed() for _ in range(4)))) == [200, 401, 401, 401]


async def test_a_challenge_of_another_browser_or_of_ten_minutes_ago_is_not_taken(
    app: FastAPI, store: Store, clock: HandClock
) -> None:
    phone = Authenticator(PUBLIC)
    await made(signed_in(app, store), phone)
    mine, theirs = browser(app), browser(app)
    asked = await options_for(mine)
    await options_for(theirs)
    assert (await come(theirs, phone, asked)).status_code == 401
    assert (await come(browser(app), phone, asked)).status_code == 401
    assert (await come(mine, phone, asked)).status_code == 200  # nobody else could use it up
    late = browser(app)
    asked = await options_for(late)
    clock.pass_ms(passkeys.CHALLENGE_VALID_MS)
    assert (await come(late, phone, asked)).status_code == 401


@pytest.mark.parametrize("lie", ["origin", "port", "host", "unverified", "key", "handle", "counter", "bytes", "shape"])
async def test_what_lies_is_refused_and_written_down(app: FastAPI, store: Store, lie: str) -> None:
    phone, client = Authenticator(PUBLIC, counter=5), browser(app)
    await made(signed_in(app, store), phone)
    asked = await options_for(client)
    if lie in ("origin", "port"):
        phone.origin = "https://evil.example" if lie == "origin" else PUBLIC + ":8443"
    elif lie == "host":
        phone.host = "evil.example"
    elif lie == "unverified":
        phone.verified = False
    elif lie == "key":
        phone.key = Authenticator(PUBLIC).key
    elif lie == "handle":
        phone.user = b"somebody else"
    elif lie == "counter":
        phone.counter = 4  # a copy of the authenticator that has been used less often
    answer = phone.use(asked)
    if lie == "bytes":
        answer["response"]["authenticatorData"] = text(b"\x00" * 37)
    elif lie == "shape":
        answer["response"] = {"clientDataJSON": answer["response"]["clientDataJSON"]}
    refused = await client.post("/sign-in/passkey", json=answer)
    assert (refused.status_code, refused.json()) == (401, {"wrong": "wrong"}) and COOKIE not in client.cookies
    with store.read() as connection:
        noted = connection.execute(select(t.server_audit.c.act)).scalars().all()
    assert noted[-1] == "passkey.refused"


@pytest.mark.parametrize("body", [None, [], "x", {}, {"response": []}, {"response": {"clientDataJSON": "%"}}, 7])
async def test_what_is_no_answer_at_all_is_refused(app: FastAPI, store: Store, body: object) -> None:
    client = browser(app)
    await options_for(client)
    assert (await client.post("/sign-in/passkey", json=body)).status_code == 401
    assert (await signed_in(app, store).post("/account/passkeys", json={"credential": body})).status_code == 409


@pytest.mark.parametrize("lie", ["origin", "host", "unverified", "replayed", "other_session"])
async def test_a_passkey_is_not_made_of_what_lies(app: FastAPI, store: Store, lie: str) -> None:
    mine, phone = signed_in(app, store), Authenticator(PUBLIC)
    options = (await mine.post("/account/passkeys/options")).json()
    sender = mine
    if lie == "origin":
        phone.origin = "https://evil.example"
    elif lie == "host":
        phone.host = "evil.example"
    elif lie == "unverified":
        phone.verified = False
    elif lie == "other_session":
        sender = signed_in(app, store, "eve")
    elif lie == "replayed":
        await mine.post("/account/passkeys", json={"credential": Authenticator("https://evil.example").make(options)})
    answer = await sender.post("/account/passkeys", json={"credential": phone.make(options)})
    assert (answer.status_code, answer.json()) == (409, {"wrong": "wrong"})
    with store.read() as connection:
        assert connection.execute(select(t.passkeys)).all() == []


async def test_a_known_passkey_is_not_taken_for_another_account(app: FastAPI, store: Store) -> None:
    phone = Authenticator(PUBLIC)
    assert (await made(signed_in(app, store), phone)).status_code == 200
    again = await made(signed_in(app, store, "eve"), phone)
    assert (again.status_code, again.json()) == (409, {"wrong": "known"})


async def test_making_one_needs_a_fresh_sign_in_and_there_is_an_end_to_them(
    app: FastAPI, store: Store, clock: HandClock
) -> None:
    mine = signed_in(app, store)
    for _ in range(passkeys.PASSKEYS_MOST):
        assert (await made(mine, Authenticator(PUBLIC))).status_code == 200
    assert (await mine.post("/account/passkeys/options")).json() == {"wrong": "many"}
    clock.pass_ms(sessions.FRESH_MS)
    assert (await mine.post("/account/passkeys/options")).json() == {"wrong": "stale"}
    assert "/sign-in?again" in (await mine.get("/account")).text


async def test_a_removed_passkey_and_that_of_somebody_who_left_sign_nobody_in(app: FastAPI, store: Store) -> None:
    phone, other, mine = Authenticator(PUBLIC), Authenticator(PUBLIC), signed_in(app, store)
    await made(mine, phone)
    await made(mine, other)
    with store.read() as connection:
        listed = passkeys.list_passkeys(connection, "olga")
        ids = dict(connection.execute(select(t.passkeys.c.id, t.passkeys.c.credential)).all())
    assert len(listed) == 2
    eve = signed_in(app, store, "eve")
    await eve.post(f"/account/passkeys/{ids[phone.id][:16]}/remove")  # not theirs
    client = browser(app)
    assert (await come(client, phone, await options_for(client))).status_code == 200
    await mine.post(f"/account/passkeys/{ids[phone.id][:16]}/remove")
    assert (await come(client, phone, await options_for(client))).status_code == 401
    with store.write() as work:
        work.connection.execute(update(t.accounts).where(t.accounts.c.account == "olga").values(person="p_gone"))
    assert (await come(client, other, await options_for(client))).status_code == 401


@pytest.mark.parametrize(
    ("address", "offered"),
    [
        ("https://cubby.example", True), ("http://localhost:8080", True), ("http://127.0.0.1:8080", False),
        ("https://192.0.2.7", False), ("https://[2001:db8::1]", False), ("http://cubby.example", False),
    ],
)  # fmt: skip
async def test_passkeys_are_offered_where_browsers_make_them(
    store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path, address: str, offered: bool
) -> None:
    app = application(store, pool, sealing, auth, tmp_path / "home", public_url=address)
    assert ("cubby-passkey" in (await browser(app).get("/sign-in")).text) is offered
    assert ((await browser(app).post("/sign-in/passkey/options")).status_code == 200) is offered
