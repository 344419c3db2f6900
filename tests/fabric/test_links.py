"""Requests, live commands and nudges between a bank and the server, when all is well and when it is not."""

from __future__ import annotations

import asyncio
import os

import pytest

from cubbyhole.protocol.fabric.errors import NoAnswer, NobodyThere, Offline, Refused, TooLarge, TooMany
from cubbyhole.protocol.subjects import MAX_PAYLOAD_BYTES
from cubbyhole.server.fabric.link import BankUnreachable, UpHandler

from .conftest import Fabric, until, until_answered

pytestmark = pytest.mark.asyncio


async def serve(fabric: Fabric, **handlers: UpHandler) -> None:
    """Start the server's link anew with these handlers."""
    await fabric.link.stop()
    fabric.link = fabric.new_link()
    for verb, handler in handlers.items():
        fabric.link.subscribe(verb, handler)
    await fabric.link.start()


async def named(bank: str, payload: bytes) -> bytes:
    return bank.encode() + b":" + payload


async def test_a_bank_asks_and_the_server_knows_which_bank_asked(fabric: Fabric) -> None:
    await serve(fabric, beat=named, events=named)
    link = await fabric.connected("A", "B")
    assert await link.request("A", "beat", b"1", 1.0) == b"A:1"
    assert await link.request("B", "events", b"2", 1.0) == b"B:2"


async def test_the_server_asks_a_bank_and_nudges_it(fabric: Fabric) -> None:
    nudged: list[bytes] = []

    async def nudge(payload: bytes) -> None:
        nudged.append(payload)

    async def live(payload: bytes) -> bytes:
        return payload[::-1]

    link = fabric.bank_link(await fabric.enrolled("A"))
    link.on_live("A", live)
    link.on_nudge("A", nudge)
    await link.start()
    await link.wait_connected(5)
    assert await fabric.link.request_live("A", b"abc", 1.0) == b"cba"
    await fabric.link.nudge("A", b"7")
    await until(lambda: nudged == [b"7"])


async def test_a_request_to_an_absent_bank_fails_at_once(fabric: Fabric) -> None:
    await fabric.connected("A")
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(BankUnreachable, match="bank Z cannot be reached"):
        await fabric.link.request_live("Z", b"", 5.0)
    assert loop.time() - began < 0.2


async def test_a_verb_that_nobody_serves_fails_at_once(fabric: Fabric) -> None:
    link = await fabric.connected("A")
    with pytest.raises(NobodyThere):
        await link.request("A", "claim", b"", 5.0)


async def test_a_handler_that_fails_gives_an_error_answer_and_the_next_request_is_served(fabric: Fabric) -> None:
    async def failing(bank: str, payload: bytes) -> bytes:
        if payload == b"refuse":
            raise Refused("gap", "need 7")
        if payload == b"crash":
            raise KeyError("secret detail")
        return b"fine"

    await serve(fabric, events=failing)
    link = await fabric.connected("A")
    with pytest.raises(Refused) as refused:
        await link.request("A", "events", b"refuse", 1.0)
    assert (refused.value.word, refused.value.detail) == ("gap", "need 7")
    with pytest.raises(Refused) as failed:
        await link.request("A", "events", b"crash", 1.0)
    assert failed.value.word == "failed"
    assert "secret detail" not in failed.value.detail
    assert await link.request("A", "events", b"", 1.0) == b"fine"


async def test_a_bank_whose_handler_fails_gives_the_server_an_error_answer(fabric: Fabric) -> None:
    async def live(payload: bytes) -> bytes:
        raise RuntimeError("jammed")

    link = fabric.bank_link(await fabric.enrolled("A"))
    link.on_live("A", live)
    await link.start()
    await link.wait_connected(5)
    for _ in range(2):
        with pytest.raises(Refused, match="failed"):
            await fabric.link.request_live("A", b"", 1.0)


async def test_a_bank_that_is_busy_says_so(fabric: Fabric) -> None:
    release = asyncio.Event()

    async def slow(payload: bytes) -> bytes:
        await release.wait()
        return b"done"

    link = fabric.bank_link(await fabric.enrolled("A"))
    link.on_live("A", slow)
    await link.start()
    await link.wait_connected(5)
    asked = [asyncio.create_task(fabric.link.request_live("A", b"", 5.0)) for _ in range(20)]
    await until(lambda: sum(task.done() for task in asked) == 4)
    release.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers.count(b"done") == 16
    assert [a.word for a in answers if isinstance(a, Refused)] == ["busy"] * 4


async def test_no_answer_in_time_is_said(fabric: Fabric) -> None:
    release = asyncio.Event()

    async def late(bank: str, payload: bytes) -> bytes:
        await release.wait()
        return b"late"

    await serve(fabric, sync=late)
    link = await fabric.connected("A")
    with pytest.raises(NoAnswer):
        await link.request("A", "sync", b"", 0.1)
    release.set()


