"""The bench's arithmetic and its refusals. What the figures are is the machine's affair, and `make bench`'s."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench
from bench import __main__ as command
from bench.figure import Figure, NoRealDisk, NotMeasured, check_disk, median, quantile

_NOT_BENCHES = {"__init__", "__main__", "bare", "figure", "remote_bank"}


def figure(
    value: float | None, limit: float | None = 10.0, *, goal: float | None = 2.0, at_least: bool = False
) -> Figure:
    return Figure(
        name="F0", unit="ms", value=value, limit=limit, limit_is="a limit", span="from here → to there", goal=goal,
        at_least=at_least,
    )  # fmt: skip


def test_a_time_holds_up_to_its_goal_and_not_beyond() -> None:
    assert figure(20.0).ratio == 2.0
    assert figure(20.0).holds is True
    assert figure(20.1).holds is False


def test_a_throughput_holds_from_its_goal_on() -> None:
    assert figure(7.0, goal=0.7, at_least=True).holds is True
    assert figure(6.9, goal=0.7, at_least=True).holds is False


@pytest.mark.parametrize("unmeasured", [figure(None), figure(1.0, None), figure(1.0, 0.0), figure(1.0, goal=None)])
def test_what_was_not_measured_or_not_promised_neither_holds_nor_fails(unmeasured: Figure) -> None:
    assert unmeasured.holds is None


def test_a_line_names_value_limit_goal_and_both_end_points() -> None:
    line = json.loads(figure(12.3456).as_json())
    assert line == {
        "name": "F0", "unit": "ms", "value": 12.346, "limit": 10.0, "ratio": 1.235, "goal": 2.0,
        "goal_is": "at most", "holds": True, "limit_is": "a limit", "span": "from here → to there",
    }  # fmt: skip


def test_the_99th_percentile_of_a_hundred_is_the_last_but_one() -> None:
    assert quantile([float(n) for n in range(100, 0, -1)], 0.99) == 99.0
    assert quantile([5.0], 0.99) == 5.0
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_a_folder_in_memory_is_refused_and_one_on_a_disk_is_taken(tmp_path: Path) -> None:
    fast, mounts = tmp_path / "fast", tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\ntmpfs {fast.resolve()} tmpfs rw 0 0\n")
    check_disk(tmp_path, mounts)
    check_disk(tmp_path / "faster", mounts)
    for folder in (fast, fast / "below"):
        with pytest.raises(NoRealDisk, match="set BENCH_FOLDER to a folder on a real disk"):
            check_disk(folder, mounts)


def test_the_command_ends_with_2_where_the_disk_is_none_and_runs_no_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise NoRealDisk("in memory")

    monkeypatch.setattr(command, "bench_folder", refuse)
    monkeypatch.setattr(command, "BENCHES", {"one": lambda folder: pytest.fail("it ran")})
    assert command.main([]) == 2


@pytest.mark.parametrize(("value", "code"), [(19.0, 0), (None, 0), (21.0, 1)])
def test_the_command_ends_with_1_when_a_goal_is_missed(
    value: float | None, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "bench_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "BENCHES", {"one": lambda folder: [figure(value)]})
    assert command.main([]) == code
    assert json.loads(capsys.readouterr().out)["value"] == value


def test_a_bench_that_could_not_run_counts_as_missed_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(folder: Path) -> list[Figure]:
        raise NotMeasured("the rig did not start")

    monkeypatch.setattr(command, "bench_folder", lambda: tmp_path)
    monkeypatch.setattr(command, "BENCHES", {"one": fails, "two": lambda folder: [figure(1.0)]})
    assert command.main([]) == 1
    said = capsys.readouterr()
    assert "one: the rig did not start" in said.err
    assert json.loads(said.out)["name"] == "F0"


def test_every_bench_is_registered() -> None:
    files = {file.stem for file in Path(bench.__file__ or "").parent.glob("*.py")}
    assert set(command.BENCHES) == files - _NOT_BENCHES


def test_a_bench_that_does_not_exist_is_named_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["nothing"]) == 2
    assert "decisions" in capsys.readouterr().err
