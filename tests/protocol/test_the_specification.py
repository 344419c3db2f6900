"""The published protocol is what the code speaks, and its worked examples are right.

The examples are recomputed with hashlib, hmac and Ed25519 alone: what a third party has.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import types
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.directory import Calendar, CredentialRow, PersonRow, Row, content_hash
from cubbyhole.domain.locker import Share
from cubbyhole.domain.opening import Offset, Window
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.vocabulary import Mode
from cubbyhole.protocol import messages as m
from cubbyhole.protocol import subjects
from cubbyhole.protocol.digest import commitment, credential_digest, unknown_credential
from cubbyhole.protocol.enrolment import EnrolReply, EnrolRequest
from cubbyhole.protocol.journal import MAX_LINE_BYTES, decode_line, encode_line
from tests.protocol.samples import MESSAGES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "controller-protocol.md").read_text(encoding="utf-8")
ENROLMENT: list[Any] = [EnrolRequest, EnrolReply]
ROWS: list[Any] = [Calendar, Offset, Window, PersonRow, CredentialRow, Rule]
OTHERS: list[Any] = [m.Head, m.GapProof, *ROWS, ev.Assigned, Share, ev.Disabled, ev.Answered]
STRUCTS: list[Any] = [*MESSAGES, *OTHERS, *ENROLMENT]


def table(cls: Any) -> dict[str, tuple[str, bool]]:
    """Field → (type, must) as the page says."""
    section = re.search(rf"^#### {cls.__name__}\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert section is not None, f"{cls.__name__} is not on the page"
    found = {}
    for row in section[1].splitlines()[2:]:
        name, kind, must, meaning = (cell.strip() for cell in row.strip("|").split("|", 3))
        assert meaning, f"{cls.__name__}.{name} has no meaning"
        found[name.strip("`")] = kind, must == "yes"
    return found


def words(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(a) for a in args)
    if origin is typing.Annotated:
        return words(args[0])
    if origin in (list, tuple):
        return "list of " + words(args[0])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "string"
    simple = {str: "string", int: "integer", bool: "boolean", type(None): "null", msgspec.Raw: "object"}
    return simple[hint] if hint in simple else f"[{hint.__name__}](#{hint.__name__.lower()})"


def fields(cls: Any) -> dict[str, tuple[str, bool]]:
    hints = typing.get_type_hints(cls)
    if issubclass(cls, tuple):
        return {name: (words(hint), True) for name, hint in hints.items()}
    if dataclasses.is_dataclass(cls):
        return {f.name: (words(hints[f.name]), f.default is dataclasses.MISSING) for f in dataclasses.fields(cls)}
    return {
        f.name: (words(hints[f.name]), f.required)
        for f in msgspec.structs.fields(cls)
        if f.name != "v" or cls in ENROLMENT
    }


@pytest.mark.parametrize("cls", STRUCTS, ids=lambda c: c.__name__)
def test_every_message_is_listed_with_all_its_fields(cls: Any) -> None:
    assert table(cls) == fields(cls)


def test_no_message_is_listed_that_does_not_exist() -> None:
    assert set(re.findall(r"^#### (\w+)$", PAGE, re.MULTILINE)) == {c.__name__ for c in STRUCTS}


def test_every_event_type_is_listed_with_all_its_fields() -> None:
    found = {
        name: re.findall(r"`(\w+)`", cells)
        for name, cells in re.findall(r"^\| \[`([a-z_.]+)`\]\(events\.md#\w+\) \|(.*)\|$", PAGE, re.MULTILINE)
    }
    assert found == {name: [f.name for f in dataclasses.fields(cls)] for name, cls in ev.EVENT_TYPES.items()}


def test_every_subject_is_listed() -> None:
    listed = set(re.findall(r"^\| `(cb\.[^`]+)` \|", PAGE, re.MULTILINE))
    ours = {f"cb.<bank>.up.{verb}" for verb in subjects.UP_VERBS}
    ours |= {f"cb.<bank>.cmd.{verb}" for verb in (subjects.LIVE, subjects.NUDGE)}
    assert listed == {*ours, subjects.ENROL}


def test_the_limits_on_the_page_are_the_codes() -> None:
    flat = " ".join(PAGE.split())
    assert f"most {m.MAX_BATCH_LINES} lines and {m.MAX_BATCH_BYTES // 1024} KiB of lines" in flat
    assert f"up to {m.MAX_STANDING} |" in flat
    assert f"at most {MAX_LINE_BYTES // 1024} KiB" in flat
    assert f"at most {subjects.MAX_PAYLOAD_BYTES // 1024**2} MiB" in flat
    assert f"good for {m.CLAIM_VALID_MS // 1000} s" in flat


def test_the_fields_of_a_line_stand_in_the_order_in_which_they_are_written() -> None:
    section = PAGE[PAGE.index("### A line") : PAGE.index("The first line of an epoch")]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(json.loads(example_lines()[0]))


# -- the worked examples --------------------------------------------------------------------------------------------


def example_lines() -> list[bytes]:
    block = re.search(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return block[1].encode().splitlines()


def values() -> dict[str, list[str]]:
    """What the text blocks say, by name."""
    found: dict[str, list[str]] = {}
    for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            name, value = re.split(r"  +", line, maxsplit=1)
            found.setdefault(name, []).append(value)
    return found


def said(name: str) -> str:
    (value,) = values()[name]
    return value


def test_the_hashes_of_the_example_are_right() -> None:
    lines = example_lines()
    first = json.loads(lines[0])
    previous = hashlib.sha256(f"cubbyhole-journal-v1\0{first['bank']}\0{first['epoch']}".encode()).digest()
    assert said("genesis") == previous.hex()
    for number, raw in enumerate(lines, 1):
        assert json.loads(raw)["seq"] == number
        previous = hashlib.sha256(previous + raw).digest()
        assert said(f"hash {number}") == previous.hex()


def test_the_signatures_of_the_example_are_right() -> None:
    controller = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    server = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))).public_key()
    assert base64.b64decode(said("journal key")) == controller.public_bytes_raw()
    assert base64.b64decode(said("receipt key")) == server.public_bytes_raw()
    first = json.loads(example_lines()[0])
    assert first["data"]["journal_key"] == said("journal key")
    body = f"\0{first['bank']}\0{first['epoch']}\0".encode() + (4).to_bytes(8, "big") + bytes.fromhex(said("hash 4"))
    head = b"cubbyhole-head-v1" + body
    receipt = b"cubbyhole-receipt-v1" + body + int(said("receipt ms")).to_bytes(8, "big")
    assert (said("head text 4"), said("receipt text 4")) == (head.hex(), receipt.hex())
    signed: list[tuple[Ed25519PublicKey, str, bytes]] = [(controller, "head 4", head), (server, "receipt 4", receipt)]
    for key, name, text in signed:
        key.verify(base64.b64decode(said(name)), text)


def test_the_lines_of_the_example_are_what_this_release_writes() -> None:
    for raw in example_lines():
        line = decode_line(raw)
        assert not isinstance(line.event, ev.UnknownEvent)
        again = encode_line(
            bank=line.bank, epoch=line.epoch, seq=line.seq, moment=line.moment, actor=line.actor, event=line.event
        )
        assert again == raw


def test_the_content_hash_of_the_example_is_right() -> None:
    total = 0
    for row, weight in zip(values()["row"], values()["weight"], strict=True):
        number = int.from_bytes(hashlib.sha256(row.encode()).digest(), "big")
        assert weight == f"{number:064x}"
        parsed = json.loads(row)
        assert row == json.dumps(parsed, sort_keys=True, separators=(",", ":"))
        total += number
    assert said("content hash") == f"{total % 2**256:064x}"


def test_the_digests_and_the_commitment_of_the_example_are_right() -> None:
    key, canonical = bytes.fromhex(said("bank key")), said("canonical").encode()
    assert said("digest") == hmac.new(key, b"credential\0" + canonical, hashlib.sha256).hexdigest()
    assert said("unknown") == "x_" + hmac.new(key, b"unknown\0" + canonical, hashlib.sha256).hexdigest()[:24]
    salt = bytes.fromhex(said("salt"))
    text = b"cubbyhole-commitment-v1\0" + bytes([len(salt)]) + salt + said("identity").encode()
    assert said("commitment") == hashlib.sha256(text).hexdigest()


def test_the_examples_are_the_codes_own() -> None:
    key = bytes.fromhex(said("bank key"))
    assert credential_digest(key, said("canonical")) == said("digest")
    assert unknown_credential(key, said("canonical")) == said("unknown")
    assert commitment(bytes.fromhex(said("salt")), said("identity")) == said("commitment")
    rows: list[Row] = [
        PersonRow(person="p_0123456789abcdef", name="Zoë", groups=("it",), active=True, commitment="ab" * 32),
        CredentialRow(digest="cd" * 32, credential="b_1", person="p_0123456789abcdef", kind="badge"),
        Rule(rule="day", title="Day", mode=Mode.DAY),
    ]
    assert content_hash(rows) == said("content hash")
