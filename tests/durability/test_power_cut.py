"""Whatever the moment at which the power goes, the grant of every unlock that was handed out survives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Reason
from cubbyhole.edge import inputs as io
from cubbyhole.edge.core import BankCore
from cubbyhole.simulator.world.powercut import Keep
from tests.durability.scenario import Run, live, revive


class FrameBeforeCommit(BankCore):
    """A wrong core: the unlock goes out when it is decided, and the journal is written afterwards."""

    emitted: list[io.Unlock]

    def _take(self, item: io.Input, moment: Moment, effects: list[io.Effect]) -> None:
        super()._take(item, moment, effects)
        self.emitted += [e for e in effects if isinstance(e, io.Unlock) and e not in self.emitted]


def lost_grants(run: Run, folder: Path, keep: Keep, seed: int) -> set[str]:
    survivor = revive(run, folder, keep, seed)
    return {unlock.grant for unlock in run.unlocks} - survivor.grants


def all_points(folder: Path, **options: object) -> int:
    whole = live(folder, cut_at=None, **options)  # type: ignore[arg-type]
    assert len(whole.unlocks) >= 6
    assert not whole.cut
    return whole.disk.points


def cuts_that_lose_a_grant(folder: Path, points: Sequence[int], keep: Keep, **options: object) -> int:
    found = 0
    for point in points:
        run = live(folder, cut_at=point, **options)  # type: ignore[arg-type]
        assert run.cut
        found += bool(lost_grants(run, folder, keep, seed=point))
    return found


@pytest.mark.parametrize("keep", ["nothing", "everything", "some"])
def test_every_unlock_handed_out_before_any_cut_has_its_grant_on_the_disk(tmp_path: Path, keep: Keep) -> None:
    total = all_points(tmp_path)
    assert cuts_that_lose_a_grant(tmp_path, range(total), keep) == 0


@pytest.mark.parametrize("keep", ["nothing", "some"])
def test_the_same_holds_while_the_write_ahead_log_is_folded_into_the_database(tmp_path: Path, keep: Keep) -> None:
    total = all_points(tmp_path, checkpoint_pages=6)
    assert cuts_that_lose_a_grant(tmp_path, range(0, total, 2), keep, checkpoint_pages=6) == 0


def test_an_unlock_whose_outcome_was_not_written_is_settled_as_unknown_by_the_next_start(tmp_path: Path) -> None:
    total = all_points(tmp_path)
    assert any(
        revive(live(tmp_path, cut_at=point), tmp_path, "nothing", 0).settled_unknown for point in range(0, total, 3)
    )


def test_a_store_that_does_not_sync_is_caught(tmp_path: Path) -> None:
    total = all_points(tmp_path, synchronous="OFF")
    assert cuts_that_lose_a_grant(tmp_path, range(total - 40, total), "nothing", synchronous="OFF") > 0


def test_a_core_that_sends_the_frame_before_the_commit_is_caught(tmp_path: Path) -> None:
    total = all_points(tmp_path, make_core=FrameBeforeCommit)
    assert cuts_that_lose_a_grant(tmp_path, range(total // 2), "nothing", make_core=FrameBeforeCommit) > 0


def test_a_disk_that_is_full_for_a_while_denies_and_counts_and_the_bank_goes_on(tmp_path: Path) -> None:
    run = live(tmp_path, cut_at=None, taps=14, full_at=range(3, 7))
    assert run.denied.count(Reason.DISK_FULL) >= 4
    assert len(run.unlocks) >= 6
    assert lost_grants(run, tmp_path, "nothing", 0) == set()
    assert "journal.lost" in revive(run, tmp_path, "nothing", 0).types


def test_a_cut_of_the_power_while_the_disk_is_full_loses_no_grant_either(tmp_path: Path) -> None:
    total = all_points(tmp_path, full_at=range(3, 6))
    assert cuts_that_lose_a_grant(tmp_path, range(0, total, 3), "nothing", full_at=range(3, 6)) == 0
