"""What a controller may do on the fabric, and how its rights end."""

from __future__ import annotations

import asyncio
import time

import nkeys
import pytest
from nats.aio.msg import Msg

from cubbyhole.edge.fabric.enrol import Enrolment
from cubbyhole.protocol import subjects
from cubbyhole.protocol.fabric.errors import AccessRefused, NotPermitted
from cubbyhole.protocol.fabric.login import Credentials, Endpoint
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.protocol.fabric.transport import trust_only
from cubbyhole.server.fabric.callout import ControllerGrant
from cubbyhole.server.fabric.link import BankUnreachable

from .conftest import Fabric, echo, until

pytestmark = pytest.mark.asyncio


def raw_session(fabric: Fabric, enrolment: Enrolment) -> Session:
    """A connection with a controller's key, but without the manners of `BankLink`."""
    return Session(
        Endpoint((fabric.nats.url,), trust_only(fabric.authority.pem, at_any_time=True)),
        Credentials(seed=enrolment.keys.login.seed),
        name=enrolment.controller,
        inbox_prefix=subjects.controller_inbox(enrolment.controller),
    )


async def test_publishing_to_a_foreign_subject_is_denied(fabric: Fabric) -> None:
    session = raw_session(fabric, await fabric.enrolled("A"))
    await session.connect_once()
    foreign = ["cb.B.up.beat", "cb.B.cmd.live", "cb.A.cmd.live", "cb.A.up.everything", "cb.A.up.beat.more", "cb.enrol"]
    foreign += ["_INBOX.server.x", "_INBOX.ctl_000000000000.x", "$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING.CONNZ"]
    try:
        for subject in foreign:
            with pytest.raises(NotPermitted):
                await session.request(subject, b"", 2.0)
    finally:
        await session.disconnect()


async def test_listening_elsewhere_is_denied(fabric: Fabric) -> None:
    session = raw_session(fabric, await fabric.enrolled("A"))
    heard: list[str] = []

    async def hear(msg: Msg) -> None:
        heard.append(msg.subject)

    async def beat(bank: str, payload: bytes) -> bytes:
        return b"ok"

    await fabric.link.stop()
    fabric.link = fabric.new_link()
    fabric.link.subscribe("beat", beat)
    await fabric.link.start()
    other = await fabric.connected("B")
    await session.connect_once()
    try:
        for subject in (">", "cb.>", "cb.*.up.*", "cb.B.cmd.*", "_INBOX.>", "_INBOX.server.>", "$SYS.>"):
            await session.subscribe(subject, hear)
        await other.request("B", "beat", b"", 1.0)
        await fabric.link.request_live("B", b"", 1.0)
        await asyncio.sleep(0.05)
        assert [subject for subject in heard if not subject.startswith(session._inbox_prefix)] == []
    finally:
        await session.disconnect()


async def test_a_controller_that_claims_another_bank_is_denied_and_told(fabric: Fabric) -> None:
    heard: list[str] = []

    async def events(bank: str, payload: bytes) -> bytes:
        heard.append(bank)
        return b""

    await fabric.link.stop()
    fabric.link = fabric.new_link()
    fabric.link.subscribe("events", events)
    await fabric.link.start()
    await fabric.connected("B")
    claimant = await fabric.connected("A")
    with pytest.raises(NotPermitted, match=r"cb\.B\.up\.events"):
        await claimant.request("B", "events", b"false", 2.0)
    await claimant.request("A", "events", b"true", 2.0)
    assert heard == ["A"]


async def test_an_answer_is_never_sent_where_a_sender_may_not_publish_itself(fabric: Fabric) -> None:
    async def beat(bank: str, payload: bytes) -> bytes:
        return b"pulse the lock"

    await fabric.link.stop()
    fabric.link = fabric.new_link()
    fabric.link.subscribe("beat", beat)
    await fabric.link.start()
    nudged: list[bytes] = []

    async def nudge(payload: bytes) -> None:
        nudged.append(payload)

    victim = fabric.bank_link(await fabric.enrolled("B"))
    victim.on_nudge("B", nudge)
    await victim.start()
    await victim.wait_connected(5)
    session = raw_session(fabric, await fabric.enrolled("A"))
    await session.connect_once()
    try:
        assert session._connection is not None
        await session._connection.client.publish("cb.A.up.beat", b"", reply="cb.B.cmd.nudge")
        await session.request("cb.A.up.beat", b"", 1.0)
        await fabric.link.nudge("B", b"true nudge")
        await until(lambda: bool(nudged))
        assert nudged == [b"true nudge"]
    finally:
        await session.disconnect()


