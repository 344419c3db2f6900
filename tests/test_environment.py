"""The real parts work here, before any test of ours builds on them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nats
import psycopg
import pytest
from nats.aio.msg import Msg
from playwright.sync_api import Page
from sqlalchemy import create_engine, make_url, text

from tests.support.postgres import PostgresServer

ROOT = Path(__file__).parent.parent


def test_postgres_answers_and_every_test_has_an_empty_database(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
        assert int(str(version).split(".")[0]) >= 15
        assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one() == 0
        connection.execute(text("CREATE TABLE mark (x int)"))
    engine.dispose()


def test_a_database_is_gone_after_its_test(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        name = make_url(url).database
    with psycopg.connect(postgres_server.conninfo) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchall()
    assert found == []


async def test_nats_carries_a_request_and_its_answer(nats_url: str) -> None:
    client = await nats.connect(nats_url)

    async def answer(message: Msg) -> None:
        await message.respond(message.data[::-1])

    await client.subscribe("cb.A.up.beat", cb=answer)
    reply = await client.request("cb.A.up.beat", b"abc", timeout=2)
    assert reply.data == b"cba"
    await client.close()


@pytest.mark.browser
def test_the_browser_runs_scripts_and_draws(page: Page, tmp_path: Path) -> None:
    page.set_content("<main>closed</main><script>document.querySelector('main').textContent = 'open'</script>")
    assert page.inner_text("main") == "open"
    page.screenshot(path=tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 0


def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "from pathlib import Path; import os, time\n"
        "from tests.support.child import running\n"
        f"log = Path({str(log)!r})\n"
        "with running(['sh', '-c', 'echo up; exec sleep 60'], log) as child:\n"
        "    while not log.read_bytes(): time.sleep(0.01)\n"
        "    print(child.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    state = Path(f"/proc/{int(killed.stdout)}/stat")
    deadline = time.monotonic() + 5
    while state.exists() and state.read_text().split()[2] not in "ZX":
        assert time.monotonic() < deadline, "it is still running"
        time.sleep(0.01)


def test_every_requirement_of_the_project_is_locked_with_its_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["hardware"]
    locked = (ROOT / "requirements/dev.txt").read_text()
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert re.search(rf"^{name}==\S+ \\\n    --hash=sha256:", locked, re.MULTILINE), f"{name}: run `make lock`"


def test_no_address_of_a_package_index_is_committed() -> None:
    files = [*ROOT.glob("requirements/*"), ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("frontend/*lock*")]
    for file in files:
        assert not re.search(r"https?://|--(extra-)?index-url", file.read_text()), file


def test_the_command_line_says_what_it_can_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cubbyhole", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
    )
    assert "edge" in done.stdout
