"""Faulty variants of the production code, put in at run time. A checker that lets one live checks nothing.

Each mutation names the invariant that it breaks. The world and the checkers stay as they are; only production
functions are replaced. `survey` runs seeds against each until one catches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cubbyhole.simulator.world import mutants as wrong
from cubbyhole.simulator.world import mutants_of_records as untrue
from cubbyhole.simulator.world.coverage import Coverage
from cubbyhole.simulator.world.run import Plan, run

SEEDS_FROM = 1


@dataclass(frozen=True, slots=True)
class Mutation:
    """``patches`` makes (owner, attribute, faulty variant) anew for each run."""

    invariant: str
    name: str
    patches: Callable[[], list[wrong.Patch]]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a mutation: the invariant that caught it after so many seeds, or None."""

    invariant: str
    name: str
    caught_by: str | None
    seeds: int


MUTATIONS = (
    Mutation("1", "a full disk does not deny", wrong.full_disk_does_not_deny),
    Mutation("1", "a denied tap opens the door", wrong.denied_tap_opens),
    Mutation("1", "the door beside is opened", wrong.door_beside_opens),
    Mutation("1", "an unlock waits for a minute", wrong.unlock_waits),
    Mutation("1", "what a full disk lost is not counted", wrong.losses_not_counted),
    Mutation("2", "a taken locker is given out", wrong.taken_is_given),
    Mutation("2", "the desk assigns a taken locker", wrong.desk_assigns_taken),
    Mutation("2", "one locker more than the rule allows", wrong.one_more_than_allowed),
    Mutation("2", "every badge opens a taken locker", wrong.every_badge_opens),
    Mutation("2", "a locker that is not empty is given out", wrong.full_locker_is_given),
    Mutation("2", "a new controller offers what nobody has looked at", wrong.unverified_is_given),
    Mutation("3", "a claim is good for a minute", wrong.claim_is_good_for_ever),
    Mutation("3", "a live command is journaled as nobody's", wrong.command_of_nobody),
    Mutation("3", "a live command opens the door beside", wrong.command_opens_beside),
    Mutation("3", "a live command has two outcomes", wrong.command_done_twice),
    Mutation("4", "a release ends whatever assignment is there", wrong.release_ends_any),
    Mutation("4", "a standing command is never too late", wrong.standing_never_late),
    Mutation("4", "standing commands are executed newest first", wrong.standing_newest_first),
    Mutation("4", "a refused command blocks the queue", wrong.refused_blocks),
    Mutation("5", "lines without a good head are believed", untrue.heads_not_checked),
    Mutation("5", "the bank takes all for acknowledged", untrue.all_acknowledged),
    Mutation("5", "a batch leaves its last line out", untrue.batch_without_last),
    Mutation("5", "lines are not chained", untrue.lines_not_chained),
    Mutation("6", "the server's snapshot forgets former holders", untrue.snapshot_forgets_former),
    Mutation("6", "the server's snapshot forgets command outcomes", untrue.snapshot_forgets_outcomes),
    Mutation("6", "the bank changes its state without an event", untrue.state_without_event),
    Mutation("7", "a blocked credential is not looked at", untrue.blocked_is_ignored),
    Mutation("7", "nudges and heartbeats do not make the bank pull", untrue.bank_never_pulls),
    Mutation("7", "a delta does not replace what is known", untrue.delta_does_not_replace),
    Mutation("7", "deltas are dropped", untrue.deltas_are_dropped),
    Mutation("8", "nothing is ever due", untrue.nothing_is_due),
    Mutation("8", "lockers are released in doubt", untrue.due_in_doubt),
    Mutation("8", "midnight is UTC's", untrue.midnight_is_utc),
    Mutation("8", "the bank's time may run back", untrue.time_runs_back),
    Mutation("8", "visitors are let in in doubt", untrue.visitors_in_doubt),
    Mutation("8", "a jump of the clock is no doubt", untrue.jump_is_no_doubt),
    Mutation("9", "denials are not journaled", untrue.denials_not_journaled),
    Mutation("9", "whoever acts is nobody", untrue.actor_is_nobody),
    Mutation("9", "late taps are dropped in silence", untrue.late_taps_dropped),
    Mutation("9", "the journal gives another reason", untrue.other_reason),
    Mutation("10", "a tap at a locker that is not there breaks the core", untrue.strange_tap_breaks),
    Mutation("10", "a command for a locker that is not there breaks the core", untrue.strange_command_breaks),
    Mutation("10", "a strange tap silences the bank", untrue.strange_tap_silences),
    Mutation("10", "a message that is none breaks the server", untrue.garbage_breaks),
)  # fmt: skip


@contextmanager
def applied(mutation: Mutation) -> Iterator[None]:
    """Production code with the mutation in it while within."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for owner, name, variant in mutation.patches():
            before.append((owner, name, owner.__dict__[name]))
            setattr(owner, name, variant)
        yield
    finally:
        for owner, name, original in reversed(before):
            setattr(owner, name, original)


def hunt(mutation: Mutation, seeds_most: int) -> Found:
    """Run seeds against ``mutation`` until a checker finds it."""
    for tried in range(1, seeds_most + 1):
        plan = Plan(seed=SEEDS_FROM + tried - 1, banks=3, days=2, often=2.0)
        with applied(mutation):
            report = run(plan, Coverage())
        if report.invariant is not None:
            return Found(mutation.invariant, mutation.name, report.invariant, tried)
    return Found(mutation.invariant, mutation.name, None, seeds_most)


def survey(seeds_most: int) -> Iterator[Found]:
    """All mutations, one after the other."""
    for mutation in MUTATIONS:
        yield hunt(mutation, seeds_most)
