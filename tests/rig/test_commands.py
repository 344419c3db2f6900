"""``cubbyhole sim``: the commands against a running rig."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cubbyhole.simulator.cli import app
from tests.rig.process import RigProcess, rig
from tests.rig.test_the_rig import toml


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RigProcess]:
    with rig(tmp_path_factory.mktemp("sim"), toml()) as running_rig:
        yield running_rig


@pytest.fixture
def sim(process: RigProcess, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("CUBBYHOLE_SIM_SOCKET", str(process.socket))
    return CliRunner()


def test_people_tap_pull_and_push(sim: CliRunner) -> None:
    assert sim.invoke(app, ["tap", "A", "07", "04A2241B"]).output == "04A2241B at reader 07 of A\n"
    assert sim.invoke(app, ["door", "A", "07", "force"]).output == "A-07: open, secured, empty\n"
    assert sim.invoke(app, ["door", "A", "07", "close"]).output == "A-07: closed, secured, empty\n"
    assert sim.invoke(app, ["door", "A", "07", "jam"]).output == "A-07: closed, secured, empty, jammed\n"
    assert sim.invoke(app, ["cable", "A", "cut"]).output == "cable of A: cut\n"
    assert sim.invoke(app, ["cable", "A", "mend"]).output == "cable of A: mend\n"
    assert sim.invoke(app, ["fault", "A", "--drop", "0.5"]).output == "faults of A: drop=0.5\n"
    assert sim.invoke(app, ["fault", "A"]).output == "faults of A: none\n"
    assert "A-07 closed, secured, empty, jammed" in sim.invoke(app, ["state", "A"]).output


def test_facts_come_as_json(sim: CliRunner) -> None:
    facts = json.loads(sim.invoke(app, ["truth", "B", "--json"]).output)
    assert facts["bank"] == "B" and facts["pulses"] == []
    assert json.loads(sim.invoke(app, ["tap", "B", "03", "04A2", "--json"]).output)["reader"] == "bank"
    assert json.loads(sim.invoke(app, ["door", "A", "9", "fill", "--json"]).output)["occupied"] is True


def test_an_error_says_what_to_do_and_ends_with_1(sim: CliRunner, tmp_path: Path) -> None:
    refused = sim.invoke(app, ["door", "A", "08", "open"])
    assert refused.exit_code == 1 and "use force" in refused.stderr
    nobody = sim.invoke(app, ["state", "A", "--socket", str(tmp_path / "nothing")])
    assert nobody.exit_code == 1 and "start one with" in nobody.stderr
    unread = sim.invoke(app, ["rig", "--config", str(tmp_path / "nothing.toml")])
    assert unread.exit_code == 1 and "cannot be read" in unread.stderr
