"""One command line over all rooms."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from cubbyhole import __version__
from cubbyhole.cli.main import ROOMS, build


@pytest.mark.parametrize("command", ROOMS)
def test_every_command_is_there_and_explains_itself(command: str) -> None:
    result = CliRunner().invoke(build([command]), [command, "--help"])
    assert result.exit_code == 0
    assert "Not available here" not in result.output


def test_only_the_room_that_was_asked_for_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("cubbyhole.simulator")]:
        monkeypatch.delitem(sys.modules, module)
    build(["edge", "--help"])
    assert not any(name.startswith("cubbyhole.simulator") for name in sys.modules)


def test_a_room_that_cannot_be_imported_says_so_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cubbyhole.simulator.cli", None)
    broken = CliRunner().invoke(build(["sim"]), ["sim", "tap", "A", "07", "04A2"])
    assert broken.exit_code == 2
    assert "cannot run here" in broken.output
    assert CliRunner().invoke(build(["--help"]), ["edge", "--help"]).exit_code == 0


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(build([]), ["--version"]).output.strip() == __version__
