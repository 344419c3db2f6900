"""Whatever arrives is a journal line or a message of ours, or one clear error; never anything else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain import events as ev
from cubbyhole.domain.moment import Moment
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import (
    MAX_INTEGER,
    MAX_LINE_BYTES,
    Line,
    LineError,
    decode_line,
    decode_state,
    encode_line,
)
from tests.protocol.samples import EVENTS, MESSAGES, filled

EPOCH = "0123456789abcdef" * 2
NOW = Moment(1_794_830_400_000, 5, "b" * 32, True)
LINES = [
    encode_line(bank="A", epoch=EPOCH, seq=n, moment=NOW, actor="op:desk", event=e) for n, e in enumerate(EVENTS, 1)
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def bent(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """A good document with some of its fields replaced, dropped or added, or some of its bytes changed."""
    raw = draw(st.sampled_from(good))
    if draw(st.booleans()):
        at, cut = draw(st.integers(0, len(raw))), draw(st.integers(0, 4))
        return raw[:at] + draw(st.binary(max_size=4)) + raw[at + cut :]
    document: dict[str, Any] = json.loads(raw)
    target = document["data"] if isinstance(document.get("data"), dict) and draw(st.booleans()) else document
    for name in draw(st.lists(st.sampled_from([*target, "extra"]), max_size=3)):
        if draw(st.booleans()):
            target[name] = draw(anything)
        else:
            target.pop(name, None)
    return json.dumps(document).encode()


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.TYPE)
def test_every_event_comes_back_as_it_was(event: ev.Event) -> None:
    raw = encode_line(bank="A", epoch=EPOCH, seq=3, moment=NOW, actor=None, event=event)
    assert decode_line(raw) == Line("A", EPOCH, 3, NOW, None, event, event.TYPE)
    shuffled = json.dumps(dict(reversed([*json.loads(raw).items(), ("newer", [1])]))).encode()
    assert decode_line(shuffled) == decode_line(raw), "order and unknown fields do not matter"


@given(st.binary(max_size=300) | bent(LINES) | anything.map(lambda a: json.dumps(a).encode()))
def test_any_bytes_are_a_line_or_a_line_error(raw: bytes) -> None:
    try:
        line = decode_line(raw)
    except LineError:
        return
    assert 1 <= line.seq <= MAX_INTEGER
    assert b"\n" not in raw, "a line stays a line in an exported file"
    if not isinstance(line.event, ev.UnknownEvent):
        again = encode_line(
            bank=line.bank, epoch=line.epoch, seq=line.seq, moment=line.moment, actor=line.actor, event=line.event
        )
        assert decode_line(again) == line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"v": 2, "at": "noon"}, "version 2"),
        ({"seq": 0}, "sequence"),
        ({"seq": MAX_INTEGER + 1}, "sequence"),
        ({"at": 1 << 70}, "at most"),
        ({"data": {"locker": "01", "open_ms": 1 << 64}}, "at most"),
        ({"epoch": "E" * 32}, "32 hex"),
        ({"data": {"locker": None, "open_ms": 1}}, "not a journal line"),
        ({"actor": "x" * 200}, "128"),
    ],
)
def test_a_bad_line_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    event = ev.DoorHeldOpen(locker="01", open_ms=1)
    good = json.loads(encode_line(bank="A", epoch=EPOCH, seq=3, moment=NOW, actor=None, event=event))
    with pytest.raises(LineError, match=words):
        decode_line(json.dumps({**good, **change}).encode())


@pytest.mark.parametrize("around", [b" %s", b"%s\n", b"[%s]", b"%s%s"])
def test_nothing_stands_around_a_line(around: bytes) -> None:
    with pytest.raises(LineError):
        decode_line(around.replace(b"%s", LINES[1]))


def test_a_line_with_a_line_break_inside_is_refused_although_it_is_json() -> None:
    with pytest.raises(LineError, match="line breaks"):
        decode_line(LINES[1].replace(b",", b",\n", 1))


def test_a_line_has_a_largest_size_in_both_directions() -> None:
    with pytest.raises(LineError, match="at most"):
        decode_line(b"{" + b" " * MAX_LINE_BYTES + b"}")
    huge = ev.OutOfService(locker="01", reason="x" * MAX_LINE_BYTES)
    with pytest.raises(LineError, match="at most"):
        encode_line(bank="A", epoch=EPOCH, seq=3, moment=NOW, actor=None, event=huge)


def test_an_event_of_a_newer_release_is_kept_by_its_name() -> None:
    raw = LINES[1].replace(b'"boot.started"', b'"locker.painted"')
    assert decode_line(raw).event == ev.UnknownEvent("locker.painted")


@given(st.binary(max_size=200) | anything.map(lambda a: json.dumps(a).encode()))
def test_any_bytes_are_no_state_or_a_state(raw: bytes) -> None:
    try:
        decode_state(raw)
    except LineError:
        return


# -- messages -------------------------------------------------------------------------------------------------------

GOOD = {kind: [m.encode(filled(kind)), m.encode(filled(kind, optional=False))] for kind in MESSAGES}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda k: k.__name__)
def test_every_message_comes_back_as_it_was(kind: type[m.Message]) -> None:
    for raw in GOOD[kind]:
        assert m.encode(m.decode(kind, raw)) == raw


@given(st.sampled_from(MESSAGES), st.data())
def test_any_bytes_are_a_message_or_a_message_error(kind: type[m.Message], data: st.DataObject) -> None:
    raw = data.draw(st.binary(max_size=300) | bent(GOOD[kind]) | anything.map(lambda a: json.dumps(a).encode()))
    try:
        message = m.decode(kind, raw)
    except m.MessageError as error:
        if error.word not in ("malformed", "unknown_version", "trouble"):
            pytest.fail(f"{error.word} is no word of the protocol")
        return
    assert isinstance(message, kind)
    assert m.decode(kind, m.encode(message)) == message


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda k: k.__name__)
def test_another_version_is_said_so_whatever_its_shape(kind: type[m.Message]) -> None:
    for raw in (b'{"v":2}', b'{"v":0,"bank":["A"],"at":"noon"}', b'{"nothing":[{}],"v":99}'):
        with pytest.raises(m.MessageError) as refused:
            m.decode(kind, raw)
        assert refused.value.word == "unknown_version"


def test_a_message_without_a_version_is_malformed() -> None:
    with pytest.raises(m.MessageError) as refused:
        m.decode(m.Nudge, b'{"directory":1,"standing":1}')
    assert refused.value.word == "malformed"


def test_the_peers_trouble_is_told_apart_from_nonsense() -> None:
    raw = m.encode(m.Trouble(error="busy", detail="try again"))
    with pytest.raises(m.MessageError, match="busy: try again") as refused:
        m.decode(m.ClaimReply, raw)
    assert refused.value.word == "trouble"
    assert m.decode(m.Trouble, raw).error == "busy"


def test_the_limits_of_a_message_hold() -> None:
    lines = [msgspec.Raw(b"{}")] * (m.MAX_BATCH_LINES + 1)
    head = m.Head(1, "h", "s")
    for bad in (
        m.Events(bank="A", epoch=EPOCH, first=1, lines=lines, heads=[head]),
        m.Events(bank="A", epoch=EPOCH, first=1, lines=[], heads=[head]),
        m.Events(bank="A", epoch=EPOCH, first=1, lines=lines[:1], heads=[]),
        m.Events(bank="A", epoch=EPOCH, first=-1, lines=lines[:1], heads=[head]),
        m.Events(bank="A", epoch=EPOCH, first=1, lines=lines[:1], heads=[m.Head(1 << 63, "h", "s")]),
        m.Events(bank="A" * 200, epoch=EPOCH, first=1, lines=lines[:1], heads=[head]),
    ):
        with pytest.raises(m.MessageError):
            m.decode(m.Events, m.encode(bad))


def test_the_exact_bytes_of_a_line_survive_the_journey() -> None:
    odd = LINES[3].replace(b'"data":{', b'"data": {').replace(b",", b", ", 2)
    batch = m.Events(bank="A", epoch=EPOCH, first=1, lines=[msgspec.Raw(odd)], heads=[m.Head(1, "h", "s")])
    assert bytes(m.decode(m.Events, m.encode(batch)).lines[0]) == odd
