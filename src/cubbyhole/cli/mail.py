"""`cubbyhole mail test`: whether mail goes out with these settings, before anybody relies on it."""

from __future__ import annotations

import json
import secrets
import time
from typing import Annotated

import typer

mail = typer.Typer(no_args_is_help=True, help="Mail: try the settings.")


@mail.callback()
def _mail() -> None:
    """So that `test` keeps its name, also as the only command."""


@mail.command("test")
def try_out(
    address: Annotated[str, typer.Argument(help="Where to send the test to.")],
    smtp: Annotated[
        str, typer.Option(envvar="CUBBYHOLE_SMTP", help="Mail server, as for `cubbyhole serve`.")
    ] = "",
    mail_from: Annotated[str, typer.Option(envvar="CUBBYHOLE_MAIL_FROM", help="Sender.")] = "",
    language: Annotated[str, typer.Option(envvar="CUBBYHOLE_LANGUAGE", help="en or de.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one test mail now. Ends with 1 and the reason where the mail server does not take it."""
    from cubbyhole.integrations.mail.smtp import MailSettingsError, make_transport
    from cubbyhole.server.notices.letters import letter_of_test
    from cubbyhole.server.notices.mail import Mail, MailNotSent
    from cubbyhole.ui.mail import MailRenderer
    from cubbyhole.ui.words import Words

    try:
        transport = make_transport(smtp, mail_from)
        if transport is None:
            raise MailSettingsError("no mail server is given: --smtp or CUBBYHOLE_SMTP, as for `cubbyhole serve`")
        words = Words(language)
        drawn = MailRenderer().draw(letter_of_test(words), words)
        transport.send(Mail(address, "", drawn, f"test.{secrets.token_hex(8)}", time.time_ns() // 1_000_000))
    except (MailSettingsError, MailNotSent) as error:
        typer.echo(json.dumps({"sent": False, "why": str(error)}) if as_json else f"Error: {error}", err=not as_json)
        raise typer.Exit(1) from None
    where = transport.settings.shown
    said = f"{where} has taken the mail for {address}. Whether it arrives, only the mailbox can tell."
    typer.echo(json.dumps({"sent": True, "server": where, "to": address}) if as_json else said)
