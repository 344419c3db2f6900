"""A bank that is built with fewer lockers: nobody's right or things vanish without a word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Cause, Door, Outcome
from cubbyhole.edge import inputs as io
from cubbyhole.protocol.messages import StandingCommand
from tests.edge.bank_bench import SETTINGS, BankBench

FEWER = replace(SETTINGS, columns=("M M M M",))  # 05 to 08 are gone


def rebuilt(bench: BankBench, settings: io.BankSettings = FEWER) -> BankBench:
    bench.settings = settings
    bench.boot()
    return bench


def test_the_assignment_of_a_locker_that_is_gone_ends_before_the_bank_is_another(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    bench.open_with("ada", "06")
    bench.see(d06=False)
    bench.open_with("ben", "02")
    journal = rebuilt(bench).journal()
    (ended,) = [event for event in journal if isinstance(event, ev.AssignmentEnded)]
    assert (ended.locker, ended.person, ended.cause) == ("06", "p_ada", Cause.REMOVED)
    assert (ended.former_may_open, ended.check) == (True, "contents_unknown")
    configured = [at for at, event in enumerate(journal) if isinstance(event, ev.BankConfigured)]
    assert journal.index(ended) < configured[-1]
    assert bench.core.state.lockers["02"].assignment is not None, "whoever's locker stays keeps it"


def test_a_locker_that_may_hold_things_stays_listed_until_somebody_has_looked(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    bench.open_with("ada", "06")
    bench.see(d06=False)
    state = rebuilt(bench).core.state
    assert list(state.removed) == ["06"], "05, 07 and 08 were free"
    assert state.removed["06"].check == "contents_unknown"
    assert state.removed["06"].former is not None and state.removed["06"].former.person == "p_ada"
    assert rebuilt(bench).core.state.removed, "it is still listed after another start"
    look = StandingCommand(
        ordinal=1, command="c_1", kind="checked", locker="06", actor="op:ada", reason="fetched", needs_directory=0,
        not_after_ms=bench.clock.wall + 60_000,
    )  # fmt: skip
    bench.core.handle([io.StandingCame((look,))])
    done = bench.of(ev.CommandDone)[-1]
    assert isinstance(done, ev.CommandDone) and done.outcome == "done"
    assert not bench.core.state.removed


def test_a_locker_that_comes_back_is_looked_into_first_and_its_former_holder_may_open_it(tmp_path: Path) -> None:
    """Somebody had made a mistake in the controller's configuration."""
    bench = BankBench(tmp_path).ready()
    bench.open_with("ada", "06")
    bench.see(d06=False)
    rebuilt(bench)
    state = rebuilt(bench, SETTINGS).core.state
    assert not state.removed
    s = state.lockers["06"]
    assert (s.check, s.door) == ("contents_unknown", Door.UNKNOWN)
    assert s.not_offered() is not None
    assert s.former is not None and s.former.person == "p_ada"


def test_a_grant_at_a_locker_that_is_gone_is_settled_like_any_other(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    bench.tap("ada", "06")  # and the power goes
    settled = [event for event in rebuilt(bench).journal() if isinstance(event, ev.UnlockSettled)]
    assert [(event.locker, event.outcome) for event in settled] == [("06", Outcome.UNKNOWN)]


def test_a_bank_with_more_or_the_same_lockers_ends_nothing(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    bench.open_with("ada", "06")
    rebuilt(bench, replace(SETTINGS, columns=(*SETTINGS.columns, "S S"), label="Lobby, enlarged"))
    assert not bench.of(ev.AssignmentEnded)
    assert bench.core.state.lockers["06"].assignment is not None
    assert len(bench.core.state.lockers) == 10
