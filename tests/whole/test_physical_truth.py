"""Taps and desk commands while controllers, server and nats-server are killed at random moments, with real processes.

Afterwards the boards' own record is set against the journals. CUBBYHOLE_TRUTH_ROUNDS plays more rounds. That the
reckoning finds what it looks for is shown in `test_mutants`.
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from tests.support.house import running_house
from tests.whole.day import Day, grants_of, told, wrongs

pytestmark = pytest.mark.slow
SEED = 20_26
ROUNDS = int(os.environ.get("CUBBYHOLE_TRUTH_ROUNDS", "1"))
ROUND_S = 60.0
# What goes wrong in one round: each at least once, the others for as long as the round lasts; the dice give the order.
TROUBLES = ["kill controller", "power", "bad link", "kill server", "kill nats"]
MORE = ["kill controller"] * 6 + ["power"] * 2 + ["bad link"] * 2 + ["kill server", "kill nats"]


def test_every_pulse_has_its_grant_whatever_is_killed() -> None:
    with running_house(auto_close_s=0.5) as house:
        day = Day(house, SEED)
        for _ in range(ROUNDS):
            play(day)
        for bank in day.banks:
            day.over(bank)
        for bank in day.banks:
            assert wrongs(day, bank) == [], told(day, bank)
            opened = sum(grant.outcome == "opened" for grant in grants_of(house, bank))
            assert opened >= 3 * ROUNDS, told(day, bank)
        print(dict(day.done), {bank: Counter(grant.outcome for grant in grants_of(house, bank)) for bank in day.banks})


def play(day: Day) -> None:
    """One round: people come to both banks, and between them something goes wrong."""
    end = time.monotonic() + ROUND_S
    troubles, more = list(TROUBLES), list(MORE)
    day.dice.shuffle(troubles)
    day.dice.shuffle(more)
    for number, kind in enumerate([*troubles, *more]):
        if number >= len(troubles) and time.monotonic() > end:
            return
        for bank in day.banks:
            day.somebody_comes(bank)
        day.trouble(kind)
