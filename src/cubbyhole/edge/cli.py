"""The controller's commands: `cubbyhole edge` and `cubbyhole enrol`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

Folder = Annotated[
    Path,
    typer.Option("--folder", envvar="CUBBYHOLE_EDGE", help="The controller's data folder."),
]


def edge(
    folder: Folder = Path("edge"),
    config: Annotated[
        Path | None,
        typer.Option(help="Its configuration; controller.toml in the folder by default."),
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(help="Another way to the server's NATS, tls://host:port."),
    ] = None,
) -> None:
    """Run a controller: it decides every tap by itself, with or without the network."""
    import structlog

    from cubbyhole.drivers.port import DriverError
    from cubbyhole.edge import main as edge_main
    from cubbyhole.edge.config import ConfigError, load
    from cubbyhole.edge.fabric.enrol import NotEnrolled
    from cubbyhole.edge.logbook import Logbook
    from cubbyhole.edge.store import StoreBroken, StoreFull

    book = Logbook(sys.stdout)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(cast(TextIO, book)))
    try:
        asyncio.run(edge_main.run(load(config or folder / "controller.toml"), folder, nats))
    except (ConfigError, NotEnrolled, StoreFull, StoreBroken, DriverError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        book.finish()


def enrol(
    server: Annotated[str, typer.Argument(help="The address of the server's pages, http://host:port.")],
    code: Annotated[str, typer.Argument(help="The one-time code that the server made.")],
    bank: Annotated[list[str], typer.Option(help="A bank that this controller runs; once for each.")],
    folder: Folder = Path("edge"),
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Make this controller's keys known to the server, once, with a code made there."""
    from cubbyhole.edge.fabric import enrol as fabric_enrol
    from cubbyhole.edge.fabric.enrol import EnrolmentFailed
    from cubbyhole.protocol.enrolment import BadCode

    try:
        made = asyncio.run(fabric_enrol.enrol(server, code, folder, bank))
    except (BadCode, EnrolmentFailed) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    facts = {
        "controller": made.controller,
        "banks": list(made.banks),
        "nats": made.nats_url,
    }
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        typer.echo(
            f"Enrolled as {made.controller} for {', '.join(made.banks)}. Start it: cubbyhole edge --folder {folder}"
        )
