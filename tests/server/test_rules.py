"""Rules by program: saved, tried out, removed, explained; every bank ends with the rules that the server has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from sqlalchemy import select

from cubbyhole.domain import events as ev
from cubbyhole.domain.rules import DEFAULT
from cubbyhole.domain.vocabulary import Door, Mode
from cubbyhole.server.auth import tokens
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.roles import Scope
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.directory.sync import DirectoryDesk
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.register import PersonDraft, put_people
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import server_audit
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import NOON_MS, HandBank
from tests.server.office import ORIGIN, application
from tests.server.test_directory_pull import Puller

DAY_MS = 86_400_000


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, tmp_path: Path) -> FastAPI:
    return application(store, pool, sealing, Auth(store, pool), tmp_path)


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    """Ada (board) holds A-01 for good, Ben holds A-02 for good; both doors were seen closed."""
    with store.write() as work:
        changes = DirectoryChanges(work)
        changes.put_rule(DEFAULT)
        drafts = [
            PersonDraft("p_ada", "Ada Lovelace", "ada@example.org", None, ("board",)),
            PersonDraft("p_ben", "Ben Ali", "ben@example.org", None, ()),
        ]
        put_people(work, changes, drafts)
    made = HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)
    for number, name in (("01", "ada"), ("02", "ben")):
        made.write(
            ev.DoorSeen(locker=number, door=Door.CLOSED),
            ev.AssignmentStarted(
                assignment=f"a_{number}", locker=number, person=f"p_{name}", mode=Mode.PERMANENT, ends_ms=None,
                rule="operator",
            ),
        )  # fmt: skip
    return made


def program(app: FastAPI, store: Store, *scopes: Scope) -> httpx.AsyncClient:
    with store.write() as work:
        token = tokens.create(work, "Test", list(scopes), "op:test")
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=ORIGIN, headers={"authorization": f"Bearer {token}"}
    )


@pytest.fixture
def admin(app: FastAPI, store: Store) -> httpx.AsyncClient:
    return program(app, store, Scope.READ, Scope.ADMIN)


async def put(admin: httpx.AsyncClient, rule: str, version: int | None = None, **said: Any) -> httpx.Response:
    asked = {} if version is None else {"version": version}
    return await admin.put(f"/api/v1/rules/{rule}", json={"title": "A rule", **said}, params=asked)


async def test_a_rule_that_was_saved_is_there_as_it_was_said(admin: httpx.AsyncClient) -> None:
    said: dict[str, Any] = {
        "title": "IT keeps the low ones", "scope": "locker", "scope_value": "A-05", "only_groups": ["it"],
        "mode": "term", "term_days": 14, "sizes": ["L"], "purpose": "it",
        "opening": [{"weekday": 0, "from_min": 420, "until_min": 1140}],
    }  # fmt: skip
    assert (await put(admin, "it-low", **said)).status_code == 200
    found = (await admin.get("/api/v1/rules/it-low")).json()
    assert {name: found[name] for name in said} == said
    assert found["max_lockers"] is None
    listed = (await admin.get("/api/v1/rules")).json()["items"]
    assert [rule["rule"] for rule in listed] == ["it-low"]


async def test_two_who_change_the_same_rule_do_not_overwrite_each_other(admin: httpx.AsyncClient) -> None:
    first = (await put(admin, "r", version=0, max_lockers=2)).json()
    assert (await put(admin, "r", version=0, max_lockers=9)).status_code == 409
    assert (await put(admin, "r", version=first["version"], max_lockers=3)).status_code == 200
    late = await put(admin, "r", version=first["version"], max_lockers=4)
    assert (late.status_code, late.json()["type"]) == (409, "urn:cubbyhole:rule_changed")
    assert (await admin.delete("/api/v1/rules/r", params={"version": first["version"]})).status_code == 409
    assert (await admin.get("/api/v1/rules/r")).json()["max_lockers"] == 3


@pytest.mark.parametrize(
    ("rule", "said", "hint"),
    [
        ("r", {"title": " "}, "title"),
        ("R!", {}, "id"),
        ("r", {"scope": "bank"}, "which bank"),
        ("r", {"scope": "purpose", "scope_value": "coats"}, "personal"),
        ("r", {"max_lockers": 101}, "0 to 100"),
        ("r", {"hours": 0}, "1 to"),
        ("r", {"sizes": ["XXL"]}, "S, M, L, XL"),
        ("r", {"opening": [{"weekday": 0, "from_min": 600, "until_min": 600}]}, "lasts from one minute"),
        ("r", {"purpose": "it", "groups": ["it"]}, "everybody"),
        ("default", {"groups": ["it"]}, "everybody"),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_with_what_would_do(
    admin: httpx.AsyncClient, rule: str, said: dict[str, Any], hint: str
) -> None:
    answer = await put(admin, rule, **said)
    assert answer.status_code == 422
    assert hint in answer.json()["detail"]
    assert (await admin.get("/api/v1/rules")).json()["items"] == []


async def test_the_base_rule_can_be_changed_but_not_removed(admin: httpx.AsyncClient, bank: HandBank) -> None:
    assert (await put(admin, "default", title="Terms for everybody", mode="term")).status_code == 200
    answer = await admin.delete("/api/v1/rules/default")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:cubbyhole:base_rule")


async def test_every_bank_ends_with_the_rules_that_the_server_has(
    admin: httpx.AsyncClient, store: Store, sealing: SealingKey, bank: HandBank
) -> None:
    puller = Puller(DirectoryDesk(store, sealing))
    assert set(puller.pull().rules) == {"default"}
    await put(admin, "a", max_lockers=2)
    await put(admin, "b", scope="bank", scope_value="A", mode="term")
    assert set(puller.pull().rules) == {"default", "a", "b"}
    assert (await admin.delete("/api/v1/rules/a")).status_code == 204
    await put(admin, "b", scope="bank", scope_value="B", mode="term")
    found = puller.pull()
    assert set(found.rules) == {"default", "b"}
    assert found.rules["b"].scope_value == "B"
    assert len(puller.sizes) == 3, "each by one delta"
    assert (await admin.delete("/api/v1/rules/a")).status_code == 404


async def test_a_dry_run_says_who_loses_what_tonight_and_saves_nothing(
    admin: httpx.AsyncClient, bank: HandBank
) -> None:
    await put(admin, "default", title="Keep what you have", mode="permanent")
    at_02 = {"scope": "locker", "scope_value": "A-02"}
    change = {
        "save": [
            {"rule": "board", "title": "For the board", "only_groups": ["board"], **at_02},
            {"rule": "days", "title": "Days for the board", "groups": ["board"], "longest": "day"},
        ]
    }
    found = (await admin.post("/api/v1/rules/dry-run", json=change)).json()
    tonight = [(s["locker"], s["name"], s["rule"], s["holds"]) for s in found["shortened"]]
    assert tonight == [("A-01", "Ada Lovelace", "days", "unknown"), ("A-02", "Ben Ali", "board", "unknown")]
    assert all(NOON_MS < s["would_end"] <= NOON_MS + DAY_MS and s["ends"] is None for s in found["shortened"])
    assert (found["loses"], found["banks"], found["left_out"]) == ([], 1, 0)
    listed = (await admin.get("/api/v1/rules")).json()["items"]
    assert [rule["rule"] for rule in listed] == ["default"]


async def test_a_dry_run_of_removing_a_rule_says_who_gains(admin: httpx.AsyncClient, bank: HandBank) -> None:
    await put(admin, "board", scope="bank", scope_value="A", only_groups=["board"])
    found = (await admin.post("/api/v1/rules/dry-run", json={"remove": ["board"]})).json()
    assert found["gains"] == [{"person": "p_ben", "name": "Ben Ali", "bank": "A"}]
    refused = await admin.post("/api/v1/rules/dry-run", json={"save": [{"rule": "x", "title": "", "hours": 1}]})
    assert refused.status_code == 422


async def test_what_holds_for_somebody_names_the_rule_that_says_so(admin: httpx.AsyncClient, bank: HandBank) -> None:
    await put(admin, "board", title="The board keeps two", groups=["board"], max_lockers=2, mode="permanent")
    ask = {"locker": "A-03", "person": "p_ada"}
    found = (await admin.get("/api/v1/rules/effective", params=ask)).json()
    assert (found["settings"]["max_lockers"], found["by"]["max_lockers"]) == (2, "board")
    assert found["titles"]["board"] == "The board keeps two"
    bens = (await admin.get("/api/v1/rules/effective", params={**ask, "person": "p_ben"})).json()
    assert (bens["settings"]["max_lockers"], bens["by"]["max_lockers"]) == (1, "default")
    for wrong in ({**ask, "locker": "A-99"}, {**ask, "locker": "Z"}, {**ask, "person": "p_nobody"}):
        assert (await admin.get("/api/v1/rules/effective", params=wrong)).status_code == 404


async def test_who_may_only_read_changes_nothing(app: FastAPI, store: Store, bank: HandBank) -> None:
    reader = program(app, store, Scope.READ, Scope.OPERATE)
    assert (await put(reader, "r", max_lockers=5)).status_code == 403
    assert (await reader.delete("/api/v1/rules/default")).status_code == 403
    assert (await reader.post("/api/v1/rules/dry-run", json={})).status_code == 200
    assert (await reader.get("/api/v1/rules")).status_code == 200


async def test_who_changed_which_rule_is_on_record(admin: httpx.AsyncClient, store: Store) -> None:
    await put(admin, "r", max_lockers=2)
    await put(admin, "r", max_lockers=2)
    await admin.delete("/api/v1/rules/r")
    with store.read() as connection:
        acts = connection.execute(select(server_audit.c.act, server_audit.c.subject)).all()
    assert [tuple(act) for act in acts if act[0].startswith("rule.")] == [("rule.saved", "r"), ("rule.removed", "r")]
