"""Seeds of the world: everything that must hold does, and everything that could happen has happened."""

from __future__ import annotations

import pytest

from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.many import run_all
from cubbyhole.simulator.world.run import Plan, Report, run

IN_MEMORY = [Plan(seed=seed, banks=1 + seed % 2, days=1, often=2.0) for seed in range(1, 201)]
ON_SQLITE = [Plan(seed=seed, banks=1 + seed % 2, days=1, often=2.0, server="sql") for seed in range(1, 13)]


@pytest.fixture(scope="module")
def coverage() -> Coverage:
    return Coverage()


@pytest.fixture(scope="module")
def reports(coverage: Coverage) -> list[Report]:
    """Two hundred worlds with the server in memory and some with the real one, over all cores."""
    return list(run_all([*ON_SQLITE, *IN_MEMORY], coverage))


@pytest.mark.slow
def test_nothing_that_must_hold_is_violated_over_all_seeds(reports: list[Report]) -> None:
    assert [f"{r.violation} | {r.plan.command()}" for r in reports if r.violation] == []


@pytest.mark.slow
def test_every_fault_transition_state_and_denial_has_happened(reports: list[Report], coverage: Coverage) -> None:
    assert coverage.missing() == []


@pytest.mark.slow
def test_each_bank_has_at_least_sixty_people_and_three_hundred_taps_a_day(reports: list[Report]) -> None:
    assert all(r.plan.people >= 60 for r in reports)
    assert [r.plan.command() for r in reports if r.taps < 300 * r.plan.banks * r.plan.days] == []


@pytest.mark.parametrize("server", ["memory", "sql"])
def test_the_same_seed_is_the_same_world(server: str) -> None:
    plan = Plan(seed=7, banks=2, days=1, server=server)
    first, second = run(plan, Coverage()), run(plan, Coverage())
    assert (first.lines, first.taps, first.pulses, first.steps) == (
        second.lines,
        second.taps,
        second.pulses,
        second.steps,
    )


@pytest.mark.parametrize("server", ["memory", "sql"])
def test_a_world_whose_journals_carry_real_signatures_holds_too(server: str) -> None:
    report = run(Plan(seed=3, banks=2, days=1, often=2.0, real_keys=True, server=server), Coverage())
    assert report.violation is None
    assert report.lines > 500
