"""The rules' pages without a script: read, tried out, saved, brought into line, explained; by role and language."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from sqlalchemy import update

from cubbyhole.domain import events as ev
from cubbyhole.domain.rules import DEFAULT, Rule
from cubbyhole.domain.vocabulary import Door, Mode
from cubbyhole.server.auth import accounts, sessions
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.appointments import appoint
from cubbyhole.server.auth.dependencies import COOKIE
from cubbyhole.server.auth.roles import PLACED, Place, Role
from cubbyhole.server.auth.sessions import Way
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.standing import Order
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.register import PersonDraft, put_people
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.rules import commands
from cubbyhole.server.rules.queries import kept_rule, kept_rules
from tests.server.hand import HandBank, HandClock
from tests.server.office import ORIGIN, application


class Asked:
    """Banks that do what they are asked; what they were asked is kept."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    async def ask(self, order: Order) -> Result:
        self.orders.append(order)
        return Result("c_1", "done")


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, asked: Asked, tmp_path: Path) -> FastAPI:
    """Ada (board) holds A-01 for good, Ben holds A-02 for good; bank B stands elsewhere and is empty."""
    with store.write() as work:
        changes = DirectoryChanges(work)
        changes.put_rule(DEFAULT)
        changes.put_rule(Rule(rule="board", title="The board's <lockers>", groups=("board",), max_lockers=2))
        drafts = [
            PersonDraft("p_ada", "Ada Lovelace", "ada@example.org", None, ("board",)),
            PersonDraft("p_ben", "Ben Ali", "ben@example.org", None, ()),
            PersonDraft("p_bea", "Bea Benson", "bea@example.org", None, ()),
        ]
        put_people(work, changes, drafts)
    key = Ed25519PrivateKey.generate()
    for name, site in (("A", "Kestrel House"), ("B", "Barn")):
        bank = HandBank(store, key, name).begin(sealing)
        with store.write() as work:
            work.connection.execute(update(t.banks).where(t.banks.c.bank == name).values(site=site))
        for number, who in (("01", "ada"), ("02", "ben")) if name == "A" else ():
            bank.write(
                ev.DoorSeen(locker=number, door=Door.CLOSED),
                ev.AssignmentStarted(
                    assignment=f"a_{number}", locker=number, person=f"p_{who}", mode=Mode.PERMANENT, ends_ms=None,
                    rule="operator",
                ),
            )  # fmt: skip
    with store.write() as work:
        longest = Rule(rule="default", title=DEFAULT.title, mode=Mode.DAY, longest=Mode.PERMANENT)
        DirectoryChanges(work).put_rule(longest)
    return application(store, pool, sealing, Auth(store, pool), tmp_path, actions=asked)


def browser_of(app: FastAPI, store: Store, role: Role, language: str = "en") -> httpx.AsyncClient:
    """A browser in which somebody with this role is signed in; a placed one at Kestrel House."""
    with store.write() as work:
        name = f"{role.value}@example.net"
        if role is Role.OWNER:
            accounts.make(work, name, "Olga", role, "op:test")
        else:
            appoint(work, name, role, [Place("Kestrel House")] if role in PLACED else [], "for the test", "op:test")
        account = accounts.find(work.connection, name)
        assert account is not None
        cookie = sessions.begin(work, account, Way.LINK)
    headers = {"accept": "text/html", "origin": ORIGIN, "accept-language": language}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=ORIGIN, headers=headers, cookies={COOKIE: cookie}
    )


@pytest.fixture
async def desk(app: FastAPI, store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(app, store, Role.MANAGER) as made:
        yield made


@dataclass
class Form(HTMLParser):
    """The form of the editor as a browser would send it, and what the page says."""

    html: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._select = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value if value is not None else "" for name, value in attrs}
        if tag == "input" and said.get("name") and (said.get("type") != "checkbox" or "checked" in said):
            self.fields.append((said["name"], said.get("value", "")))
        elif tag == "select":
            self._select, self._first = said["name"], True
        elif tag == "option" and self._select and ("selected" in said or self._first):
            self.fields = [pair for pair in self.fields if pair[0] != self._select]
            self.fields.append((self._select, said["value"]))
            self._first = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""

    def filled(self, *more: tuple[str, str], **said: str) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.fields if name not in said] + [*said.items(), *more]


async def send(desk: httpx.AsyncClient, path: str, pairs: list[tuple[str, str]]) -> httpx.Response:
    form: dict[str, Any] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return await desk.post(path, data=form)


