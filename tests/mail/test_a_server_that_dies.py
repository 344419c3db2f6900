"""`cubbyhole serve` as a process, killed with a mail in its hands: none is lost, at most that one comes twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cubbyhole.server.installation import now_ms
from cubbyhole.server.jobs.outbox import LEASE_MS
from cubbyhole.server.keys import load_or_make
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.mail import KIND
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.unit import Store
from cubbyhole.simulator.house import free_ports
from tests.mail.post_office import PostOffice
from tests.support.child import running

MANY = 8


def serve(home: Path, database_url: str, office: PostOffice) -> list[str]:
    return [
        sys.executable, "-m", "cubbyhole", "serve", "--home", str(home), "--database-url", database_url,
        "--port", str(free_ports(1)[0]), "--smtp", f"smtp://127.0.0.1:{office.port}?starttls=off",
        "--mail-from", "lockers@kestrel.example", "--json",
    ]  # fmt: skip


def outbox(home: Path, database_url: str, *arguments: str) -> dict[str, object]:
    command = [sys.executable, "-m", "cubbyhole", "outbox", *arguments, "--json"]
    more = ["--home", str(home), "--database-url", database_url]
    said = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)
    answer: dict[str, object] = json.loads(said.stdout)
    return answer


@pytest.mark.slow
def test_a_server_that_is_killed_between_the_mail_and_its_commit_loses_none(
    database_url: str, office: PostOffice, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    key = load_or_make(home / "keys" / "sealing.key")
    store = Store(make_engine(database_url), now_ms)
    office.hold.clear()
    with running(serve(home, database_url, office), tmp_path / "first.log", environment=dict(os.environ)) as first:
        with store.write() as work:
            for number in range(MANY):
                to = n.To(address=f"p{number}@kestrel.example")
                work.enqueue(KIND, n.pack(to, n.Assigned(bank="A", locker="07", ends_ms=None), key))
        end = time.monotonic() + 60
        while not office.arrived:  # the mail server has it, and its answer is held back
            assert time.monotonic() < end, (tmp_path / "first.log").read_text()
            time.sleep(0.05)
        time.sleep(0.5)
        in_its_hands = len(office.arrived)
        first.kill()
        first.wait()
    office.hold.set()
    with running(serve(home, database_url, office), tmp_path / "second.log", environment=dict(os.environ)):
        end = time.monotonic() + 60 + LEASE_MS / 1000
        while outbox(home, database_url, "list", "--state", "done")["count"] != MANY:
            assert time.monotonic() < end, (tmp_path / "second.log").read_text()
            time.sleep(0.5)
    store.engine.dispose()
    came = Counter(mail.to[0] for mail in office.arrived)
    assert len(came) == MANY and max(came.values()) <= 2
    assert sum(came.values()) == MANY + in_its_hands, "only what was in its hands comes a second time"
    assert len({mail.content["message-id"] for mail in office.arrived}) == MANY, "and is known by its id"


def test_jobs_are_listed_and_tried_again_at_a_shell(database_url: str, tmp_path: Path) -> None:
    home, store = tmp_path / "home", Store(make_engine(database_url), now_ms)
    with store.write() as work:
        work.enqueue(KIND, {})
        work.connection.exec_driver_sql("UPDATE outbox SET given_up_ms = 1, note = 'no such mailbox'")
    store.engine.dispose()
    listed = outbox(home, database_url, "list")
    assert listed["count"] == 1 and "no such mailbox" in str(listed["items"]) and "payload" not in str(listed)
    assert outbox(home, database_url, "retry", "1") == {"retried": 1}
    assert outbox(home, database_url, "list")["count"] == 0
    assert outbox(home, database_url, "list", "--state", "waiting")["count"] == 1
    assert outbox(home, database_url, "retry", "--all") == {"retried": 0}


def test_settings_that_cannot_be_used_end_the_start_with_the_reason(tmp_path: Path) -> None:
    for smtp, why in (("mail.example.com", "give --mail-from"), ("smtp://mail.example.com", "give --mail-from")):
        command = [sys.executable, "-m", "cubbyhole", "serve", "--home", str(tmp_path), "--smtp", smtp]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1 and why in ended.stderr
