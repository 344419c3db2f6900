"""The reckoning finds what it looks for: the same days with controllers and a server that are wrong in one way each.

Each bank of this house has a fault of its own and all the others' sound neighbours, so a check that cries at the
wrong bank would show as well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.house import SMALL, at_the_bank, of_type, running_house
from tests.whole import mutant
from tests.whole.day import STRIKES_WITHIN_S, Day, told, wrongs
from tests.whole.reckoning import Check

pytestmark = pytest.mark.slow
FAULTS = {"A": "frame_before_commit", "B": "pulse_again_after_crash", "C": "opened_without_pulse"}
PROGRAMS = {**FAULTS, "server": "server_drops_of_D"}
TRIES = 20  # a kill finds its moment by chance: most need one or two


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    banks = tuple(replace(SMALL, id=bank) for bank in (*FAULTS, "D"))
    programs = {part: [sys.executable, str(Path(mutant.__file__)), fault] for part, fault in PROGRAMS.items()}
    with running_house(banks, auto_close_s=0.5, programs=programs) as house:
        yield Day(house, seed=4)


def somebody_comes(day: Day, bank: str) -> None:
    day.awake(bank)
    day.somebody_is_answered(bank)


def killed_after_a_tap(day: Day, bank: str) -> None:
    """As in `Day.trouble`, but at this bank and only so."""
    day.awake(bank)
    day.somebody_taps(bank)
    time.sleep(day.dice.uniform(0.0, STRIKES_WITHIN_S))
    day.kill_controller(bank)


def found_after(day: Day, bank: str, act: Callable[[Day, str], None]) -> set[Check]:
    """What is found at the bank once something is, after TRIES acts at most."""
    found = []
    for _ in range(TRIES):
        act(day, bank)
        day.over(bank)
        found = wrongs(day, bank)
        if found:
            break
    print(bank, dict(day.done), *found, told(day, bank), sep="\n")
    return {each.check for each in found}


def test_a_frame_that_leaves_before_its_grant_is_on_the_disk_is_caught(day: Day) -> None:
    assert found_after(day, "A", killed_after_a_tap) == {Check.PULSE}


def test_a_pulse_that_is_sent_again_after_a_crash_is_caught(day: Day) -> None:
    # Where the controller takes longer to come back than a grant lives, nobody has just asked for the second pulse.
    found = found_after(day, "B", killed_after_a_tap)
    assert found in ({Check.PULSE}, {Check.PULSE, Check.ASKED})


def test_an_opening_that_is_written_down_without_a_pulse_is_caught(day: Day) -> None:
    assert found_after(day, "C", somebody_comes) == {Check.OPENING}


def test_a_line_that_the_server_acknowledges_and_does_not_keep_is_caught(day: Day) -> None:
    assert found_after(day, "D", somebody_comes) == {Check.SERVER}
    assert of_type(at_the_bank(day.house, "D"), "access.granted"), "its controller is sound"
