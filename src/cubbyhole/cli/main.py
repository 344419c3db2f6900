"""`cubbyhole`: one command line over all rooms of the house.

Each room keeps its own commands; this file only says where they are. A room is imported when its command is asked for,
so a controller never loads the server, and `cubbyhole sim tap` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from cubbyhole import __version__


@dataclass(frozen=True, slots=True)
class Room:
    """Where a command lives: a module, and in it a function or a Typer app of subcommands."""

    module: str
    attribute: str


ROOMS: dict[str, Room] = {
    "demo": Room("cubbyhole.cli.demo", "demo"),
    "serve": Room("cubbyhole.server.cli", "serve"),
    "edge": Room("cubbyhole.edge.cli", "edge"),
    "enrol": Room("cubbyhole.edge.cli", "enrol"),
    "controller": Room("cubbyhole.server.cli", "controller"),
    "import": Room("cubbyhole.server.cli", "import_people"),
    "token": Room("cubbyhole.server.cli", "token"),
    "account": Room("cubbyhole.cli.account", "account"),
    "owner-link": Room("cubbyhole.server.cli", "owner_link"),
    "outbox": Room("cubbyhole.cli.outbox", "outbox"),
    "mail": Room("cubbyhole.cli.mail", "mail"),
    "audit": Room("cubbyhole.cli.audit", "audit"),
    "sim": Room("cubbyhole.simulator.cli", "app"),
    "world": Room("cubbyhole.simulator.world.cli", "world"),
}


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Smart lockers for workplaces."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line that these arguments need: one room, or all of them where the help is asked for.

    A room that cannot be imported says so when it is called and leaves the others alone.
    """
    app = typer.Typer(name="cubbyhole", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    for name, room in ROOMS.items():
        if asked not in ROOMS or asked == name:
            _add(app, name, room)
    return app


def _add(app: typer.Typer, name: str, room: Room) -> None:
    try:
        command: Any = getattr(importlib.import_module(room.module), room.attribute)
    except (ImportError, AttributeError) as error:
        _add_missing(app, name, f"`cubbyhole {name}` cannot run here: {error}.")
        return
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _add_missing(app: typer.Typer, name: str, why: str) -> None:
    anything = {"allow_extra_args": True, "ignore_unknown_options": True}

    @app.command(name, context_settings=anything, help="Not available here.")
    def missing() -> None:
        typer.echo(why, err=True)
        raise typer.Exit(2)


def main() -> None:
    """The console script. A library that is missing here is said as plainly as a room that is."""
    try:
        build(sys.argv[1:])()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __package__.partition(".")[0]:
            raise
        typer.echo(f"`cubbyhole {' '.join(sys.argv[1:2])}` cannot run here: {error}.", err=True)
        sys.exit(2)
