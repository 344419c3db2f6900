"""Enrolling a controller with a one-time code."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec
import pytest

from cubbyhole.edge.fabric import enrol
from cubbyhole.protocol import subjects
from cubbyhole.protocol.enrolment import BadCode, make_code, parse_code
from cubbyhole.protocol.fabric.errors import AccessRefused, NotPermitted, Offline, Refused
from cubbyhole.protocol.fabric.login import Credentials, Endpoint
from cubbyhole.protocol.fabric.session import Session
from cubbyhole.protocol.fabric.transport import trust_only
from cubbyhole.server.fabric import authority

from .conftest import Fabric

pytestmark = pytest.mark.asyncio


async def test_a_controller_with_a_good_code_is_enrolled_for_good(fabric: Fabric, tmp_path: Path) -> None:
    folder = tmp_path / "controller"
    enrolment = await enrol.enrol(fabric.page(), fabric.code().text, folder, ["A", "B"])

    assert enrolment.banks == ("A", "B")
    assert enrolment.nats_url == f"tls://127.0.0.1:{fabric.port}"
    again = enrol.load(folder)
    assert (again.controller, again.banks, again.nats_url) == (enrolment.controller, ("A", "B"), enrolment.nats_url)
    assert again.keys.login.public == enrolment.keys.login.public
    assert fabric.registry.enrolled[0].journal_key == enrolment.keys.journal_public
    for name in ("controller.nk", "journal.key", "enrolment.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name


async def test_a_code_is_good_for_one_controller_only(fabric: Fabric, tmp_path: Path) -> None:
    code, page = fabric.code().text, fabric.page()
    await enrol.enrol(page, code, tmp_path / "first", ["A"])
    with pytest.raises(enrol.EnrolmentFailed, match="used already"):
        await enrol.enrol(page, code, tmp_path / "second", ["A"])
    assert not (tmp_path / "second" / "enrolment.json").exists()


async def test_a_code_of_another_authority_sends_nothing_to_this_one(fabric: Fabric, tmp_path: Path) -> None:
    code = fabric.code(fingerprint=os.urandom(16))
    with pytest.raises(enrol.EnrolmentFailed, match="another fingerprint"):
        await enrol.enrol(fabric.page(), code.text, tmp_path / "c", ["A"])
    assert code.code_id in fabric.registry.codes, "the code was not spent"
    assert not (tmp_path / "c").exists()


async def test_somebody_in_between_with_an_authority_of_their_own_is_found_out(fabric: Fabric, tmp_path: Path) -> None:
    impostor = authority.load_or_make(tmp_path / "impostor")
    with pytest.raises(enrol.EnrolmentFailed, match="another fingerprint"):
        await enrol.enrol(fabric.page(impostor.pem), fabric.code().text, tmp_path / "c", ["A"])


async def test_a_fabric_certified_by_another_authority_is_not_talked_to(fabric: Fabric, tmp_path: Path) -> None:
    other = authority.load_or_make(tmp_path / "other")
    code = fabric.code(fingerprint=other.fingerprint)
    with pytest.raises(enrol.EnrolmentFailed, match="certificate verify failed"):
        await enrol.enrol(fabric.page(other.pem), code.text, tmp_path / "c", ["A"])
    assert code.code_id in fabric.registry.codes


async def test_a_wrong_secret_is_refused(fabric: Fabric, tmp_path: Path) -> None:
    right = fabric.code()
    wrong = make_code(right.fingerprint, bytes.fromhex(right.code_id) + os.urandom(10))
    with pytest.raises(enrol.EnrolmentFailed, match="does not accept this code"):
        await enrol.enrol(fabric.page(), wrong.text, tmp_path / "c", ["A"])
    assert fabric.registry.enrolled == []


async def test_a_controller_that_is_enrolled_is_not_enrolled_over(fabric: Fabric, tmp_path: Path) -> None:
    await enrol.enrol(fabric.page(), fabric.code().text, tmp_path / "c", ["A"])
    with pytest.raises(enrol.EnrolmentFailed, match="already"):
        await enrol.enrol(fabric.page(), fabric.code().text, tmp_path / "c", ["A"])


async def test_an_address_that_is_no_cubbyhole_server_is_said_to_be_none(fabric: Fabric, tmp_path: Path) -> None:
    for url, said in (
        (fabric.page() + "/elsewhere", "answered 404"),
        (fabric.page("hello"), "did not send a certificate"),
        ("http://127.0.0.1:1", "cannot be reached"),
        ("ftp://127.0.0.1", "http://"),
    ):
        with pytest.raises(enrol.EnrolmentFailed, match=said):
            await enrol.enrol(url, fabric.code().text, tmp_path / "c", ["A"])


async def test_a_controller_without_enrolment_is_told_to_enrol(tmp_path: Path) -> None:
    with pytest.raises(enrol.NotEnrolled, match="cubbyhole enrol"):
        enrol.load(tmp_path)


async def test_an_enrolling_connection_may_do_nothing_else(fabric: Fabric) -> None:
    code = fabric.code()
    session = Session(
        Endpoint((fabric.nats.url,), trust_only(fabric.authority.pem, at_any_time=True)),
        Credentials(user=code.code_id, password=code.secret),
        name="enrol",
        inbox_prefix=subjects.enrolment_inbox(code.code_id),
    )
    await session.connect_once()
    try:
        for subject in ("cb.A.up.beat", "cb.A.cmd.live", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.AUTH"):
            with pytest.raises(NotPermitted):
                await session.request(subject, b"", 1.0)
        with pytest.raises(Refused, match="cannot be read"):
            await session.request(subjects.ENROL, b"{", 1.0)
    finally:
        await session.disconnect()


@pytest.mark.parametrize("proof", ["nkey_proof", "journal_proof"])
async def test_a_request_without_proof_of_a_key_is_refused_and_the_code_stays_good(
    fabric: Fabric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    code, honest = fabric.code(), enrol._request
    other = base64.b64encode(bytes(64)).decode()
    with monkeypatch.context() as patch:
        patch.setattr(enrol, "_request", lambda *parts: msgspec.structs.replace(honest(*parts), **{proof: other}))
        with pytest.raises(enrol.EnrolmentFailed, match="did not prove"):
            await enrol.enrol(fabric.page(), code.text, tmp_path / "c", ["A"])
    assert code.code_id in fabric.registry.codes
    assert (await enrol.enrol(fabric.page(), code.text, tmp_path / "c", ["A"])).banks == ("A",)


async def test_nobody_gets_in_without_key_or_code(fabric: Fabric) -> None:
    session = Session(
        Endpoint((fabric.nats.url,), trust_only(fabric.authority.pem, at_any_time=True)),
        Credentials(),
        name="nobody",
        inbox_prefix="_INBOX.nobody",
    )
    with pytest.raises(AccessRefused):
        await session.connect_once()
    with pytest.raises(Offline):
        await session.request(subjects.ENROL, b"", 1.0)


async def test_a_code_is_read_as_people_type_it() -> None:
    code = make_code(bytes(range(16)), bytes(range(14)))
    assert parse_code(code.text) == code
    assert parse_code(f"  {code.text.lower().replace('-', ' ')}\n") == code
    assert parse_code(code.text.replace("O", "0").replace("I", "1").replace("B", "8")) == code


async def test_a_mistyped_code_is_found_out_before_anything_is_sent() -> None:
    text = make_code(bytes(range(16)), bytes(range(14))).text
    typed = text[:7] + ("Q" if text[7] != "Q" else "R") + text[8:]
    with pytest.raises(BadCode, match="typing error"):
        parse_code(typed)
    with pytest.raises(BadCode, match="50 letters"):
        parse_code(text[:-3])
    with pytest.raises(BadCode):
        parse_code("%" * 50)
