"""One command line over all rooms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cubbyhole import __version__
from cubbyhole.cli import main
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


def test_a_library_that_is_missing_is_said_and_an_error_of_our_own_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_without(name: str) -> None:
        def command() -> None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(main, "build", lambda arguments: command)
        main.main()

    monkeypatch.setattr(sys, "argv", ["cubbyhole", "edge"])
    with pytest.raises(SystemExit) as ended:
        run_without("pymodbus.client")
    assert ended.value.code == 2
    assert "`cubbyhole edge` cannot run here: No module named 'pymodbus.client'" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        run_without("cubbyhole.no_such_room")


def typed(*commands: list[str]) -> list[dict[str, object]]:
    """What one process answers to several command lines."""
    asked = "".join(json.dumps(command) + "\n" for command in commands)
    program = [sys.executable, "-m", "cubbyhole.cli.several"]
    ran = subprocess.run(program, input=asked, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_several_commands_in_one_process_end_and_print_as_they_would_by_themselves(tmp_path: Path) -> None:
    home = ["--home", str(tmp_path), "--json"]
    version, wrong, made, again = typed(
        ["--version"], ["no-such-room"], ["token", "create", "x", *home], ["token", "create", "x", *home]
    )
    assert (version["code"], str(version["out"]).strip()) == (0, __version__)
    assert (wrong["code"], wrong["out"]) == (2, "") and "no-such-room" in str(wrong["err"])
    assert made["code"] == 0 and json.loads(str(made["out"]))["token"].startswith("cbh_")
    assert again["code"] == 1 and "choose another" in str(again["out"])


def test_a_short_command_does_not_load_what_only_the_server_needs(tmp_path: Path) -> None:
    program = (
        "import sys; from cubbyhole.cli.several import run; "
        f"made = run(['token', 'create', 'x', '--home', {str(tmp_path)!r}]); assert made['code'] == 0, made; "
        "print(sorted({'fastapi', 'jinja2', 'uvicorn', 'nats', 'structlog'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