async def test_somebody_with_the_name_but_not_the_key_of_a_controller_is_refused(fabric: Fabric) -> None:
    known, other = await fabric.enrolled("A"), await fabric.enrolled("B")
    session = raw_session(fabric, known)
    session._credentials = Credentials(seed=other.keys.login.seed)
    fabric.registry.remove(other.controller)
    with pytest.raises(AccessRefused):
        await session.connect_once()


async def test_a_signature_over_another_nonce_is_refused(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    session = raw_session(fabric, await fabric.enrolled("A"))
    honest = nkeys.KeyPair.sign
    # A nonce has no dots; what the server itself signs in this process has, and stays as it is.
    monkeypatch.setattr(nkeys.KeyPair, "sign", lambda self, text: honest(self, text if b"." in text else b"replayed"))
    with pytest.raises(AccessRefused):
        await session.connect_once()


async def test_a_removed_controller_is_cut_off_at_once_and_stays_out(fabric: Fabric) -> None:
    enrolment = await fabric.enrolled("A")
    bank = fabric.bank_link(enrolment)
    bank.on_live("A", echo)
    await bank.start()
    await bank.wait_connected(5)
    await until(lambda: enrolment.controller in fabric.link.presence.connected)

    fabric.registry.remove(enrolment.controller)
    removal = asyncio.create_task(fabric.link.kick(enrolment.controller))
    assert await until(lambda: not bank.connected) < 0.1
    assert await removal == 1
    await asyncio.sleep(0.5)
    assert not bank.connected
    assert "does not accept this key" in bank.reason
    with pytest.raises(BankUnreachable):
        await fabric.link.request_live("A", b"", 1.0)
    assert enrolment.controller not in fabric.link.presence.connected


async def test_a_kick_touches_no_other_controller(fabric: Fabric) -> None:
    first, second = await fabric.connected("A"), await fabric.connected("B")
    states: list[bool] = []
    second.on_state(lambda connected, reason: states.append(connected))
    await until(lambda: len(fabric.link.presence.connected) == 2)
    controller = next(g.controller for g in fabric.registry.controllers.values() if g.banks == ("A",))
    fabric.registry.remove(controller)
    await fabric.link.kick(controller)
    await until(lambda: not first.connected)
    assert states == []
    assert await fabric.link.request_live("B", b"x", 1.0) == b"echo x"


async def test_a_kicked_controller_that_is_still_enrolled_returns_with_its_new_banks(fabric: Fabric) -> None:
    enrolment = await fabric.enrolled("A", "B")
    bank = fabric.bank_link(enrolment)
    bank.on_live("A", echo)
    bank.on_live("B", echo)
    await bank.start()
    await bank.wait_connected(5)
    states: list[bool] = []
    bank.on_state(lambda connected, reason: states.append(connected))
    fabric.registry.controllers[enrolment.keys.login.public] = ControllerGrant(enrolment.controller, ("A",))
    await fabric.link.kick(enrolment.controller)
    await until(lambda: states[-2:] == [False, True])
    assert await fabric.link.request_live("A", b"x", 1.0) == b"echo x"
    with pytest.raises(BankUnreachable):
        await fabric.link.request_live("B", b"x", 1.0)


async def test_a_registry_that_fails_refuses_and_recovers(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(nkey_public: str) -> ControllerGrant | None:
        raise RuntimeError("database is locked")

    enrolment = await fabric.enrolled("A")
    with monkeypatch.context() as patch:
        patch.setattr(fabric.registry, "controller_banks", broken)
        bank = fabric.bank_link(enrolment)
        await bank.start()
        await until(lambda: "does not accept" in bank.reason)
    await bank.wait_connected(5)


async def test_a_slow_registry_delays_a_login_and_does_not_break_it(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-server pings a client that waits for its login, and that must not be taken for a yes."""
    enrolment = await fabric.enrolled("A")
    quick = fabric.registry.controller_banks

    def slow(nkey_public: str) -> ControllerGrant | None:
        time.sleep(1.8)
        return quick(nkey_public)

    monkeypatch.setattr(fabric.registry, "controller_banks", slow)
    bank = fabric.bank_link(enrolment)
    bank.on_live("A", echo)
    await bank.start()
    await bank.wait_connected(10)
    assert await fabric.link.request_live("A", b"x", 1.0) == b"echo x"
