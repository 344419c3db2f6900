"""`cubbyhole account`: who has which role, for whoever can run commands on the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cubbyhole.server.cli import AsJson, Database, Home, _actor, _report_failure, _say, _settings

if TYPE_CHECKING:
    from cubbyhole.server.persistence.unit import Store

account = typer.Typer(help="Accounts: list, roles, removal.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(help="E-mail address, or the account's name as in the list.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


@account.command("list")
def account_list(
    staff: Annotated[bool, typer.Option("--staff", help="Only those with more than a person's rights.")] = False,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """List accounts with their roles."""
    from cubbyhole.server.auth.appointments import appointments, place_text

    with _opened(home, database_url) as store, store.read() as connection:
        found = appointments(connection, staff_only=staff)
    views = [
        {
            "account": one.account, "name": one.name, "role": one.role.value,
            "places": [place_text(place) for place in one.places], "address": one.address, "rests": one.rests,
            "has_left": one.has_left,
        }
        for one in found
    ]  # fmt: skip
    lines = []
    for one in found:
        where = f" at {', '.join(place_text(place) for place in one.places)}" if one.places else ""
        rests = "  (the address has changed since: give the role again)" if one.rests else ""
        left = "  (has left)" if one.has_left else ""
        lines.append(f"{one.address or one.account}  {one.name}  {one.role.value}{where}{rests}{left}")
    _say(as_json, views, lambda: "\n".join(lines) or "Nobody has signed in yet.")


@account.command("role")
def account_role(
    who: Who,
    role: Annotated[
        str, typer.Argument(help="person, reception, area_manager, manager, it, auditor or owner.", metavar="ROLE")
    ],
    reason: Why,
    at: Annotated[
        list[str] | None,
        typer.Option(help="For reception and area managers: 'Site' or 'Site / Area'; may be repeated."),
    ] = None,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Give somebody a role. Their sessions end; they sign in again with the new rights."""
    from cubbyhole.server.auth.appointments import RoleRefused, appoint, parse_place, place_text
    from cubbyhole.server.auth.roles import Role

    try:
        wanted = Role(role.strip().lower().replace("-", "_"))
    except ValueError:
        _report_failure(as_json, f"There is no role {role!r}; there are {', '.join(Role)}.")
    places = [parse_place(text) for text in at or ()]
    try:
        with _opened(home, database_url) as store, store.write() as work:
            found = appoint(work, who, wanted, places, reason, _actor())
    except RoleRefused as error:
        _report_failure(as_json, str(error))
    where = [place_text(place) for place in places]
    _say(
        as_json, {"account": found.account, "name": found.name, "role": found.role.value, "places": where},
        lambda: f"{found.name} is {found.role.value} now{', at ' + ', '.join(where) if where else ''}.",
    )  # fmt: skip


@account.command("remove")
def account_remove(
    who: Who, reason: Why, home: Home = None, database_url: Database = None, as_json: AsJson = False
) -> None:
    """Remove an account with its sessions, passkeys and password."""
    from cubbyhole.server.auth.appointments import RoleRefused, remove

    try:
        with _opened(home, database_url) as store, store.write() as work:
            removed = remove(work, who, reason, _actor())
    except RoleRefused as error:
        _report_failure(as_json, str(error))
    _say(as_json, {"removed": removed}, lambda: f"{removed} is removed; somebody of the directory may come again.")


@contextmanager
def _opened(home: Path | None, database_url: str | None) -> Iterator[Store]:
    from cubbyhole.server.installation import open_store

    store = open_store(_settings(home, database_url))
    try:
        yield store
    finally:
        store.engine.dispose()
