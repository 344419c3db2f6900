"""A bank is upgraded before its server: what the server does not know is kept, and is part of the view once it does.

The server of the earlier release is this one with the newer words taken out of its decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import RowMapping, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.vocabulary import Cause, Door, Mode
from cubbyhole.protocol import journal
from cubbyhole.protocol.journal import decode_line, encode_state, fold_line
from cubbyhole.server.banks.picture import locker_row
from cubbyhole.server.banks.refold import refold_stale
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandBank

ADA = "p_00000000000000aa"
SEEN = ev.DoorSeen(locker="01", door=Door.CLOSED)


class CauseBefore(StrEnum):
    RELEASED = "released"
    EXPIRED = "expired"


class EndedBefore(msgspec.Struct):
    """`assignment.ended` as a release with fewer causes reads it."""

    cause: CauseBefore


@contextmanager
def earlier_release(*types: type[ev.Event]) -> Iterator[None]:
    """A server that does not know these types of events."""
    with pytest.MonkeyPatch.context() as patch:
        for cls in types:
            patch.delitem(journal._event_decoders, cls.TYPE)
        yield


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    return HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)


def row_of(store: Store) -> RowMapping:
    with store.read() as connection:
        return connection.execute(select(t.banks)).mappings().one()


def view_is_the_fold(store: Store) -> bool:
    """Whether rows and state are what the whole journal folds to in this release."""
    state = BankState(bank="A")
    with store.read() as connection:
        for raw in connection.execute(select(t.events.c.line).order_by(t.events.c.seq)).scalars():
            fold_line(state, decode_line(bytes(raw)))
        rows = connection.execute(select(t.lockers).order_by(t.lockers.c.number)).mappings().all()
        held = set(
            connection.execute(select(t.assignments.c.assignment).where(t.assignments.c.ended_ms.is_(None))).scalars()
        )
    have = [{key: value for key, value in row.items() if key != "ordinal"} for row in rows]
    return (
        bytes(row_of(store)["state"]) == encode_state(state)
        and have == [locker_row("A", s) for _, s in sorted(state.lockers.items())]
        and held == {s.assignment.assignment for s in state.lockers.values() if s.assignment is not None}
    )


def given_to_ada(locker: str) -> ev.Event:
    return ev.AssignmentStarted(
        assignment=f"a_{locker}", locker=locker, person=ADA, mode=Mode.PERMANENT, ends_ms=None, rule="default"
    )


def test_events_that_the_server_did_not_know_are_folded_after_its_upgrade(bank: HandBank, store: Store) -> None:
    bank.write(SEEN)
    with earlier_release(ev.AssignmentStarted, ev.DoorForced):
        bank.write(given_to_ada("02"), ev.DoorForced(locker="03"))
        bank.write(ev.DoorOpened(locker="01"))
        assert refold_stale(store) == [], "starting the old release again mends nothing"
        assert row_of(store)["stale"] and row_of(store)["quarantine"] is None
    assert not view_is_the_fold(store)
    assert refold_stale(store) == ["A"]
    assert not row_of(store)["stale"] and view_is_the_fold(store)
    with store.read() as connection:
        found = connection.execute(
            select(t.events.c.locker, t.events.c.person).where(t.events.c.type == "assignment.started")
        ).all()
        raised = connection.execute(select(t.alarms.c.kind, t.alarms.c.locker)).all()
    assert [tuple(row) for row in found] == [("02", ADA)], "whoever looks for the locker's record finds it now"
    assert [tuple(row) for row in raised] == [("forced", "03")]
    bank.write(ev.DoorClosed(locker="01"))
    assert view_is_the_fold(store)


def test_an_event_about_what_only_a_newer_event_has_brought_is_no_reason_to_disbelieve(
    bank: HandBank, store: Store
) -> None:
    larger = ev.BankConfigured(
        label="Lobby", area="Ground floor", site="Kestrel House", columns=("M M M M", "L L+ S S", "S"), reader="door",
        senses_lock=True, senses_occupancy=False, drives_lights=False,
    )  # fmt: skip
    with earlier_release(ev.BankConfigured):
        bank.write(larger)
        bank.write(ev.DoorSeen(locker="09", door=Door.CLOSED), given_to_ada("09"))
        assert row_of(store)["quarantine"] is None and row_of(store)["stale"]
    assert refold_stale(store) == ["A"]
    assert view_is_the_fold(store)


def test_a_word_that_the_server_does_not_know_is_kept_like_a_type(bank: HandBank, store: Store) -> None:
    """`removed` is a cause of this release; the one before would not have it."""
    bank.write(given_to_ada("02"))
    ended = ev.AssignmentEnded(
        assignment="a_02", locker="02", person=ADA, cause=Cause.REMOVED, ended_ms=1, former_may_open=False, check=None
    )
    with pytest.MonkeyPatch.context() as patch:
        known = msgspec.json.Decoder(EndedBefore)
        patch.setitem(journal._event_decoders, ev.AssignmentEnded.TYPE, known)
        bank.write(ended, SEEN)
        assert row_of(store)["stale"] and row_of(store)["quarantine"] is None
    assert refold_stale(store) == ["A"] and view_is_the_fold(store)


def test_a_field_with_something_else_than_a_word_is_no_newer_word() -> None:
    line = b'{"v":1,"bank":"A","epoch":"%s","seq":2,"at":1,"mono":1,"boot":"b","sync":true,"type":"tap.denied",'
    line = line % (b"a" * 32) + b'"actor":null,"data":{"reason":%s}}'
    assert isinstance(decode_line(line % b'"some_newer_reason"').event, ev.UnknownEvent)
    for no_word in (b"7", b"null", b"[]", b"{}"):
        with pytest.raises(journal.LineError):
            decode_line(line % no_word)
