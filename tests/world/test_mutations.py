"""Every faulty variant of the production code is caught: a checker that lets one live checks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.mutations import MUTATIONS, Mutation, applied, hunt
from cubbyhole.simulator.world.run import Plan, run

SEEDS_MOST = 12


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.invariant}: {m.name}")
def test_a_mutation_is_caught(mutation: Mutation, record_property: Callable[[str, object], None]) -> None:
    found = hunt(mutation, SEEDS_MOST)
    record_property("seeds", found.seeds)
    assert found.caught_by is not None, f"{mutation.name!r} survived {found.seeds} seeds"


def test_each_invariant_has_at_least_three_mutations() -> None:
    counts = Counter(m.invariant for m in MUTATIONS)
    assert {str(n) for n in range(1, 11)} == counts.keys()
    assert min(counts.values()) >= 3


def test_a_mutation_is_gone_when_it_has_been_tried() -> None:
    with applied(MUTATIONS[1]):
        pass
    assert run(Plan(seed=2, banks=1, days=1), Coverage()).violation is None
