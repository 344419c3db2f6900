"""`cubbyhole demo`: two banks, about 60 people and a workbench, from nothing to a link in one command."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from cubbyhole.simulator.house import House, HouseFailed


def demo(
    home: Annotated[Path, typer.Option(envvar="CUBBYHOLE_HOME", help="Data folder.")] = Path(".cubbyhole"),
    port: Annotated[int, typer.Option(envvar="PORT", help="Port for the pages.")] = 8080,
) -> None:
    """Run a small office with simulated hardware until Ctrl-C. Everything behind the hardware is real."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    house = House(home, port, mail=True)
    try:
        house.start(lambda text: typer.echo(text))
        link = house.owner_link or house.command("owner-link", "--port", str(port))["owner_link"]
        typer.echo(f"\nCubbyhole runs at {house.url}\n\n  Sign in as owner (once):  {link}")
        typer.echo(
            f"  Hold a badge to a door:   {house.url}/workbench\n\nCtrl-C ends it; its data stays in {home}{os.sep}."
        )
        while not stop.wait(0.5):
            for name, process in (("server", house.server), ("rig", house.rig), ("mail", house.mail)):
                if process is not None and process.poll() is not None:
                    raise HouseFailed(f"the {name} has ended with {process.returncode}; see {home}{os.sep}{name}.log")
    except HouseFailed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    finally:
        house.stop()
