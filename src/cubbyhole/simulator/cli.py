"""``cubbyhole sim``: run simulated hardware, and be the people in front of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cubbyhole.simulator.rig.client import RigError, ask, find_socket

app = typer.Typer(no_args_is_help=True, help="Simulated hardware: boards, readers, doors, cables, power.")

Socket = Annotated[
    Path | None, typer.Option("--socket", help="The rig's control socket [CUBBYHOLE_SIM_SOCKET, or sim.sock at home].")
]
Json = Annotated[bool, typer.Option("--json", help="Print the facts as one JSON object.")]
BankId = Annotated[str, typer.Argument(metavar="BANK")]


@app.command()
def rig(
    config: Annotated[Path, typer.Option("--config", help="What to simulate (rig.toml).")],
    socket: Socket = None,
) -> None:
    """Simulate the hardware of rig.toml until Ctrl-C."""
    from cubbyhole.simulator.rig.run import run_rig
    from cubbyhole.simulator.rig.table import SettingsError

    place = find_socket(socket)
    try:
        run_rig(config, place, lambda: typer.echo(f"rig ready at {place}"))
    except SettingsError as error:
        _fail(str(error))


@app.command()
def mail(
    port: Annotated[int, typer.Option(help="Port for SMTP, on the loopback interface.")],
    socket: Annotated[Path, typer.Option("--socket", help="Unix socket at which it shows what arrived.")],
) -> None:
    """Be a mail server that takes every mail and keeps the last 200, until Ctrl-C. Nothing leaves this machine."""
    try:
        from cubbyhole.simulator.mail_sink import run_mail_sink
    except ModuleNotFoundError as error:
        _fail(f"{error}: install cubbyhole[demo]")
    try:
        run_mail_sink(port, socket)
    except OSError as error:
        _fail(f"cannot listen at {port} and {socket}: {error.strerror or error}")


@app.command()
def tap(
    bank: BankId,
    door: Annotated[str, typer.Argument(metavar="DOOR", help="A locker's number, or bank for the shared reader.")],
    badge: Annotated[str, typer.Argument(metavar="BADGE", help="The line that the reader sends.")] = "",
    raw: Annotated[str, typer.Option("--raw", help="Bytes in hex, sent as they are, instead of a badge.")] = "",
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Hold a badge against a door's reader."""
    what = {"raw": raw} if raw else {"badge": badge}
    facts = _ask(socket, {"do": "tap", "bank": bank, "door": door, **what})
    _show(facts, as_json, f"{facts.get('badge')} at reader {facts.get('reader')} of {bank}")


@app.command()
def door(
    bank: BankId,
    door: Annotated[str, typer.Argument(metavar="DOOR")],
    act: Annotated[str, typer.Argument(metavar="ACT", help="open, close, force, jam, unjam, fill or empty.")],
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Put a hand on a door. ``open`` works only while its lock is released; ``force`` always."""
    facts = _ask(socket, {"do": "door", "bank": bank, "door": door, "act": act})
    jammed = ", jammed" if facts.get("jammed") else ""
    contents = "occupied" if facts.get("occupied") else "empty"
    _show(facts, as_json, f"{bank}-{facts.get('locker')}: {facts.get('door')}, {facts.get('lock')}, {contents}{jammed}")


@app.command()
def cable(
    bank: BankId,
    act: Annotated[str, typer.Argument(metavar="ACT", help="cut or mend.")],
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Cut or mend the network cable of a bank."""
    _show(_ask(socket, {"do": "cable", "bank": bank, "act": act}), as_json, f"cable of {bank}: {act}")


@app.command()
def power(
    bank: BankId,
    act: Annotated[str, typer.Argument(metavar="ACT", help="off or on.")],
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Take the power of a bank, controller and boards at once, or give it back."""
    _show(_ask(socket, {"do": "power", "bank": bank, "act": act}), as_json, f"power of {bank}: {act}")


@app.command()
def fault(
    bank: BankId,
    bus: Annotated[str | None, typer.Option("--bus", help="Which bus, or reader:DOOR to unplug a reader.")] = None,
    drop: Annotated[float, typer.Option("--drop", help="Chance that a request or its reply is lost.")] = 0.0,
    corrupt: Annotated[float, typer.Option("--corrupt", help="Chance that one byte of either is changed.")] = 0.0,
    noise: Annotated[float, typer.Option("--noise", help="Chance of stray bytes before a reply.")] = 0.0,
    delay_ms: Annotated[int, typer.Option("--delay-ms", help="Replies come so much later.")] = 0,
    absent: Annotated[bool, typer.Option("--absent", help="The boards are silent.")] = False,
    unplugged: Annotated[bool, typer.Option("--unplugged", help="The port vanishes.")] = False,
    direction: Annotated[str, typer.Option("--direction", help="both, request or reply.")] = "both",
    seed: Annotated[int, typer.Option("--seed")] = 0,
    socket: Socket = None,
    as_json: Json = False,
) -> None:
    """Set what is wrong with a bus; whatever is not named becomes right again."""
    wanted: dict[str, object] = {
        "drop": drop,
        "corrupt": corrupt,
        "noise": noise,
        "delay_ms": delay_ms,
        "absent": absent,
        "unplugged": unplugged,
        "direction": direction,
        "seed": seed,
    }
    facts = _ask(socket, {"do": "fault", "bank": bank, "bus": bus, **wanted})
    faults = facts.get("faults")
    wrong = {name: value for name, value in faults.items() if value} if isinstance(faults, dict) else {}
    quiet = {name: value for name, value in wrong.items() if name not in ("direction", "seed")}
    _show(facts, as_json, f"faults of {bank}: {', '.join(f'{k}={v}' for k, v in quiet.items()) or 'none'}")


@app.command()
def truth(bank: BankId, socket: Socket = None, as_json: Json = False) -> None:
    """What the boards themselves recorded: every unlock pulse and every tap."""
    facts = _ask(socket, {"do": "truth", "bank": bank})
    lines = [
        f"{pulse['at_ms']} {bank}-{pulse['locker']} {pulse['pulse_ms']} ms, latch {_latch(pulse)}"
        for pulse in _rows(facts.get("pulses"))
    ]
    _show(facts, as_json, "\n".join(lines) or f"no pulse at {bank} yet")


@app.command()
def state(bank: BankId, socket: Socket = None, as_json: Json = False) -> None:
    """What one would see on looking at the bank."""
    facts = _ask(socket, {"do": "state", "bank": bank})
    lockers = facts.get("lockers")
    lines = [f"power {facts.get('power')}"]
    for number, locker in lockers.items() if isinstance(lockers, dict) else ():
        words = [locker["door"], locker["lock"], "occupied" if locker["occupied"] else "empty"]
        words += [word for word in ("light", "jammed") if locker[word]]
        lines.append(f"{bank}-{number} {', '.join(words)}")
    _show(facts, as_json, "\n".join(lines))


def _latch(pulse: Mapping[str, object]) -> str:
    return "released" if pulse["released"] else "held"


def _rows(value: object) -> list[Mapping[str, object]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _ask(socket: Path | None, request: dict[str, object]) -> dict[str, object]:
    try:
        return ask(find_socket(socket), request)
    except RigError as error:
        _fail(str(error))


def _show(facts: dict[str, object], as_json: bool, text: str) -> None:
    typer.echo(json.dumps(facts) if as_json else text)


def _fail(text: str) -> NoReturn:
    typer.echo(f"Error: {text}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
