"""What `cubbyhole serve` needs to know before it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PORT = 8080
DEFAULT_HOME = ".cubbyhole"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """``nats_url`` empty: an own nats-server is started at ``nats_port`` (0: the operating system chooses once).

    ``workbench`` is the control socket of the simulated hardware, ``workbench_mail`` that of the demo's mail server;
    None: there is none.
    """

    home: Path
    database_url: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    public_url: str | None = None
    timezone: str | None = None  # as it was, or this machine's at the first start
    nats_url: str = ""
    nats_host: str = "127.0.0.1"
    nats_port: int = 0
    nats_binary: Path | None = None
    fabric_names: tuple[str, ...] = ()
    workbench: Path | None = None
    workbench_mail: Path | None = None
    smtp: str = field(default="", repr=False)  # as `integrations.mail.smtp` reads it; empty: there is no mail server
    mail_from: str = ""
    language: str = "en"  # of mails to people who have chosen none
    banner: tuple[str, ...] = field(default=())

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def base_url(self) -> str:
        """Where people find the pages."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return self.public_url or f"http://{host}:{self.port}"


def home_folder(given: Path | None) -> Path:
    """The data folder: as given, else CUBBYHOLE_HOME, else ./.cubbyhole."""
    return given if given is not None else Path(os.environ.get("CUBBYHOLE_HOME") or DEFAULT_HOME)


def database_address(given: str | None, home: Path) -> str:
    """The database: as given, else CUBBYHOLE_DATABASE_URL, else SQLite in the data folder."""
    found = given or os.environ.get("CUBBYHOLE_DATABASE_URL")
    return found or f"sqlite:///{home.absolute() / 'cubbyhole.db'}"


def local_timezone() -> str:
    """The time zone of this machine by name; UTC where it has none."""
    zone = os.environ.get("TZ")
    if zone:
        return zone.lstrip(":")
    try:
        target = str(Path("/etc/localtime").resolve(strict=True))
    except OSError:
        return "UTC"
    return target.partition("/zoneinfo/")[2] or "UTC"
