"""The server's commands: serve, import, controller, token, owner-link. Each opens the database of the data folder."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cubbyhole.domain.layout import LayoutError
from cubbyhole.server.settings import DEFAULT_PORT, ServerSettings, database_address, home_folder

Home = Annotated[Path | None, typer.Option("--home", help="Data folder; else CUBBYHOLE_HOME, else ./.cubbyhole.")]
Database = Annotated[
    str | None, typer.Option("--database-url", help="postgresql://user@host/name; else SQLite in the data folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Smtp = Annotated[
    str,
    typer.Option(
        envvar="CUBBYHOLE_SMTP",
        help="Mail server, like smtp://user:password@host:587?starttls=required or smtps://... Give a password by the "
        "environment: others on this machine can read a command line.",
    ),
]
MailFrom = Annotated[
    str, typer.Option(envvar="CUBBYHOLE_MAIL_FROM", help="Sender of mails, like 'Cubbyhole <lockers@example.com>'.")
]


def _fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _actor() -> str:
    """Who types: the account of this machine, since there is no sign-in at a shell."""
    try:
        return f"op:shell:{getpass.getuser()}"
    except (KeyError, OSError):
        return "op:shell"


def _settings(home: Path | None, database: str | None, **more: Any) -> ServerSettings:
    folder = home_folder(home)
    return ServerSettings(home=folder, database_url=database_address(database, folder), **more)


def serve(
    home: Home = None,
    database_url: Database = None,
    host: Annotated[str, typer.Option(help="Address to listen on for pages.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="Port for pages.")] = DEFAULT_PORT,
    public_url: Annotated[
        str | None, typer.Option(help="How people reach the pages, where it is not host and port.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of sites without one of their own, like Europe/Berlin.")
    ] = None,
    nats_url: Annotated[str, typer.Option(help="tls://host:port of an own NATS; else one is started here.")] = "",
    nats_host: Annotated[
        str, typer.Option(help="Address on which the started NATS listens for controllers.")
    ] = "127.0.0.1",
    nats_port: Annotated[int, typer.Option(help="Port of the started NATS; 0: one is chosen once and kept.")] = 0,
    nats_binary: Annotated[Path | None, typer.Option(help="Another nats-server program.")] = None,
    workbench: Annotated[
        Path | None, typer.Option(envvar="CUBBYHOLE_SIM_SOCKET", help="Control socket of simulated hardware.")
    ] = None,
    workbench_mail: Annotated[
        Path | None, typer.Option(envvar="CUBBYHOLE_SIM_MAIL", help="Socket of the demo's mail server.")
    ] = None,
    smtp: Smtp = "",
    mail_from: MailFrom = "",
    language: Annotated[
        str, typer.Option(envvar="CUBBYHOLE_LANGUAGE", help="Language of mail to people who chose none: en or de.")
    ] = "en",
    as_json: AsJson = False,
) -> None:
    """Run the server: pages, API, fabric, all in one process tree."""
    from cubbyhole.server.main import Server, run
    from cubbyhole.ui.words import LANGUAGES

    if language not in LANGUAGES:
        _fail(f"--language is one of {', '.join(LANGUAGES)}")
    _log_to_stderr()
    settings = _settings(
        home, database_url, host=host, port=port, public_url=public_url, timezone=timezone,
        nats_url=nats_url, nats_host=nats_host, nats_port=nats_port, nats_binary=nats_binary, workbench=workbench,
        workbench_mail=workbench_mail, smtp=smtp, mail_from=mail_from, language=language,
    )  # fmt: skip

    async def ready(server: Server) -> None:
        link = await asyncio.to_thread(server.owner_link)
        if as_json:
            typer.echo(json.dumps({"url": settings.base_url, "owner_link": link, "pid": os.getpid()}))
        else:
            typer.echo(f"Cubbyhole is at {settings.base_url}")
            if link is not None:
                typer.echo(f"Nobody owns it yet. Open this once to become its owner:\n  {link}")
        sys.stdout.flush()

    try:
        asyncio.run(run(settings, ready))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        if os.environ.get("CUBBYHOLE_TRACE"):
            raise
        _fail(f"The server did not start: {error}")


def import_people(
    file: Annotated[Path, typer.Argument(help="CSV with the columns name, email, number, groups, badges, locker.")],
    home: Home = None,
    database_url: Database = None,
    dry_run: Annotated[bool, typer.Option("--preview", "--dry-run", help="Only say what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import people, groups, badges and lockers held today: all of the file or nothing of it."""
    from cubbyhole.server.installation import open_store
    from cubbyhole.server.keys import load_or_make
    from cubbyhole.server.people.importing import Plan, carry_out, plan_import
    from cubbyhole.server.people.table import TableError, read_table

    settings = _settings(home, database_url)
    try:
        table = read_table(file.read_bytes())
    except (OSError, TableError) as error:
        _report_failure(as_json, f"{file}: {error}. Nothing was imported.")
    store = open_store(settings)
    sealing = load_or_make(settings.keys / "sealing.key")
    plan = Plan()

    class _Undo(Exception):
        """Leaves the transaction without a change."""

    try:
        # Compared and carried out in one transaction: nothing can change in between.
        with store.write() as work:
            plan = plan_import(work.connection, sealing, table, _actor())
            if plan.complaints or dry_run:
                raise _Undo
            carry_out(work, sealing, plan, _actor())
    except _Undo:
        pass
    lines = [
        {"line": complaint.line, "column": complaint.column, "why": complaint.why} for complaint in plan.complaints
    ]
    done = not plan.complaints and not dry_run
    if as_json:
        typer.echo(json.dumps({"imported": done, "dry_run": dry_run, **plan.summary(), "wrong": lines}))
    else:
        for complaint in plan.complaints:
            typer.echo(str(complaint), err=True)
        if plan.complaints:
            typer.echo(f"{len(plan.complaints)} wrong; nothing was imported.", err=True)
        else:
            said = "Imported" if done else "Would import"
            typer.echo(
                f"{said} {plan.added} new people, {plan.changed} changed, {plan.unchanged} as they were, "
                f"{len(plan.badges)} new badges, {len(plan.orders)} lockers held today."
            )
    if plan.complaints:
        raise typer.Exit(1)


