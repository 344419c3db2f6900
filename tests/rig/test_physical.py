"""A locker as a thing of steel, with time in our hands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.simulator.rig.physical import MS, Act, Build, Impossible, Locker

STEADY = Build(bounce_ms=0)


def test_a_pulse_releases_the_latch_the_spring_opens_the_door_and_shutting_secures_it() -> None:
    locker = Locker("01", STEADY)
    assert locker.pulse(0, 500)
    assert locker.state(11 * MS).lock == "secured"
    assert (locker.state(12 * MS).lock, locker.state(12 * MS).door) == ("released", "closed")
    assert locker.state(72 * MS).door == "open"
    assert locker.hand(1000 * MS, "close")
    state = locker.state(1000 * MS)
    assert (state.door, state.lock) == ("closed", "secured")


def test_without_a_spring_the_door_opens_by_hand_while_the_pulse_lasts_and_not_after() -> None:
    locker = Locker("01", Build(spring=False, bounce_ms=0))
    locker.pulse(0, 500)
    assert locker.state(499 * MS).lock == "released"
    assert locker.state(500 * MS).lock == "secured"
    with pytest.raises(Impossible, match="locked"):
        locker.hand(501 * MS, "open")
    locker.pulse(1000 * MS, 500)
    assert locker.hand(1100 * MS, "open")


def test_a_rotary_latch_stays_released_until_the_door_was_opened_and_shut() -> None:
    locker = Locker("01", Build(spring=False, latch="rotary", bounce_ms=0))
    locker.pulse(0, 200)
    assert locker.state(60_000 * MS).lock == "released"
    assert locker.hand(60_000 * MS, "open")
    locker.hand(61_000 * MS, "close")
    assert locker.state(61_000 * MS).lock == "secured"


def test_a_jammed_lock_takes_the_pulse_and_stays() -> None:
    locker = Locker("01", STEADY)
    locker.hand(0, "jam")
    assert not locker.pulse(0, 500)
    assert (locker.state(400 * MS).door, locker.state(400 * MS).lock) == ("closed", "secured")
    locker.hand(600 * MS, "unjam")
    assert locker.pulse(700 * MS, 500)


def test_a_forced_door_is_open_with_its_bolt_out() -> None:
    locker = Locker("01", STEADY)
    assert locker.hand(0, "force")
    assert (locker.state(0).door, locker.state(0).lock) == ("open", "secured")


def test_a_moved_door_bounces_for_a_while_and_then_reads_true() -> None:
    locker = Locker("01", Build(bounce_ms=20))
    locker.hand(0, "force")
    readings = {locker.door_sensor(at * MS // 4) for at in range(1, 80)}
    assert readings == {True, False}
    assert all(locker.door_sensor(at * MS) for at in range(20, 100))


def test_a_simulated_person_shuts_the_door_after_the_configured_time() -> None:
    locker = Locker("01", Build(auto_close_ms=4000, bounce_ms=0))
    locker.pulse(0, 500)
    assert locker.state(4071 * MS).door == "open"
    assert locker.state(4072 * MS).door == "closed"
    assert locker.state(4072 * MS).lock == "secured"


def test_power_lost_in_a_pulse_bolts_a_shut_door() -> None:
    locker = Locker("01", Build(spring=False, bounce_ms=0))
    locker.pulse(0, 500)
    locker.state(100 * MS)
    locker.relax(100 * MS)
    assert locker.state(100 * MS).lock == "secured"


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2_000 * MS),
            st.sampled_from(["pulse", "relax", "open", "close", "force", "jam", "unjam", "fill", "empty"]),
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_whatever_people_do_a_secured_shut_door_opens_only_by_force(steps: list[tuple[int, str]], spring: bool) -> None:
    locker = Locker("01", Build(spring=spring, bounce_ms=0))
    now_ns = 0
    pulsed_ns: int | None = None
    for pause_ns, step in steps:
        before = locker.state(now_ns)
        now_ns += pause_ns
        after = locker.state(now_ns)
        if before.door == "closed" and after.door == "open":
            assert pulsed_ns is not None, "a door sprang open without a pulse"
        if step == "pulse":
            locker.pulse(now_ns, 500)
            pulsed_ns = now_ns
        elif step == "relax":
            locker.relax(now_ns)
        else:
            secured = after.lock == "secured" and after.door == "closed"
            act: Act = step  # type: ignore[assignment]
            try:
                locker.hand(now_ns, act)
                assert not (secured and act == "open")
            except Impossible:
                assert secured and act == "open"
