"""The checker of physical truth can fail: each lie is found, and the truth is not called one."""

from __future__ import annotations

from tests.whole.reckoning import Check, Grant, Pulse, Wrong, contradictions, differences

OPENED = Grant("g_1", "A-01", 1_000, "opened")
LOST = Grant("g_2", "A-02", 2_000, "unknown")
UNSENT = Grant("g_3", "A-03", 3_000, "not_sent")
WAS_OPEN = Grant("g_4", "A-01", 4_000, "already_open")


def test_what_happened_as_the_journal_says_is_no_contradiction() -> None:
    grants = [OPENED, LOST, UNSENT, WAS_OPEN]
    assert contradictions(grants, [Pulse("A-01", 1_020)], 1) == []
    assert contradictions(grants, [Pulse("A-01", 1_020), Pulse("A-02", 2_020)], 1) == []


def test_a_doubled_pulse_is_found() -> None:
    found = contradictions([OPENED], [Pulse("A-01", 1_020), Pulse("A-01", 1_900)], 0)
    assert found == [Wrong(Check.PULSE, "pulse on A-01 at 1900 without a grant of its own")]


def test_an_unknown_outcome_has_one_pulse_at_most() -> None:
    assert len(contradictions([LOST], [Pulse("A-02", 2_020), Pulse("A-02", 2_500)], 1)) == 1


def test_a_pulse_without_a_grant_is_found() -> None:
    found = contradictions([], [Pulse("A-05", 9_000)], 0)
    assert found == [Wrong(Check.PULSE, "pulse on A-05 at 9000 without a grant of its own")]


def test_a_pulse_at_another_locker_is_not_covered() -> None:
    assert len(contradictions([OPENED], [Pulse("A-02", 1_020)], 0)) == 2


def test_a_pulse_before_its_grant_is_found() -> None:
    assert len(contradictions([OPENED], [Pulse("A-01", 999)], 0)) == 2


def test_a_pulse_long_after_its_grant_is_found() -> None:
    assert len(contradictions([LOST], [Pulse("A-02", 8_000)], 1)) == 1


def test_an_opening_without_a_pulse_is_found() -> None:
    found = contradictions([OPENED], [], 0)
    assert found == [Wrong(Check.OPENING, "grant g_1 says that A-01 opened at 1000, but it had no pulse")]


def test_one_pulse_does_not_serve_two_openings() -> None:
    again = Grant("g_9", "A-01", 1_010, "opened")
    assert len(contradictions([OPENED, again], [Pulse("A-01", 1_020)], 0)) == 1


def test_a_pulse_for_a_frame_that_was_surely_not_sent_is_found() -> None:
    found = contradictions([UNSENT], [Pulse("A-03", 3_020)], 0)
    assert found == [Wrong(Check.PULSE, "pulse on A-03 at 3020 without a grant of its own")]


def test_more_unknown_outcomes_than_faults_are_found() -> None:
    assert len(contradictions([LOST, Grant("g_8", "A-03", 1, "unknown")], [], 1)) == 1


def test_a_grant_that_was_never_settled_is_found() -> None:
    found = contradictions([Grant("g_7", "A-07", 1, None)], [], 0)
    assert found == [Wrong(Check.SETTLED, "grant g_7 at A-07 was never settled")]


def test_pulses_are_given_to_the_grants_that_need_them() -> None:
    refused = Grant("g_6", "A-01", 1_500, "already_open")
    assert contradictions([OPENED, refused], [Pulse("A-01", 1_600)], 0) == []


def test_lines_that_the_server_lacks_has_twice_or_has_otherwise_are_found() -> None:
    bank = [(1, b"one"), (2, b"two"), (3, b"three")]
    assert differences(bank, bank) == []
    told = {
        "line 2 is missing at the server": [bank[0], bank[2]],
        "the server has 1 lines twice": [*bank, bank[1]],
        "line 3 is another one at the server": [*bank[:2], (3, b"four")],
        "line 4 is at the server, but not at the bank": [*bank, (4, b"four")],
    }
    for text, theirs in told.items():
        assert differences(bank, theirs) == [Wrong(Check.SERVER, text)]