async def new_rule(desk: httpx.AsyncClient, setting: str, **said: str) -> list[tuple[str, str]]:
    """A new rule's form with one setting, filled in."""
    form = Form((await desk.get("/rules/edit")).text)
    answer = await send(desk, "/rules/try", form.filled(do="add", setting=setting))
    return Form(answer.text).filled(**said)


async def test_rules_are_read_as_sentences_with_the_base_rule_first(desk: httpx.AsyncClient) -> None:
    page = (await desk.get("/rules")).text
    assert page.index("Base rule") < page.index("Unless another rule says otherwise") < page.index("Everywhere</h2>")
    assert "The board&#39;s &lt;lockers&gt;" in page and "For board" in page
    assert "At most <var>2</var> lockers at a time." in page and "Instead of: " in page
    assert 'href="/rules" aria-current="page"' in page


async def test_a_rule_is_added_tried_out_saved_and_then_there(
    desk: httpx.AsyncClient, store: Store, asked: Asked
) -> None:
    typed = await new_rule(desk, "longest", title="No lockers for good", where="bank:A", longest="day")
    tried = await send(desk, "/rules/try", [*typed, ("do", "try")])
    assert tried.status_code == 200
    for said in ("2 lockers last longer", "2 of them are not known to be empty", "Ada Lovelace", "Saving alone moves"):
        assert said in tried.text
    with store.read() as connection:
        assert kept_rule(connection, "no-lockers-for-good") is None
    saved = await send(desk, "/rules/save", Form(tried.text).filled())
    assert saved.status_code == 303 and saved.headers["location"].startswith("/rules/align?found=")
    with store.read() as connection:
        kept = kept_rule(connection, "no-lockers-for-good")
    assert kept is not None and (kept.rule.scope_value, kept.rule.longest) == ("A", Mode.DAY)
    assert asked.orders == []


async def test_nothing_is_saved_that_was_not_tried_out(desk: httpx.AsyncClient, store: Store) -> None:
    typed = await new_rule(desk, "max_lockers", title="Two", max_lockers="2")
    untried = await send(desk, "/rules/save", typed)
    assert untried.status_code == 200 and "since you tried it out" in untried.text
    other = await send(desk, "/rules/save", Form(untried.text).filled(max_lockers="3"))
    assert other.status_code == 200 and "since you tried it out" in other.text
    assert (await send(desk, "/rules/save", Form(other.text).filled())).headers["location"] == "/rules?done=saved"
    with store.read() as connection:
        assert [kept.rule.max_lockers for kept in kept_rules(connection) if kept.rule.rule == "two"] == [3]


async def test_bringing_into_line_asks_first_and_leaves_alone_what_has_changed(
    desk: httpx.AsyncClient, app: FastAPI, store: Store, asked: Asked
) -> None:
    typed = await new_rule(desk, "longest", title="Day only", where="bank:A", longest="day")
    tried = await send(desk, "/rules/try", [*typed, ("do", "try")])
    saved = await send(desk, "/rules/save", Form(tried.text).filled())
    page = (await desk.get(saved.headers["location"])).text
    assert "Yes, end them earlier for 2 people" in page
    word = saved.headers["location"].partition("=")[2]
    assert "Yes, end them" in (await send(desk, "/rules/align", [("found", word)])).text and asked.orders == []
    async with browser_of(app, store, Role.OWNER) as other:
        assert (await other.get(saved.headers["location"])).status_code == 404
    with store.write() as work:
        work.connection.execute(update(t.lockers).where(t.lockers.c.number == "02").values(ends_ms=work.now_ms + 9))
    done = await send(desk, "/rules/align", [("found", word), ("sure", "yes")])
    assert "Ends Midnight" in done.text and "Left alone" in done.text
    [order] = asked.orders
    assert (order.kind, order.assignment, order.reason) == ("retime", "a_01", "rule_change")
    assert order.ends_ms is not None and order.ends_ms > store.now_ms() and order.actor.startswith("op:")
    again = await send(desk, "/rules/align", [("found", word), ("sure", "yes")])
    assert again.status_code == 404 and len(asked.orders) == 1


async def test_what_was_found_is_gone_after_an_hour_and_where_the_rule_changed_nothing_is_asked(
    desk: httpx.AsyncClient, store: Store, asked: Asked, clock: HandClock
) -> None:
    async def saved(title: str) -> str:
        typed = await new_rule(desk, "longest", title=title, where="bank:A", longest="day")
        tried = await send(desk, "/rules/try", [*typed, ("do", "try")])
        answer = await send(desk, "/rules/save", Form(tried.text).filled())
        return answer.headers["location"].partition("=")[2]

    word = await saved("First")
    with store.write() as work:
        commands.save(work, Rule(rule="first", title="First", longest=Mode.PERMANENT), "op:test", None)
    assert "Left alone" in (await send(desk, "/rules/align", [("found", word), ("sure", "yes")])).text
    word = await saved("Second")
    clock.pass_ms(3_600_001)
    assert (await send(desk, "/rules/align", [("found", word), ("sure", "yes")])).status_code == 404
    assert asked.orders == []


