"""Signing in with a code by mail, and one's own account: names, sessions, passwords."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from cubbyhole.server.auth import codes, sessions, waits
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.accounts import Reached
from cubbyhole.server.auth.appointments import appoint
from cubbyhole.server.auth.dependencies import COOKIE
from cubbyhole.server.auth.other_ways import CODE_COOKIE
from cubbyhole.server.auth.roles import Role
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.notice import SignInCode, unpack
from cubbyhole.server.people.commands import add_person, set_active
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store, UnitOfWork
from tests.server.hand import HandClock
from tests.server.office import application, browser

ADA = "ada@kestrel.example"
PASSWORD = "correct horse battery"


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool)
    yield made
    made.close()


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path) -> FastAPI:
    return application(store, pool, sealing, auth, tmp_path / "home", mail=True)


@pytest.fixture
def ada(store: Store) -> str:
    with store.write() as work:
        return add_person(work, "op:test", name="Ada Okafor", email=ADA)


def sent(store: Store, sealing: SealingKey) -> list[tuple[str | None, str]]:
    """Address and code of what waits to be mailed."""
    with store.read() as connection:
        rows = connection.execute(select(t.outbox.c.payload).order_by(t.outbox.c.id)).scalars().all()
    found = []
    for payload in rows:
        to, notice = unpack(payload, sealing)
        assert isinstance(notice, SignInCode)
        found.append((to.address, notice.code))
    return found


async def ask(client: httpx.AsyncClient, address: str = ADA, to: str = "/") -> httpx.Response:
    return await client.post("/sign-in/code", data={"address": address, "next": to})


async def check(client: httpx.AsyncClient, code: str, to: str = "/") -> httpx.Response:
    return await client.post("/sign-in/code/check", data={"code": code, "next": to})


async def signed_in(app: FastAPI, store: Store, sealing: SealingKey, address: str = ADA) -> httpx.AsyncClient:
    client = browser(app)
    assert (await ask(client, address)).status_code == 303
    answer = await check(client, sent(store, sealing)[-1][1])
    assert answer.status_code == 303, answer.text
    return client


def acts(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(t.server_audit.c.act).order_by(t.server_audit.c.id)).scalars())


async def test_somebody_of_the_directory_signs_in_without_an_account_having_been_made(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    client = browser(app)
    asked = await ask(client, " Ada@Kestrel.example ", "/account?done=profile")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in/code?next=%2Faccount%3Fdone%3Dprofile")
    cookie = asked.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/sign-in" in cookie
    page = await client.get("/sign-in/code")
    assert ADA in page.text and 'autocomplete="one-time-code"' in page.text
    [(address, code)] = sent(store, sealing)
    assert address == ADA and re.fullmatch(r"\d{6}", code)
    welcome = await check(client, f"{code[:3]} {code[3:]}", "/account")
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/account")
    mine = await client.get("/account")
    assert mine.status_code == 200 and "Ada Okafor" in mine.text and "by code" in mine.text
    with store.read() as connection:
        row = connection.execute(select(t.accounts)).mappings().one()
    assert (row["account"], row["person"], row["role"]) == (ada, ada, "person")
    assert acts(store)[-3:] == ["sign_in.code_asked", "account.made", "session.begun"]
    assert (await client.get("/")).headers["location"] == "/account"  # the desk's overview is not for everybody


async def test_an_address_that_nobody_has_gets_the_same_answers(app: FastAPI, store: Store, ada: str) -> None:
    with store.write() as work:
        add_person(work, "op:test", name="Gone", email="gone@kestrel.example")
        gone = work.connection.execute(select(t.people.c.person).where(t.people.c.name == "Gone")).scalar_one()
        set_active(work, "op:test", gone, False)
    seen = []
    for address in (ADA, "nobody@kestrel.example", "gone@kestrel.example"):
        client = browser(app)
        asked = await ask(client, address)
        page = await client.get("/sign-in/code")
        wrong = [await check(client, "000000x") for _ in range(codes.TRIES_MOST)]
        pages = [asked.text, page.text, *(answer.text for answer in wrong)]
        seen.append(
            (
                [asked.status_code, page.status_code, *(answer.status_code for answer in wrong)],
                [text.replace(address, "X") for text in pages],
                sorted(set(asked.headers) - {"set-cookie"}),
            )
        )
    assert seen[0] == seen[1] == seen[2]
    with store.read() as connection:
        kept = connection.execute(select(t.sign_in_waits.c.key)).scalars().all()
        assert len(connection.execute(select(t.outbox.c.id)).all()) == 1
    assert not [key for key in kept if "nobody@" in key]


async def test_a_code_works_once_and_in_the_browser_that_asked(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    client, thief = browser(app), browser(app)
    await ask(client)
    [(_, code)] = sent(store, sealing)
    assert (await check(thief, code)).status_code == 401
    stolen = client.cookies[CODE_COOKIE]
    assert (await check(client, code)).status_code == 303
    thief.cookies.set(CODE_COOKIE, stolen)
    assert (await check(thief, code)).status_code == 401 and COOKIE not in thief.cookies


async def test_a_code_ends_after_ten_minutes_and_after_five_tries(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str, clock: HandClock
) -> None:
    late, tired = browser(app), browser(app)
    await ask(late)
    clock.pass_ms(codes.VALID_MS)
    assert (await check(late, sent(store, sealing)[-1][1])).status_code == 401
    assert (await late.get("/sign-in/code")).headers["location"] == "/sign-in"
    await ask(tired)
    code = sent(store, sealing)[-1][1]
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    answers = await asyncio.gather(*(check(tired, wrong) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {401}
    assert (await check(tired, code)).status_code == 401
    assert acts(store).count("sign_in.code_wrong") == codes.TRIES_MOST


async def test_of_the_same_code_at_once_one_gets_in(app: FastAPI, store: Store, sealing: SealingKey, ada: str) -> None:
    client = browser(app)
    await ask(client)
    code, cookie = sent(store, sealing)[0][1], client.cookies[CODE_COOKIE]

    async def again() -> int:
        other = browser(app)
        other.cookies.set(CODE_COOKIE, cookie)
        return (await check(other, code)).status_code

    assert sorted(await asyncio.gather(*(again() for _ in range(4)))) == [303, 401, 401, 401]


async def test_asking_too_often_waits_per_address_and_whether_it_exists_or_not(
    app: FastAPI, store: Store, ada: str
) -> None:
    for address in (ADA, "nobody@kestrel.example"):
        answers = [await ask(browser(app), address) for _ in range(waits.FREE_TRIES + 1)]
        assert [answer.status_code for answer in answers] == [303] * waits.FREE_TRIES + [429]
        assert answers[-1].headers["retry-after"] == "1"


async def test_no_code_stands_in_the_database_and_what_is_no_address_is_said(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    await ask(browser(app))
    [(_, code)] = sent(store, sealing)
    with store.read() as connection:
        rows = [repr(connection.execute(select(table)).all()) for table in (t.sign_in_codes, t.outbox, t.server_audit)]
    assert not any(re.search(rf"(?<!\d){code}(?!\d)", text) for text in rows)
    for wrong in ("", "ada", "a b@kestrel.example", "x" * 300 + "@kestrel.example", "ada@kestrel.example,eve@evil"):
        assert (await ask(browser(app), wrong)).status_code == 422


async def test_without_a_mail_server_the_page_offers_no_code(
    store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path, ada: str
) -> None:
    app = application(store, pool, sealing, auth, tmp_path / "home")
    page = await browser(app).get("/sign-in")
    assert "/sign-in/code" not in page.text and "cubbyhole owner-link" in page.text
    assert (await ask(browser(app))).status_code == 503


async def test_a_forged_form_sends_no_code_and_signs_nobody_in(app: FastAPI, store: Store, ada: str) -> None:
    forged = browser(app, origin="https://evil.example")
    for path in ("/sign-in/code", "/sign-in/code/check", "/sign-in/passkey/options", "/sign-in/passkey"):
        assert (await forged.post(path, data={"address": ADA})).status_code == 403
    with store.read() as connection:
        assert connection.execute(select(t.sign_in_codes)).all() == []


async def test_a_code_after_a_change_of_the_address_does_not_lead_to_the_role(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    with store.write() as work:
        appoint(work, ADA, Role.MANAGER, [], "for the test", "op:test")
        work.connection.execute(update(t.people).where(t.people.c.person == ada).values(email="eve@evil.example"))
    assert (await ask(browser(app), "eve@evil.example")).status_code == 303
    assert sent(store, sealing) == []


# -- one's own account ------------------------------------------------------------------------------------------


async def test_sessions_are_shown_and_ended_from_the_account(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    here, there, third = [await signed_in(app, store, sealing) for _ in range(3)]
    page = await here.get("/account")
    ends = re.findall(r"/account/sessions/([0-9a-f]{16})/end", page.text)
    assert len(ends) == 2
    await here.post(f"/account/sessions/{ends[0]}/end")
    assert sorted([(await one.get("/account")).status_code for one in (there, third)]) == [200, 303]
    await here.post("/account/other-sessions/end")
    assert [(await one.get("/account")).status_code for one in (here, there, third)] == [200, 303, 303]


async def test_nobody_ends_somebody_elses_session(app: FastAPI, store: Store, sealing: SealingKey, ada: str) -> None:
    with store.write() as work:
        add_person(work, "op:test", name="Eve", email="eve@kestrel.example")
    mine = await signed_in(app, store, sealing)
    eve = await signed_in(app, store, sealing, "eve@kestrel.example")
    with store.read() as connection:
        [session] = sessions.list_sessions(connection, ada, store.now_ms())
    await eve.post(f"/account/sessions/{session.session}/end")
    assert (await mine.get("/account")).status_code == 200


async def test_language_is_kept_with_the_person_and_the_name_stays_the_directorys(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    client = await signed_in(app, store, sealing)
    await client.post("/account/profile", data={"language": "de", "name": "Queen"})
    page = await client.get("/account")
    assert '<html lang="de"' in page.text and "Ada Okafor" in page.text and "Queen" not in page.text
    with store.read() as connection:
        assert connection.execute(select(t.people.c.language)).scalar_one() == "de"


async def test_a_password_needs_a_fresh_sign_in_or_the_old_one_and_ends_all_other_sessions(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str, clock: HandClock
) -> None:
    client, other = await signed_in(app, store, sealing), await signed_in(app, store, sealing)
    before = client.cookies[COOKIE]
    assert (await client.post("/account/password", data={"new": "short"})).status_code == 422
    assert (await client.post("/account/password", data={"new": PASSWORD})).status_code == 303
    assert client.cookies[COOKIE] != before
    assert (await other.get("/account")).status_code == 303 and (await client.get("/account")).status_code == 200
    clock.pass_ms(sessions.FRESH_MS)
    for old in ("", "wrong password"):
        assert (await client.post("/account/password", data={"new": PASSWORD + "2", "old": old})).status_code == 422
    changed = await client.post("/account/password", data={"new": PASSWORD + "2", "old": PASSWORD})
    assert changed.status_code == 303
    by_address = await browser(app).post("/sign-in", data={"account": ADA, "password": PASSWORD + "2"})
    assert by_address.status_code == 303
    await client.post("/account/password", data={"do": "remove"})
    assert (await browser(app).post("/sign-in", data={"account": ADA, "password": PASSWORD + "2"})).status_code == 401


async def test_signing_in_once_more_ends_the_session_of_before(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    client = await signed_in(app, store, sealing)
    before = client.cookies[COOKIE]
    assert (await client.get("/sign-in?again&next=/account")).status_code == 200
    await ask(client)
    await check(client, sent(store, sealing)[-1][1])
    old = browser(app)
    old.cookies.set(COOKIE, before)
    assert (await old.get("/account")).status_code == 303 and (await client.get("/account")).status_code == 200


async def test_owners_give_a_role_on_the_page_and_are_told_what_is_wrong(
    app: FastAPI, store: Store, sealing: SealingKey, ada: str
) -> None:
    with store.write() as work:
        appoint(work, "olga@kestrel.example", Role.OWNER, [], "for the test", "op:test")
    client = await signed_in(app, store, sealing, "olga@kestrel.example")
    asked = {"who": ADA, "role": "auditor", "reason": "Yearly audit"}
    assert (await client.post("/accounts/role", data=asked)).status_code == 303
    assert "Ada Okafor" in (await client.get("/accounts")).text
    for wrong, said in (
        ({"reason": ""}, "Say why"), ({"role": "reception"}, "choose at least one"), ({"role": "x"}, "Choose a role"),
        ({"who": "olga@kestrel.example"}, "last owner"), ({"who": "nobody"}, "Nobody here is called so"),
    ):  # fmt: skip
        answer = await client.post("/accounts/role", data=asked | wrong)
        assert answer.status_code == 422 and said in answer.text
    assert (await client.post("/accounts/remove", data={"who": ADA, "reason": "Left"})).status_code == 303


class Nowhere:
    """A sender that fails: nothing of the asking may remain."""

    ready = True

    def sign_in_code(
        self, work: UnitOfWork, reached: Reached, address: str, code: str, language: str, not_after_ms: int
    ) -> None:
        raise OSError("no outbox")


async def test_a_code_that_cannot_be_sent_is_not_kept(
    store: Store, pool: WorkPool, sealing: SealingKey, ada: str
) -> None:
    with pytest.raises(OSError, match="no outbox"):
        await codes.Codes(store, pool, sealing, Nowhere()).ask(ADA, "en", None)
    with store.read() as connection:
        assert connection.execute(select(t.sign_in_codes)).all() == []
