"""What a controller still knows after its power was cut."""

from __future__ import annotations

from pathlib import Path

from cubbyhole.domain import events as ev
from cubbyhole.domain.directory import row_key
from tests.edge.bank_bench import HOUR_MS, PEOPLE, BankBench, badge, change, person


def test_two_steps_of_the_directory_in_one_commit_are_kept_in_their_order(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    visitor = (person("dan"), badge("dan"))
    came = change(2, (*PEOPLE, *visitor), visitor)
    went = change(3, PEOPLE, deletes=[row_key(row) for row in visitor])
    bench.core.handle([came, went])
    bench.boot()
    assert bench.core.directory.version == 3
    assert "p_dan" not in bench.core.directory.people
    assert set(bench.core.directory.people) == {"p_ada", "p_ben", "p_cleo"}


def test_a_controller_that_was_off_counts_its_time_alone_from_the_last_line_before(tmp_path: Path) -> None:
    bench = BankBench(tmp_path).ready()
    before_ms = bench.core.state.highest_ms
    bench.clock.pass_ms(30 * HOUR_MS)
    bench.boot()
    lost = bench.of(ev.ContactLost)[-1]
    assert isinstance(lost, ev.ContactLost)
    assert lost.last_ms == before_ms