@pytest.mark.parametrize(
    ("setting", "said", "hint"),
    [
        ("max_lockers", {"title": "T", "max_lockers": "101"}, "from 0 to 100"),
        ("hours", {"title": "T", "hours": "many"}, "from 1 to 168"),
        ("mode", {"title": "T", "mode": "week"}, "Choose one"),
        ("opening", {"title": "T", "from-0": "7 o'clock"}, "Each row needs a day"),
        ("sharing", {"title": " "}, "Give it a title"),
        ("sharing", {"title": "T", "where": "locker:", "locker": "Z-99"}, "There is no locker Z-99"),
        ("purpose", {"title": "T", "purpose": "it", "groups": "board"}, "tick no group"),
        ("only_groups", {"title": "T"}, "Tick or write at least one group"),
    ],
)
async def test_what_cannot_be_is_said_at_its_field_and_what_was_typed_stays(
    desk: httpx.AsyncClient, setting: str, said: dict[str, str], hint: str
) -> None:
    typed = await new_rule(desk, setting, **said)
    answer = await send(desk, "/rules/try", [*typed, ("do", "try")])
    assert answer.status_code == 422 and hint in answer.text and "wrong-" in answer.text
    kept = dict(Form(answer.text).fields)
    assert {name: kept[name] for name in said if name != "mode"} == {n: v for n, v in said.items() if n != "mode"}
    assert (await send(desk, "/rules/save", typed)).status_code == 422


async def test_opening_hours_are_rows_that_come_and_go(desk: httpx.AsyncClient, store: Store) -> None:
    typed = await new_rule(desk, "opening", title="Hours", **{"from-0": "22:00", "to-0": "06:00"})
    two = await send(desk, "/rules/try", [*typed, ("do", "row")])
    typed = Form(two.text).filled(("day-1", "6"), title="Hours")
    one = await send(desk, "/rules/try", [*typed, ("do", "unrow:0")])
    kept = Form(one.text).filled()
    assert [value for name, value in kept if name == "row"] == ["1"]
    tried = await send(desk, "/rules/try", [*typed, ("do", "try")])
    assert "Monday to Friday 22:00 to 06:00" in tried.text
    assert (await send(desk, "/rules/save", Form(tried.text).filled())).status_code == 303
    with store.read() as connection:
        found = kept_rule(connection, "hours")
    assert found is not None and found.rule.opening is not None and len(found.rule.opening) == 5 + 6
    assert (0, 22 * 60, 30 * 60) in found.rule.opening
    again = Form((await desk.get("/rules/edit/hours")).text)
    assert ("from-1", "22:00") in again.fields or ("from-0", "22:00") in again.fields


async def test_a_setting_that_is_dropped_is_said_no_more(desk: httpx.AsyncClient, store: Store) -> None:
    form = Form((await desk.get("/rules/edit/board")).text)
    form = Form((await send(desk, "/rules/try", form.filled(do="add", setting="sharing"))).text)
    form = Form((await send(desk, "/rules/try", form.filled(do="drop:max_lockers"))).text)
    tried = await send(desk, "/rules/try", form.filled(do="try", sharing="no"))
    await send(desk, "/rules/save", Form(tried.text).filled())
    with store.read() as connection:
        kept = kept_rule(connection, "board")
    assert kept is not None
    assert (kept.rule.max_lockers, kept.rule.sharing, kept.rule.groups) == (None, False, ("board",))


async def test_two_who_change_the_same_rule_are_told_and_nothing_typed_is_lost(
    desk: httpx.AsyncClient, store: Store
) -> None:
    form = Form((await desk.get("/rules/edit/board")).text)
    tried = Form((await send(desk, "/rules/try", form.filled(do="try", max_lockers="5"))).text)
    with store.write() as work:
        theirs = Rule(rule="board", title="Theirs", groups=("board",), max_lockers=7)
        commands.save(work, theirs, "op:other", None)
    late = await send(desk, "/rules/save", tried.filled())
    assert late.status_code == 409 and "Somebody else changed this rule" in late.text
    assert "Theirs" in late.text and "At most <var>7</var>" in late.text
    assert dict(Form(late.text).fields)["max_lockers"] == "5"
    again = await send(desk, "/rules/try", Form(late.text).filled(do="try"))
    assert (await send(desk, "/rules/save", Form(again.text).filled())).status_code == 303
    with store.read() as connection:
        kept = kept_rule(connection, "board")
    assert kept is not None and kept.rule.max_lockers == 5


