"""Many worlds at once: seeds are spread over processes, what they met is counted together."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import structlog

from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.run import Plan, Report, run

AT_ONCE = 4  # seeds that a process takes at a time


def run_all(plans: Sequence[Plan], coverage: Coverage, jobs: int = 0) -> Iterator[Report]:
    """Run ``plans`` in ``jobs`` processes (0: one a core); their reports in order, ``coverage`` complete at the end."""
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(plans))
    if jobs == 1:
        for plan in plans:
            yield run(plan, coverage)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        for report, met in pool.map(_one, plans, chunksize=min(AT_ONCE, -(-len(plans) // jobs))):
            coverage.add(met)
            yield report


def _quiet() -> None:
    # What the controllers log in the world is about made-up faults.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _one(plan: Plan) -> tuple[Report, Coverage]:
    coverage = Coverage()
    return run(plan, coverage), coverage
