"""What needs somebody, from the journal to the list on the overview."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.banks.presence import Heartbeats
from cubbyhole.server.banks.queries import BankQueries
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.unit import Store
from cubbyhole.ui.words import ENGLISH
from tests.server.hand import COLUMNS, HandBank


@pytest.fixture
def bank(store: Store, sealing: SealingKey) -> HandBank:
    return HandBank(store, Ed25519PrivateKey.generate()).begin(sealing)


def test_a_locker_that_the_bank_was_rebuilt_without_waits_for_somebody_to_look(bank: HandBank, store: Store) -> None:
    queries = BankQueries(store, Heartbeats(lambda: 0.0, store.now_ms, lambda _bank, _online: None))

    def titles() -> list[str]:
        with store.read() as connection:
            found = needs_of(queries.banks(connection), ENGLISH)
            assert len(found) == queries.attention(connection)
        return [need["title"] for need in found if "inside" in need["title"]]

    smaller = ev.BankConfigured(
        label="Lobby", area="Ground floor", site="Kestrel House", columns=COLUMNS[:1], reader="door",
        senses_lock=True, senses_occupancy=False, drives_lights=False,
    )  # fmt: skip
    bank.write(ev.CheckNeeded(locker="06", why="contents_unknown"))
    assert titles() == ["A-06: look inside"]
    bank.write(smaller)
    assert titles() == ["A-06: look inside"]
    bank.write(ev.Checked(locker="06"))
    assert titles() == []
