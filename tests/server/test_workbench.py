"""The demo's workbench: a signed-in owner's hands on the simulated hardware, over the rig's own socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cubbyhole.server.auth import owner_link, tokens
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.roles import Scope
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.commands import add_person, give_badge, set_active, set_blocked
from cubbyhole.server.people.queries import credentials_of
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.workbench import rig as rig_module
from tests.rig.process import RigProcess, rig
from tests.server.office import application, browser

TOML = """
[[bank]]
id = "B"
  [[bank.bus]]
  driver = "cu16"
  port = "ports/B-locks"
    [[bank.bus.board]]
    address = 0
    channels = 12
  [[bank.reader]]
  port = "ports/B-reader"
"""


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RigProcess]:
    """A real rig."""
    with rig(tmp_path_factory.mktemp("rig"), TOML) as process:
        yield process


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool)
    yield made
    made.close()


class Bench:
    """Makes the application on any socket, with its owner signed in."""

    def __init__(self, store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, home: Path) -> None:
        self.store, self.home = store, home
        self._parts = (store, pool, sealing, auth, home)

    def application(self, socket: Path | None) -> FastAPI:
        return application(*self._parts, socket)

    async def owner(self, socket: Path | None) -> httpx.AsyncClient:
        client = browser(self.application(socket))
        with self.store.write() as work:
            token = owner_link.make(work)
        assert (await client.post(f"/owner/{token}")).status_code == 303
        return client


@pytest.fixture
def bench(store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path) -> Bench:
    return Bench(store, pool, sealing, auth, tmp_path / "home")


@contextlib.asynccontextmanager
async def pretender(folder: Path, answer: bytes | None) -> AsyncIterator[Path]:
    """Something else at the socket: it answers with these bytes, or never."""
    silence = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if answer is None:
            await silence.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, str(folder / "s"))
    yield folder / "s"
    silence.set()
    server.close()
    await server.wait_closed()


async def test_hands_on_the_bench_move_the_hardware(bench: Bench, hardware: RigProcess) -> None:
    client = await bench.owner(hardware.socket)
    forced = await client.post("/workbench/door", json={"bank": "B", "door": "B-03", "act": "force"})
    assert (forced.status_code, forced.json()["ok"], forced.json()["door"]) == (200, True, "open")
    closed = await client.post("/workbench/door", json={"bank": "B", "door": "B-03", "act": "close"})
    assert closed.json()["door"] == "closed"
    tapped = await client.post("/workbench/tap", json={"bank": "B", "door": "bank", "badge": "04A2241B"})
    assert tapped.json()["badge"] == "04A2241B"
    assert (await client.post("/workbench/power", json={"bank": "B", "act": "off"})).json()["ok"]
    assert (await client.post("/workbench/power", json={"bank": "B", "act": "on"})).json()["ok"]


async def test_what_the_rig_refuses_is_said_in_its_own_words(bench: Bench, hardware: RigProcess) -> None:
    client = await bench.owner(hardware.socket)
    for verb, body in (
        ("door", {"bank": "B", "door": "77", "act": "open"}),
        ("door", {"bank": "Z", "door": "01", "act": "open"}),
        ("cable", {"bank": "B", "act": "cut"}),
    ):
        answer = await client.post(f"/workbench/{verb}", json=body)
        assert answer.status_code == 409 and answer.json()["ok"] is False and answer.json()["error"]


@pytest.mark.parametrize(
    ("verb", "content", "status"),
    [
        ("fault", b'{"bank":"B"}', 404),
        ("door", b'{"bank":"B","door":"01"}', 422),
        ("door", b'{"bank":"B","door":"01","act":"open","do":"truth"}', 422),
        ("tap", b'{"bank":"B","door":"01","badge":7}', 422),
        ("tap", b'{"bank":"B","door":"01","badge":"' + b"4" * 65 + b'"}', 422),
        ("tap", b"[" * 4000, 422),
        ("tap", b"\xff", 422),
        ("tap", b"{}" + b" " * 5000, 413),
    ],
)
async def test_nothing_but_the_benchs_own_requests_reaches_the_rig(
    bench: Bench, verb: str, content: bytes, status: int
) -> None:
    client = await bench.owner(bench.home / "nowhere")
    answer = await client.post(f"/workbench/{verb}", content=content)
    assert answer.status_code == status and answer.json()["ok"] is False


async def test_without_a_running_rig_it_says_how_to_start_one(bench: Bench) -> None:
    client = await bench.owner(bench.home / "nowhere")
    answer = await client.post("/workbench/cable", json={"bank": "B", "act": "cut"})
    assert answer.status_code == 502 and "cubbyhole sim rig" in answer.json()["error"]


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"", 502), (b"hello\n", 502), (b"[]\n", 502), (b"x" * 70_000, 502), (b'{"ok":false}\n', 409), (None, 504)],
)
async def test_whatever_answers_instead_of_a_rig_does_no_harm(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes | None, status: int
) -> None:
    monkeypatch.setattr(rig_module, "ANSWER_WITHIN_S", 0.2)
    async with pretender(tmp_path, said) as socket:
        client = await bench.owner(socket)
        answer = await client.post("/workbench/cable", json={"bank": "B", "act": "cut"})
    assert (answer.status_code, answer.json()["ok"]) == (status, False)


async def test_the_page_has_a_badge_of_everybody_whose_badge_opens_something(
    bench: Bench, sealing: SealingKey, hardware: RigProcess
) -> None:
    with bench.store.write() as work:
        for number, (name, badge) in enumerate({"Ada": "04:A2:24:1B", "Ben": "12:3456", "Cem": "77734944"}.items()):
            person = add_person(work, "op:test", name=name, number=str(number))
            give_badge(work, sealing, "op:test", person, badge)
        blocked = add_person(work, "op:test", name="Dan", number="D")
        give_badge(work, sealing, "op:test", blocked, "04:00:00:01")
        set_blocked(work, "op:test", credentials_of(work.connection, blocked)[0]["id"], True)
        left = add_person(work, "op:test", name="Eve", number="E")
        give_badge(work, sealing, "op:test", left, "04:00:00:02")
        set_active(work, "op:test", left, False)
    page = await (await bench.owner(hardware.socket)).get("/workbench")
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    assert 'value="04A2241B" data-name="Ada"' in page.text and 'value="04A22420" data-name="Cem"' in page.text
    assert "04000001" not in page.text and "04000002" not in page.text


async def test_the_bench_is_for_a_signed_in_owner_and_only_where_there_is_a_rig(
    bench: Bench, hardware: RigProcess
) -> None:
    app = bench.application(hardware.socket)
    assert (await browser(app).get("/workbench")).status_code == 303
    body = json.dumps({"bank": "B", "act": "cut"})
    assert (await browser(app, accept="*/*").post("/workbench/cable", content=body)).status_code == 401
    with bench.store.write() as work:
        token = tokens.create(work, "Everything", list(Scope), "op:test")
    program = browser(app, authorization=f"Bearer {token}")
    assert (await program.get("/workbench")).status_code == 403
    owner = await bench.owner(hardware.socket)
    forged = await owner.post("/workbench/cable", content=body, headers={"origin": "https://evil.example"})
    assert forged.status_code == 403
    assert (await (await bench.owner(None)).get("/workbench")).status_code == 404