async def test_a_rule_is_removed_only_after_it_was_said_what_that_does(desk: httpx.AsyncClient, store: Store) -> None:
    page = await desk.get("/rules/remove/board")
    assert "Removing alone moves nobody out" in page.text
    stale = await send(desk, "/rules/remove/board", [("version", "0")])
    assert stale.status_code == 409 and "Look at it again" in stale.text
    gone = await send(desk, "/rules/remove/board", Form(page.text).filled())
    assert gone.headers["location"] == "/rules?done=removed"
    assert (await desk.get("/rules/remove/board")).status_code == 404
    assert (await desk.get("/rules/remove/default")).status_code == 404
    with store.read() as connection:
        assert [kept.rule.rule for kept in kept_rules(connection)] == ["default"]


async def test_why_says_what_holds_and_which_rule_says_so(desk: httpx.AsyncClient) -> None:
    async def why(person: str, locker: str) -> str:
        return (await desk.get("/rules/why", params={"person": person, "locker": locker})).text

    page = await why("ada", "a-01")
    assert "Ada Lovelace at A-01" in page
    row = next(row for row in page.split("<tr>") if "lockers at a time" in row)
    assert "<var>2</var>" in row and 'href="/rules/edit/board"' in row
    assert "Several people are called so" in await why("be", "A-01")
    assert "There is no locker A-99" in await why("Ada Lovelace", "A-99")
    assert "Nobody here is called Zoe" in await why("Zoe", "A-01")


MAY_SAVE = {Role.MANAGER, Role.OWNER}
MAY_SEE = {*MAY_SAVE, Role.AREA_MANAGER, Role.AUDITOR}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PERSON])
async def test_each_role_sees_tries_out_and_saves_what_is_its_own(app: FastAPI, store: Store, role: Role) -> None:
    async with browser_of(app, store, role) as browser:
        assert ("/rules" in (await browser.get("/account")).text) is (role in MAY_SEE)
        assert (await browser.get("/rules")).status_code == (200 if role in MAY_SEE else 403)
        page = await browser.get("/rules/edit/board")
        if role not in MAY_SEE:
            assert page.status_code == 403
            assert (await browser.post("/rules/try", data={"do": "try"})).status_code == 403
        else:
            form = Form(page.text).filled(do="try")
            tried = await send(browser, "/rules/try", form)
            assert tried.status_code == 200 and ("/rules/save" in tried.text) is (role in MAY_SAVE)
        for path in ("/rules/save", "/rules/align", "/rules/remove/board"):
            assert ((await browser.post(path, data={})).status_code == 403) is (role not in MAY_SAVE)


async def test_an_area_manager_is_told_only_of_banks_at_their_places(app: FastAPI, store: Store) -> None:
    def banks(text: str) -> set[str]:
        return set(re.findall(r'href="/banks/([A-Z])"', text))

    async with browser_of(app, store, Role.OWNER) as owner, browser_of(app, store, Role.AREA_MANAGER) as area:
        for desk, seen in ((owner, {"A", "B"}), (area, {"A"})):
            form = Form((await desk.get("/rules/edit/board")).text)
            form = Form((await send(desk, "/rules/try", form.filled(do="add", setting="only_groups"))).text)
            typed = form.filled(only_more="nobody at all", do="try")
            answer = await send(desk, "/rules/try", typed)
            assert banks(answer.text) == seen, answer.text
            assert ("Only the banks at your places" in answer.text) is (desk is area)


async def test_the_pages_speak_german(app: FastAPI, store: Store) -> None:
    async with browser_of(app, store, Role.MANAGER, "de") as desk:
        assert "Wenn keine andere Regel etwas anderes sagt:" in (await desk.get("/rules")).text
        typed = await new_rule(desk, "longest", title="Nur Tagesfächer", where="bank:A", longest="day")
        tried = await send(desk, "/rules/try", [*typed, ("do", "try")])
        assert "Speichern allein nimmt niemandem etwas" in tried.text
        wrong = await new_rule(desk, "hours", title="x", hours="0")
        assert "von 1 bis 168" in (await send(desk, "/rules/try", [*wrong, ("do", "try")])).text


async def test_a_form_that_is_none_or_too_large_changes_nothing(desk: httpx.AsyncClient, store: Store) -> None:
    for content in (b"", b"\xff\xfe", b"row=0&" * 2_000, b"title=" + b"x" * 100_000):
        answer = await desk.post("/rules/save", content=content)
        assert answer.status_code == 422
    with store.read() as connection:
        assert len(kept_rules(connection)) == 2
