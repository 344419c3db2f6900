"""Signing in: the owner's link, sessions, forged requests, passwords as the fallback, tokens for programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from cubbyhole.server.auth import accounts, owner_link, sessions, tokens, waits
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.dependencies import COOKIE, safe_path
from cubbyhole.server.auth.origin import is_ours
from cubbyhole.server.auth.roles import Act, Caller, Role, Scope, may
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import api_tokens, owner_links, server_audit
from cubbyhole.server.persistence.tables import sessions as sessions_table
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandClock
from tests.server.office import ORIGIN, application, browser

PASSWORD = "correct horse battery"


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool)
    yield made
    made.close()


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path) -> FastAPI:
    return application(store, pool, sealing, auth, tmp_path / "home")


def link(store: Store) -> str:
    with store.write() as work:
        return "/owner/" + owner_link.make(work)


async def owner(app: FastAPI, store: Store, password: str = "") -> httpx.AsyncClient:
    """A browser in which the owner has signed in by a link."""
    client = browser(app)
    answer = await client.post(link(store), data={"password": password} if password else {})
    assert answer.status_code == 303, answer.text
    return client


def acts(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(server_audit.c.act).order_by(server_audit.c.id)).scalars())


# -- the owner's link -------------------------------------------------------------------------------------------


async def test_the_first_link_makes_the_owner_and_is_used_up(app: FastAPI, store: Store) -> None:
    with store.write() as work:
        token = owner_link.first_link(work)
    client = browser(app)
    answer = await client.post(f"/owner/{token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await client.get("/")).status_code == 200
    again = await browser(app).post(f"/owner/{token}")
    assert again.status_code == 410 and COOKIE not in again.cookies
    with store.write() as work:
        assert owner_link.first_link(work) is None


async def test_looking_at_the_link_any_number_of_times_does_not_use_it_up(app: FastAPI, store: Store) -> None:
    address = link(store)
    for _ in range(3):
        preview = await browser(app, **{"user-agent": "LinkPreview/1"}).get(address)
        assert preview.status_code == 200 and "<form" in preview.text and COOKIE not in preview.cookies
        assert preview.headers["cache-control"] == "no-store"
    assert (await browser(app).post(address)).status_code == 303


async def test_a_link_ends_after_a_day_and_when_a_newer_one_is_made(
    app: FastAPI, store: Store, clock: HandClock
) -> None:
    first, second = link(store), link(store)
    assert (await browser(app).get(first)).status_code == 410
    clock.pass_ms(owner_link.VALID_MS)
    assert (await browser(app).post(second)).status_code == 410


async def test_of_two_browsers_with_the_same_link_one_gets_in(app: FastAPI, store: Store) -> None:
    address = link(store)
    answers = await asyncio.gather(*(browser(app).post(address) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410, 410, 410]


async def test_a_lost_owner_comes_back_by_a_new_link_to_the_same_account(app: FastAPI, store: Store) -> None:
    await owner(app, store)
    await owner(app, store)
    with store.read() as connection:
        accounts_there = connection.execute(select(sessions_table.c.account)).scalars()
        assert list(accounts_there) == ["owner", "owner"]
    assert acts(store).count("account.made") == 1


async def test_no_secret_stands_in_the_database(app: FastAPI, store: Store) -> None:
    address = link(store)
    client = browser(app)
    await client.post(address)
    with store.write() as work:
        program = tokens.create(work, "Dashboard", [Scope.READ], "op:test")
    with store.read() as connection:
        rows = [
            *connection.execute(select(owner_links)), *connection.execute(select(sessions_table)),
            *connection.execute(select(api_tokens)), *connection.execute(select(server_audit)),
        ]  # fmt: skip
    text = repr(rows)
    for secret in (address.removeprefix("/owner/"), client.cookies[COOKIE], program.split("_", 2)[2]):
        assert secret not in text


# -- sessions ---------------------------------------------------------------------------------------------------


async def test_the_cookie_is_for_http_only_and_this_site_and_secure_over_https(app: FastAPI, store: Store) -> None:
    plain = (await browser(app).post(link(store))).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=lax" in plain and "secure" not in plain
    async with browser(app) as client:
        over_tls = await client.post(f"https://cubby.example{link(store)}")
    assert "; secure" in over_tls.headers["set-cookie"].lower()


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(app: FastAPI) -> None:
    client = browser(app)
    page = await client.get("/events?bank=A")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/events%3Fbank%3DA")
    fragment = await client.get("/banks/A/lockers/01", headers={"hx-request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/sign-in")
    program = await client.get("/api/v1/banks", headers={"accept": "application/json"})
    assert (program.status_code, program.headers["content-type"]) == (401, "application/problem+json")
    assert (await client.get("/sign-in")).status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb"]
)
def test_a_way_back_never_leads_to_another_site(elsewhere: str) -> None:
    assert safe_path(elsewhere) == "/"


async def test_signing_out_ends_the_session_on_the_server(app: FastAPI, store: Store) -> None:
    client = await owner(app, store)
    stolen = client.cookies[COOKIE]
    assert (await client.post("/sign-out")).status_code == 303
    assert COOKIE not in client.cookies
    thief = browser(app)
    thief.cookies.set(COOKIE, stolen)
    assert (await thief.get("/")).status_code == 303


async def test_a_session_ends_when_it_is_idle_and_at_the_latest_after_two_weeks(
    app: FastAPI, store: Store, clock: HandClock
) -> None:
    client = await owner(app, store)
    began = clock()
    while clock() + sessions.IDLE_MS - 1 < began + sessions.ABSOLUTE_MS:
        clock.pass_ms(sessions.IDLE_MS - 1)
        assert (await client.get("/")).status_code == 200
    clock.at_ms = began + sessions.ABSOLUTE_MS
    assert (await client.get("/")).status_code == 303
    idle = await owner(app, store)
    clock.pass_ms(sessions.IDLE_MS)
    assert (await idle.get("/")).status_code == 303


async def test_sessions_are_listed_and_one_of_them_is_ended_from_another(app: FastAPI, store: Store) -> None:
    here, there = await owner(app, store), await owner(app, store)
    with store.read() as connection:
        mine = sessions.find(connection, here.cookies[COOKIE], store.now_ms())
        listed = sessions.list_sessions(connection, "owner", store.now_ms())
    assert mine is not None and len(listed) == 2
    [other] = [view.session for view in listed if view.session != mine.caller.session]
    with store.write() as work:
        assert sessions.revoke(work, "owner", other, "op:owner")
        assert not sessions.revoke(work, "owner", "%" * 16, "op:owner")
    assert (await there.get("/")).status_code == 303 and (await here.get("/")).status_code == 200


# -- forged requests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site", "origin": "http://cubby.example", "host": "cubby.example"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://cubby.example", "host": "cubby.example"}, True),
        ({"origin": "https://cubby.example", "host": "cubby.example:443"}, True),
        ({"origin": "http://cubby.example:8081", "host": "cubby.example:8080"}, False),
        ({"origin": "http://cubby.example.evil.example", "host": "cubby.example"}, False),
        ({"origin": "null", "host": "cubby.example"}, False),
        ({"origin": "http://[", "host": "cubby.example"}, False),
        ({"host": "cubby.example"}, False),
        ({"origin": "http://", "host": ""}, False),
    ],
)
def test_only_our_own_pages_may_cause_a_change(headers: dict[str, str], ours: bool) -> None:
    assert is_ours("POST", headers) is ours
    assert is_ours("GET", headers)


async def test_a_form_on_another_site_does_nothing_with_the_owners_cookie(app: FastAPI, store: Store) -> None:
    client = await owner(app, store)
    for headers in ({"origin": "https://evil.example"}, {"origin": ORIGIN, "sec-fetch-site": "cross-site"}):
        forged = await client.post("/sign-out", headers=headers)
        assert forged.status_code == 403
    assert (await client.get("/")).status_code == 200


async def test_nobody_is_signed_in_unseen_by_another_site(app: FastAPI, store: Store) -> None:
    address = link(store)
    assert (await browser(app, origin="https://evil.example").post(address)).status_code == 403
    assert (await browser(app).post(address)).status_code == 303


# -- passwords --------------------------------------------------------------------------------------------------


async def test_a_password_given_with_the_link_signs_in_later(app: FastAPI, store: Store) -> None:
    await owner(app, store, PASSWORD)
    client = browser(app)
    answer = await client.post("/sign-in", data={"account": "Owner ", "password": PASSWORD, "next": "/events"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/events")
    assert (await client.get("/events")).status_code == 200


async def test_the_form_for_a_password_is_shown_once_somebody_has_one_and_keeps_the_way_back(
    app: FastAPI, store: Store
) -> None:
    await owner(app, store)
    without = await browser(app).get("/sign-in")
    assert 'name="password"' not in without.text and "cubbyhole owner-link" in without.text
    await owner(app, store, PASSWORD)
    page = await browser(app).get("/sign-in?next=/events")
    assert 'name="password"' in page.text and 'name="next" value="/events"' in page.text
    again = await browser(app).post("/sign-in", data={"account": '"><b>', "password": "wrong", "next": "/events"})
    assert 'name="next" value="/events"' in again.text and "<b>" not in again.text


async def test_a_weak_password_leaves_the_link_good(app: FastAPI, store: Store) -> None:
    address = link(store)
    weak = await browser(app).post(address, data={"password": "short"})
    assert weak.status_code == 422 and "10 to 200 characters" in weak.text
    assert (await browser(app).post(address, data={"password": PASSWORD})).status_code == 303


@pytest.mark.parametrize("account", ["owner", "nobody", "", "x" * 5000])
async def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(app: FastAPI, store: Store, account: str) -> None:
    await owner(app, store, PASSWORD)
    answer = await browser(app).post("/sign-in", data={"account": account, "password": "wrong password"})
    assert answer.status_code == 401 and "do not belong together" in answer.text


async def test_an_account_without_a_password_is_never_signed_in_by_one(app: FastAPI, store: Store) -> None:
    await owner(app, store)
    for password in ("", "anything at all"):
        answer = await browser(app).post("/sign-in", data={"account": "owner", "password": password})
        assert answer.status_code == 401


async def test_wrong_tries_double_the_wait_and_a_right_one_too_early_waits_as_well(
    app: FastAPI, store: Store, clock: HandClock
) -> None:
    await owner(app, store, PASSWORD)

    async def attempt(password: str) -> httpx.Response:
        return await browser(app).post("/sign-in", data={"account": "owner", "password": password})

    assert [(await attempt("wrong")).status_code for _ in range(3)] == [401, 401, 401]
    expected_s = 1
    for _ in range(4):
        early = await attempt(PASSWORD)
        assert (early.status_code, early.headers["retry-after"]) == (429, str(expected_s))
        clock.pass_ms(expected_s * 1000)
        assert (await attempt("wrong")).status_code == 401
        expected_s *= 2
    clock.pass_ms(expected_s * 1000)
    assert (await attempt(PASSWORD)).status_code == 303
    assert (await attempt("wrong")).status_code == 401


async def test_tries_at_the_same_moment_are_all_counted(app: FastAPI, store: Store) -> None:
    await owner(app, store, PASSWORD)
    attempts = (browser(app).post("/sign-in", data={"account": "owner", "password": "wrong"}) for _ in range(8))
    answers = await asyncio.gather(*attempts)
    assert sorted(answer.status_code for answer in answers) == [401, 401, 401, 429, 429, 429, 429, 429]


def test_the_wait_is_kept_over_a_restart_and_never_longer_than_a_quarter_of_an_hour(
    store: Store, clock: HandClock
) -> None:
    keys = waits.keys_for("owner", "192.0.2.1")
    for _ in range(40):
        clock.pass_ms(waits.LONGEST_WAIT_MS)
        with store.write() as work:
            waits.count_try(work, keys)
    reopened = Store(store.engine, clock)
    with pytest.raises(waits.MustWait) as wait, reopened.write() as work:
        waits.count_try(work, keys)
    assert wait.value.wait_ms == waits.LONGEST_WAIT_MS


def test_one_address_cannot_try_one_password_on_many_accounts(store: Store) -> None:
    for number in range(waits.FREE_TRIES_OF_AN_ADDRESS):
        with store.write() as work:
            waits.count_try(work, waits.keys_for(f"account{number}", "192.0.2.1"))
    with pytest.raises(waits.MustWait), store.write() as work:
        waits.count_try(work, waits.keys_for("another", "192.0.2.1"))
    with store.write() as work:
        waits.count_try(work, waits.keys_for("another", "192.0.2.2"))


# -- tokens and rights ------------------------------------------------------------------------------------------


async def test_a_token_reads_what_its_scope_allows_until_it_is_revoked(app: FastAPI, store: Store) -> None:
    with store.write() as work:
        reader = tokens.create(work, "Dashboard", [Scope.READ], "op:test")
        writer = tokens.create(work, "Desk robot", [Scope.OPERATE], "op:test")

    async def banks(token: str) -> int:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
            return (await client.get("/api/v1/banks", headers=headers)).status_code

    wrong = reader[:-1] + ("A" if reader[-1] != "A" else "B")
    assert [await banks(token) for token in (reader, writer, wrong, "cbh_", "")] == [200, 403, 401, 401, 401]
    with store.write() as work:
        assert tokens.revoke(work, reader.rpartition("_")[0][:12], "op:test")
    assert await banks(reader) == 401


async def test_a_wrong_token_is_not_saved_by_a_good_cookie(app: FastAPI, store: Store) -> None:
    client = await owner(app, store)
    answer = await client.get("/api/v1/banks", headers={"authorization": "Bearer cbh_wrong"})
    assert answer.status_code in (303, 401)


def test_two_tokens_never_have_the_same_title(store: Store) -> None:
    with store.write() as work:
        text = tokens.create(work, "Dashboard", [Scope.READ, Scope.OPERATE], "op:test")
        tokens.revoke(work, text[:12], "op:test")
    with pytest.raises(tokens.TokenError), store.write() as work:
        tokens.create(work, " Dashboard", [Scope.READ], "op:test")
    with pytest.raises(tokens.TokenError, match="root"):
        tokens.parse_scopes(["read", "root"])
    with store.read() as connection:
        caller = tokens.find(connection, text)
        [view] = tokens.list_tokens(connection)
    assert caller is None and view.scopes == ("operate", "read") and view.revoked_ms is not None


def test_rights_are_what_the_role_says() -> None:
    def caller(role: Role) -> Caller:
        return Caller("op:x", "X", role=role)

    assert all(may(caller(Role.OWNER), act) for act in Act)
    assert not may(caller(Role.MANAGER), Act.WORKBENCH)
    assert not any(may(Caller("op:token:x", "x"), act) for act in Act)


def test_an_account_is_made_once_and_its_name_is_kept_small(store: Store) -> None:
    with store.write() as work:
        made = accounts.make(work, " Ada@Kestrel.example", "Ada  Okafor", Role.RECEPTION, "op:owner")
    assert (made.account, made.name) == ("ada@kestrel.example", "Ada Okafor")
    for wrong in ("ada@kestrel.example", "a", "token:x", "x" * 100):
        with pytest.raises(accounts.AccountError), store.write() as work:
            accounts.make(work, wrong, "", Role.RECEPTION, "op:owner")
