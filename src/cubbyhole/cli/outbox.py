"""`cubbyhole outbox`: what waits to be sent, what was given up, and trying that again."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cubbyhole.server.persistence.unit import Store

outbox = typer.Typer(no_args_is_help=True, help="Jobs behind changes (mails, alarms): list them, try again.")

Home = Annotated[Path | None, typer.Option("--home", help="Data folder; else CUBBYHOLE_HOME, else ./.cubbyhole.")]
Database = Annotated[
    str | None, typer.Option("--database-url", help="postgresql://user@host/name; else SQLite in the data folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class State(StrEnum):
    """Which jobs to list."""

    GIVEN_UP = "given_up"
    WAITING = "waiting"
    DONE = "done"


@outbox.command("list")
def list_(
    state: Annotated[State, typer.Option(help="Which ones.")] = State.GIVEN_UP,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first, at most 1000: what was given up (the default), waits, or is done."""
    from cubbyhole.server.jobs.outbox import count, listed

    with _store(home, database_url) as store, store.read() as connection:
        rows, many = listed(connection, state.value), count(connection, state.value)
    if as_json:
        typer.echo(json.dumps({"state": state.value, "count": many, "items": [asdict(row) for row in rows]}))
        return
    for row in rows:
        made = datetime.fromtimestamp(row.made_ms / 1000, UTC).isoformat(timespec="seconds")
        typer.echo(f"{row.id:>8}  {made}  {row.kind}  tries: {row.tries}  {row.note or ''}")
    if not rows:
        typer.echo(f"Nothing is {state.value.replace('_', ' ')}.")
    elif many > len(rows):
        typer.echo(f"... and {many - len(rows)} older ones")


@outbox.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Ids from the list.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Try again what was given up. A running server takes it within a second; what is too late is dropped."""
    from cubbyhole.server.jobs.outbox import try_again

    if every == bool(ids):
        typer.echo("Error: name ids from `cubbyhole outbox list`, or --all", err=True)
        raise typer.Exit(2)
    with _store(home, database_url) as store, store.write() as work:
        many = try_again(work, None if every else ids)
        work.audit(_actor(), "outbox.retried", "all" if every else " ".join(map(str, ids or []))[:120], count=many)
    typer.echo(json.dumps({"retried": many}) if as_json else f"{many} will be tried again.")
    if ids and many < len(set(ids)):
        typer.echo(f"{len(set(ids)) - many} of them were not given up.", err=True)
        raise typer.Exit(1)


@contextmanager
def _store(home: Path | None, database_url: str | None) -> Iterator[Store]:
    from cubbyhole.server.installation import open_store
    from cubbyhole.server.settings import ServerSettings, database_address, home_folder

    folder = home_folder(home)
    store = open_store(ServerSettings(home=folder, database_url=database_address(database_url, folder)))
    try:
        yield store
    finally:
        store.engine.dispose()


def _actor() -> str:
    try:
        return f"op:shell:{getpass.getuser()}"
    except (KeyError, OSError):
        return "op:shell"
