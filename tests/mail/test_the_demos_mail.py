"""The demo's mail server: it takes mails on a real socket, keeps the last ones, and the workbench shows them."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import Envelope
from fastapi import FastAPI

from cubbyhole.integrations.mail.smtp import make_transport
from cubbyhole.server.app import create_app
from cubbyhole.server.auth import owner_link
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.mail import Mail
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.services import Services
from cubbyhole.simulator.house import free_ports
from cubbyhole.simulator.mail_sink import BODY_SHOWN_MOST, KEPT_MOST, MailSink
from cubbyhole.ui.mail import Drawn
from tests.server import office
from tests.server.office import application, browser
from tests.support.child import running


def mail(subject: str, html: str = "<html><head></head><body><a href='https://x.example'>x</a></body></html>") -> Mail:
    return Mail("ada@kestrel.example", "Ada", Drawn(subject, "plain", html), "k", 1)


@pytest.fixture(scope="module")
def sink() -> Iterator[tuple[int, Path]]:
    """`cubbyhole sim mail` as a process: its port and its socket."""
    with tempfile.TemporaryDirectory(prefix="cbm-") as folder:
        place, port = Path(folder) / "mail.sock", free_ports(1)[0]
        command = [sys.executable, "-m", "cubbyhole", "sim", "mail", "--port", str(port), "--socket", str(place)]
        with running(command, Path(folder) / "log", environment=dict(os.environ)):
            end = time.monotonic() + 30
            while not place.exists():
                assert time.monotonic() < end, (Path(folder) / "log").read_text()
                time.sleep(0.05)
            yield port, place


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool("test", 2, 16)
    yield made
    made.close()


@pytest.fixture
def auth(store: Store, pool: WorkPool) -> Iterator[Auth]:
    made = Auth(store, pool)
    yield made
    made.close()


@pytest.fixture
async def owner(
    store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path, sink: tuple[int, Path]
) -> httpx.AsyncClient:

    def with_mail(services: Services, *rest: Any) -> FastAPI:
        return create_app(replace(services, settings=replace(services.settings, workbench_mail=sink[1])), *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office, "create_app", with_mail)
        client = browser(application(store, pool, sealing, auth, tmp_path, tmp_path / "no.sock"))
    with store.write() as work:
        token = owner_link.make(work)
    assert (await client.post(f"/owner/{token}")).status_code == 303
    return client


def send(sink: tuple[int, Path], *mails: Mail) -> None:
    transport = make_transport(f"smtp://127.0.0.1:{sink[0]}?starttls=off", "lockers@kestrel.example")
    assert transport is not None
    for one in mails:
        transport.send(one)


async def test_what_arrived_is_listed_and_opened_in_a_frame_that_runs_nothing(
    owner: httpx.AsyncClient, sink: tuple[int, Path]
) -> None:
    send(sink, mail("First"), mail("Grüße <b>"))
    listed = (await owner.get("/workbench/mails")).json()["mails"]
    assert [one["subject"] for one in listed[:2]] == ["Grüße <b>", "First"]
    assert listed[0]["to"] == "ada@kestrel.example"
    shown = await owner.get(f"/workbench/mails/{listed[0]['id']}")
    assert shown.status_code == 200 and '<head><base target="_blank">' in shown.text
    policy = shown.headers["content-security-policy"]
    assert "sandbox" in policy and "allow-scripts" not in policy and "default-src 'none'" in policy
    assert shown.headers["x-frame-options"] == "SAMEORIGIN"
    page = await owner.get("/workbench")
    assert "<cubby-mails>" in page.text and "frame-src 'self'" in page.headers["content-security-policy"]
    assert "frame-src" not in (await owner.get("/")).headers["content-security-policy"]


async def test_a_mail_that_is_gone_says_so(owner: httpx.AsyncClient) -> None:
    gone = await owner.get("/workbench/mails/999999")
    assert gone.status_code == 409 and "no mail" in gone.text


async def test_mails_are_for_those_at_the_workbench_only(
    owner: httpx.AsyncClient, store: Store, pool: WorkPool, sealing: SealingKey, auth: Auth, tmp_path: Path
) -> None:
    owner.cookies.clear()
    for path in ("/workbench/mails", "/workbench/mails/1"):
        assert (await owner.get(path)).status_code in (303, 401)
    without = browser(application(store, pool, sealing, auth, tmp_path, tmp_path / "no.sock"))
    assert (await without.get("/workbench/mails")).status_code in (404, 405)


def test_two_hundred_mails_fit_into_one_answer(sink: tuple[int, Path]) -> None:
    send(sink, *[mail(f"{number} " + "long subject " * 9) for number in range(KEPT_MOST + 5)])
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(sink[1]))
        line.sendall(b'{"do": "mails"}\n')
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.count(b'"id"') == KEPT_MOST and len(answer) < 64 * 1024


@pytest.mark.parametrize("question", [b"nonsense", b"[]", b'{"do": "tap"}', b"[" * 4000])
def test_a_question_that_it_does_not_know_is_answered(sink: tuple[int, Path], question: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(sink[1]))
        line.sendall(question + b"\n")
        assert b'"ok": false' in line.recv(65536)


async def test_the_oldest_make_room_and_long_ones_are_cut() -> None:
    kept = MailSink()
    for number in range(KEPT_MOST + 3):
        message, envelope = EmailMessage(), Envelope()
        message["Subject"] = str(number)
        message.set_content("x" * 100_000 if number == KEPT_MOST else "short")
        envelope.content, envelope.rcpt_tos = message.as_bytes(), ["a@b"]
        await kept.handle_DATA(None, None, envelope)  # type: ignore[arg-type]
    assert len(kept.mails) == KEPT_MOST and kept.mails[0].id == 4
    assert len(str(kept.answer({"do": "mail", "id": str(KEPT_MOST + 1)})["text"])) == BODY_SHOWN_MOST
