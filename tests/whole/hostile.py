"""Somebody with a controller's own keys, or with the server's, who says on the fabric what no controller would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.events import DoorForced
from cubbyhole.domain.moment import Moment
from cubbyhole.edge.fabric import enrol
from cubbyhole.protocol import messages as m
from cubbyhole.protocol import subjects
from cubbyhole.protocol.fabric.errors import FabricError, Refused
from cubbyhole.protocol.fabric.login import Credentials, Endpoint
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.protocol.fabric.transport import trust_only
from cubbyhole.protocol.journal import encode_line
from cubbyhole.protocol.signing import sign
from cubbyhole.server.fabric import keys as fabric_keys
from cubbyhole.simulator.house import House
from tests.support.house import at_the_bank

ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: ``answer``, or the fixed word of a refusal, or the name of the error."""

    answer: bytes | None
    word: str | None


def say_as_controller(house: House, bank: str, said: list[tuple[str, bytes]]) -> list[Said]:
    """Say each (subject, payload) with the bank's own controller's key, besides its own connection."""
    enrolment = enrol.load(house.edge_folder(bank))
    session = Session(
        Endpoint((enrolment.nats_url,), trust_only(enrolment.authority_pem, at_any_time=True)),
        Credentials(seed=enrolment.keys.login.seed),
        name=enrolment.controller,
        inbox_prefix=subjects.controller_inbox(enrolment.controller),
    )
    return asyncio.run(_say(session, said))


def say_as_server(house: House, bank: str, said: list[tuple[str, bytes]]) -> list[Said]:
    """Say each (subject, payload) with the server's key."""
    enrolment = enrol.load(house.edge_folder(bank))
    session = Session(
        Endpoint((enrolment.nats_url,), trust_only(enrolment.authority_pem, at_any_time=True)),
        Credentials(seed=fabric_keys.load_or_make(house.folder / "keys").server.seed),
        name="not the server",
        inbox_prefix=subjects.SERVER_INBOX,
    )
    return asyncio.run(_say(session, said))


async def _say(session: Session, said: list[tuple[str, bytes]]) -> list[Said]:
    await session.connect_once()
    heard = []
    try:
        for subject, payload in said:
            try:
                heard.append(Said(await session.request(subject, payload, ANSWER_S), None))
            except Refused as refusal:
                heard.append(Said(None, refusal.word))
            except FabricError as error:
                heard.append(Said(None, type(error).__name__))
    finally:
        await session.disconnect()
    return heard


def batch(house: House, bank: str, *, skip: int = 0, wrong_hash: bool = False, other_key: bool = False) -> bytes:
    """One more journal line for ``bank``, ``skip`` lines too far on, signed with its controller's key or another."""
    lines = at_the_bank(house, bank)
    last, epoch = lines[-1], lines[-1].epoch
    chain = genesis(bank, epoch)
    for line in lines:
        chain = link(chain, line.raw)
    moment = Moment(last.said["at"], last.said["mono"], last.said["boot"], True)
    seq = last.seq + 1 + skip
    raw = encode_line(bank=bank, epoch=epoch, seq=seq, moment=moment, actor=None, event=DoorForced(locker="01"))
    if wrong_hash:
        chain = bytes(32)
    chain = link(chain, raw)
    key = Ed25519PrivateKey.generate() if other_key else enrol.load(house.edge_folder(bank)).keys.journal
    head = m.Head(seq, chain.hex(), sign(key, head_text(bank, epoch, seq, chain)))
    return m.encode(m.Events(bank=bank, epoch=epoch, first=seq, lines=[msgspec.Raw(raw)], heads=[head]))