async def test_a_message_that_is_too_large_is_refused_before_it_is_sent(fabric: Fabric) -> None:
    await serve(fabric, events=named)
    link = await fabric.connected("A")
    with pytest.raises(TooLarge, match="smaller parts"):
        await link.request("A", "events", bytes(MAX_PAYLOAD_BYTES + 1), 1.0)
    with pytest.raises(TooLarge):
        await fabric.link.request_live("A", bytes(MAX_PAYLOAD_BYTES + 1), 1.0)
    most = os.urandom(MAX_PAYLOAD_BYTES - 2)
    assert await link.request("A", "events", most, 5.0) == b"A:" + most
    with pytest.raises(Refused, match="more than the fabric carries"):
        await link.request("A", "events", most + b"..", 5.0)
    assert link.connected


async def test_too_many_requests_at_once_are_refused_and_the_others_served(fabric: Fabric) -> None:
    release = asyncio.Event()

    async def slow(bank: str, payload: bytes) -> bytes:
        await release.wait()
        return b"done"

    await serve(fabric, beat=slow)
    link = await fabric.connected("A")
    asked = [asyncio.create_task(link.request("A", "beat", b"", 10.0)) for _ in range(70)]
    await until(lambda: sum(task.done() for task in asked) == 6)
    release.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, TooMany) for answer in answers) == 6
    assert answers.count(b"done") == 64


async def test_a_request_while_not_connected_fails_at_once_and_is_never_sent_later(fabric: Fabric) -> None:
    heard: list[bytes] = []

    async def hear(bank: str, payload: bytes) -> bytes:
        heard.append(payload)
        return b""

    nudged: list[bytes] = []

    async def nudge(payload: bytes) -> None:
        nudged.append(payload)

    await serve(fabric, events=hear)
    link = fabric.bank_link(await fabric.enrolled("A"))
    link.on_live("A", nudge)  # type: ignore[arg-type]
    link.on_nudge("A", nudge)
    await link.start()
    await link.wait_connected(5)
    await fabric.nats.stop()
    await until(lambda: not link.connected and not fabric.link.connected)
    for number in range(5):
        with pytest.raises(Offline):
            await link.request("A", "events", b"late %d" % number, 5.0)
        with pytest.raises(BankUnreachable, match="fabric is down"):
            await fabric.link.request_live("A", b"late", 5.0)
        with pytest.raises(BankUnreachable, match="fabric is down"):
            await fabric.link.nudge("A", b"late")
    await fabric.nats.start()
    await until_answered(lambda: link.request("A", "events", b"now", 1.0))
    await until(lambda: fabric.link.connected)
    await fabric.link.nudge("A", b"now")
    await until(lambda: bool(nudged))
    assert heard == [b"now"]
    assert nudged == [b"now"]


async def test_a_link_starts_without_its_server_and_connects_when_it_comes(fabric: Fabric) -> None:
    enrolment = await fabric.enrolled("A")
    await fabric.link.stop()
    await fabric.nats.stop()
    link = fabric.bank_link(enrolment)
    states: list[bool] = []
    link.on_state(lambda connected, reason: states.append(connected))
    await link.start()
    await until(lambda: "cannot reach" in link.reason)
    await fabric.nats.start()
    fabric.link = fabric.new_link()
    await fabric.link.start()
    await link.wait_connected(5)
    assert states == [True]


async def test_a_request_that_waits_when_the_connection_breaks_fails_then(fabric: Fabric) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def late(bank: str, payload: bytes) -> bytes:
        asked.set()
        await release.wait()
        return b"late"

    await serve(fabric, sync=late)
    link = await fabric.connected("A")
    request = asyncio.create_task(link.request("A", "sync", b"", 30.0))
    await asked.wait()
    await fabric.nats.stop()
    with pytest.raises(Offline, match="before the answer"):
        await asyncio.wait_for(request, 1.0)
    release.set()


async def test_presence_tells_who_came_and_who_went(fabric: Fabric) -> None:
    link = await fabric.connected("A")
    await until(lambda: [c.connected for c in fabric.changes] == [True])
    await link.stop()
    assert await until(lambda: [c.connected for c in fabric.changes] == [True, False]) < 0.5


async def test_a_server_that_starts_later_finds_who_is_there(fabric: Fabric) -> None:
    await fabric.connected("A")
    await fabric.connected("B")
    await fabric.link.stop()
    fabric.changes.clear()
    fabric.link = fabric.new_link()
    await fabric.link.start()
    assert len(fabric.link.presence.connected) == 2
    assert sorted(change.connected for change in fabric.changes) == [True, True]