controller = typer.Typer(help="Controllers: one-time codes, list, removal.", no_args_is_help=True)
token = typer.Typer(help="Tokens for programs.", no_args_is_help=True)


@controller.command("code")
def controller_code(
    banks: Annotated[list[str], typer.Argument(help="The banks that the new controller will run.")],
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a one-time code for enrolling a controller."""
    from cubbyhole.server.banks.controllers import CODE_VALID_MS, create_code
    from cubbyhole.server.fabric import authority
    from cubbyhole.server.installation import open_store

    settings = _settings(home, database_url)
    store = open_store(settings)
    known = authority.load_or_make(settings.keys)
    try:
        with store.write() as work:
            code = create_code(work, known.fingerprint, tuple(banks), _actor())
    except LayoutError as error:
        _report_failure(as_json, str(error))
    _say(as_json, {"code": code, "banks": banks, "valid_h": CODE_VALID_MS // 3_600_000}, lambda: code)


@controller.command("list")
def controller_list(home: Home = None, database_url: Database = None, as_json: AsJson = False) -> None:
    """List controllers and their banks."""
    from cubbyhole.server.banks.controllers import list_controllers
    from cubbyhole.server.installation import open_store

    with open_store(_settings(home, database_url)).read() as connection:
        found = list_controllers(connection)
    views = [
        {"controller": c.controller, "banks": list(c.banks), "enrolled_ms": c.enrolled_ms, "removed_ms": c.removed_ms}
        for c in found
    ]
    lines = [
        f"{c.controller}  {', '.join(c.banks) or '(no bank)'}{'  removed' if c.removed_ms is not None else ''}"
        for c in found
    ]
    _say(as_json, views, lambda: "\n".join(lines) or "No controller is enrolled.")


@controller.command("remove")
def controller_remove(
    name: Annotated[str, typer.Argument(help="ctl_... as in the list.")],
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Cut a controller off at once and for good."""
    from cubbyhole.server.banks.controllers import remove
    from cubbyhole.server.installation import open_store

    with open_store(_settings(home, database_url)).write() as work:
        removed = remove(work, name, _actor())
    if not removed:
        _report_failure(as_json, f"There is no enrolled controller {name}; see `cubbyhole controller list`.")
    _say(as_json, {"removed": name}, lambda: f"{name} is removed; a running server cuts it off within a second.")


@token.command("create")
def token_create(
    title: Annotated[str, typer.Argument(help="What it is for; shown in the records.")],
    scope: Annotated[list[str] | None, typer.Option(help="read, operate, admin; may be repeated.")] = None,
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for a program. It is shown once."""
    from cubbyhole.server.auth.tokens import TokenError, create, parse_scopes
    from cubbyhole.server.installation import open_store

    try:
        with open_store(_settings(home, database_url)).write() as work:
            text = create(work, title, parse_scopes(scope or ["read"]), _actor())
    except TokenError as error:
        _report_failure(as_json, str(error))
    _say(as_json, {"token": text, "title": title, "scopes": scope or ["read"]}, lambda: text)


@token.command("revoke")
def token_revoke(
    prefix: Annotated[str, typer.Argument(help="cbh_ and 8 letters: how the token begins.")],
    home: Home = None,
    database_url: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a token void at once."""
    from cubbyhole.server.auth.tokens import revoke
    from cubbyhole.server.installation import open_store

    with open_store(_settings(home, database_url)).write() as work:
        revoked = revoke(work, prefix, _actor())
    if not revoked:
        _report_failure(as_json, f"There is no token {prefix}.")
    _say(as_json, {"revoked": prefix}, lambda: f"{prefix} is void.")


def owner_link(
    home: Home = None,
    database_url: Database = None,
    port: Annotated[int, typer.Option(envvar="PORT", help="Port of the pages.")] = DEFAULT_PORT,
    public_url: Annotated[str | None, typer.Option(help="How people reach the pages.")] = None,
    as_json: AsJson = False,
) -> None:
    """A fresh one-time link for an owner: the first one, or one who lost their password."""
    from cubbyhole.server.auth.owner_link import make
    from cubbyhole.server.installation import open_store

    settings = _settings(home, database_url, port=port, public_url=public_url)
    with open_store(settings).write() as work:
        link = f"{settings.base_url}/owner/{make(work, _actor())}"
    _say(as_json, {"owner_link": link}, lambda: link)


def _say(as_json: bool, facts: Any, text: Callable[[], str]) -> None:
    typer.echo(json.dumps(facts) if as_json else text())


def _report_failure(as_json: bool, message: str) -> NoReturn:
    if as_json:
        typer.echo(json.dumps({"error": message}))
        raise typer.Exit(1)
    _fail(message)


def _log_to_stderr() -> None:
    """Plain lines on stderr, so that stdout has only what a program may read."""
    import structlog

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
