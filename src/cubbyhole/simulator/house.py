"""Starts a whole small office as real processes: server, rig, and a controller for each bank that the rig powers.

Everything goes through the commands that a person would type. What is once set up in the folder is found again at
the next start: the same people, the same keys, the same journals.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cubbyhole.simulator.office import (
    LOBBY,
    STUDIO,
    BankPlan,
    Worker,
    controller_toml,
    people_csv,
    rig_toml,
    workers,
)
from cubbyhole.simulator.rig.client import ask

START_S = 90.0  # on the slowest machine, under load
STOP_S = 10.0
COMMAND_S = 60.0
MAIL_FROM = "Cubbyhole <lockers@kestrel.example>"
_PR_SET_PDEATHSIG = 1


class HouseFailed(Exception):
    """Something of the house did not start; the message says which part and shows the end of its log."""


class House:
    """One office in one folder. `start`, use `sim` and `get`, `stop`.

    ``programs`` names what runs instead of `cubbyhole` as a bank's controller (by the bank's id) or as the ``server``.
    ``mail``: it has a mail server of its own, and the server sends to it.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        banks: Sequence[BankPlan] = (LOBBY, STUDIO),
        staff: Sequence[Worker] | None = None,
        *,
        database_url: str | None = None,
        auto_close_s: float = 0.0,
        held_open_ms: int = 120_000,
        programs: Mapping[str, Sequence[str]] = MappingProxyType({}),
        mail: bool = False,
    ) -> None:
        self.folder, self.port, self.banks = folder.resolve(), port, tuple(banks)
        self.staff = tuple(workers() if staff is None else staff)
        self._programs = programs
        self._database, self._auto_close_s, self._held_open_ms = database_url, auto_close_s, held_open_ms
        self.socket = self.folder / "sim.sock"
        self.server: subprocess.Popen[bytes] | None = None
        self.rig: subprocess.Popen[bytes] | None = None
        self.mail: subprocess.Popen[bytes] | None = None
        self._has_mail, self.mail_socket = mail, self.folder / "mail.sock"
        self._shell: subprocess.Popen[bytes] | None = None
        self.owner_link: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Bring everything up and wait until every bank is online. Raises HouseFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            if self._has_mail:
                self.start_mail()
            self.start_server()
            if not (self.folder / "people.csv").exists():
                say("Setting up the office: people, banks, keys.")
                self._move_in()
            self.start_rig()
            self.wait(lambda: self._online() >= {plan.id for plan in self.banks}, "the banks to come online")
        except BaseException:
            self.stop()
            raise

    def start_server(self) -> None:
        """Start the server and wait until it is ready."""
        known = self._facts()
        arguments = ["serve", "--port", str(self.port), "--nats-port", str(known["nats_port"]), "--json"]
        if self._database:
            arguments += ["--database-url", self._database]
        if self._has_mail:
            smtp = f"smtp://127.0.0.1:{known['mail_port']}?starttls=off"  # it stays on this machine
            arguments += ["--smtp", smtp, "--mail-from", MAIL_FROM, "--workbench-mail", str(self.mail_socket)]
        log = self.folder / "server.log"
        self.server = self._spawn([*self._program("server"), *arguments], log, subprocess.PIPE)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        if not line:
            self.server.wait()
            raise HouseFailed(f"the server did not start:\n{_tail(log)}")
        self.owner_link = json.loads(line)["owner_link"]
        self.wait(lambda: self._status("/readyz") == 200, "the server to be ready")

    def start_mail(self) -> None:
        """Start the mail server and wait until it shows what arrived."""
        self.mail_socket.unlink(missing_ok=True)
        command = ["sim", "mail", "--port", str(self._facts()["mail_port"]), "--socket", str(self.mail_socket)]
        self.mail = self._spawn([*_cubbyhole(), *command], self.folder / "mail.log")
        self.wait(self.mail_socket.exists, "the mail server")

    def start_rig(self) -> None:
        """Start the simulated hardware, which starts the controllers."""
        log = self.folder / "rig.log"
        self.rig = self._spawn([*_cubbyhole(), "sim", "rig", "--config", str(self.folder / "rig.toml")], log)
        self.wait(self.socket.exists, "the rig")

    def stop(self) -> None:
        """End every process, the hardware first."""
        for process in (self.rig, self.server, self.mail, self._shell):
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process in (self.rig, self.server, self.mail, self._shell):
            for pipe in (process.stdin, process.stdout) if process is not None else ():
                if pipe is not None:
                    pipe.close()
        self.rig = self.server = self.mail = self._shell = None

    def wait(self, done: Callable[[], bool], what: str, limit_s: float = START_S) -> None:
        """Wait until ``done``. Raises HouseFailed with the logs' ends after ``limit_s`` or when a process has died."""
        end = time.monotonic() + limit_s
        while not done():
            dead = [p for p in (self.server, self.rig, self.mail) if p is not None and p.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(f"--- {log.name}\n{_tail(log)}" for log in sorted(self.folder.glob("*.log")))
                raise HouseFailed(f"waited {limit_s:.0f} s in vain for {what}\n{logs}")
            time.sleep(0.05)

    # -- use ----------------------------------------------------------------------------------------------------

    def sim(self, do: str, **request: object) -> dict[str, Any]:
        """Ask the rig. Raises RigError."""
        return ask(self.socket, {"do": do, **request})

    def get(self, path: str) -> Any:
        """JSON of a GET on the API, with a token of this house."""
        return self._http("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        """JSON of a POST on the API, with a token of this house."""
        return self._http("POST", path, json.dumps(body).encode())

    def command(self, *arguments: str) -> Any:
        """Run a command of `cubbyhole` in this house and return what it prints as JSON. Raises HouseFailed."""
        # One process for all of them: a house is set up by many short commands, and loading takes most of their time.
        shell = self._shell
        if shell is None or shell.poll() is not None:
            shell = self._shell = self._spawn(
                [sys.executable, "-m", "cubbyhole.cli.several"], self.folder / "shell.log", subprocess.PIPE,
                stdin=subprocess.PIPE,
            )  # fmt: skip
        assert shell.stdin is not None and shell.stdout is not None
        shell.stdin.write(json.dumps([*arguments, "--json"]).encode() + b"\n")
        shell.stdin.flush()
        answered, _, _ = select.select([shell.stdout], [], [], COMMAND_S)
        line = shell.stdout.readline() if answered else b""
        if not line:
            shell.kill()
            raise HouseFailed(f"cubbyhole {' '.join(arguments)}: no answer\n{_tail(self.folder / 'shell.log')}")
        ran = json.loads(line)
        if ran["code"]:
            raise HouseFailed(f"cubbyhole {' '.join(arguments)}: {ran['out']}{ran['err']}")
        return json.loads(ran["out"])

    def edge_folder(self, bank: str) -> Path:
        return self.folder / "edge" / bank

    def journal_of(self, bank: str) -> Path:
        return self.edge_folder(bank) / f"bank-{bank}.db"

    def _http(self, method: str, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Authorization", f"Bearer {self._api_token()}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.load(answer)

    def _api_token(self) -> str:
        """This house's own token, made once and kept in the folder."""
        kept = self.folder / "token"
        if not kept.exists():
            made = self.command("token", "create", "house", "--scope", "read", "--scope", "operate", *self._db())
            kept.touch(mode=0o600)
            kept.write_text(made["token"])
        return kept.read_text()

    def _status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _online(self) -> set[str]:
        """Banks that are there and have read all their doors: a tap at one that was not read yet is denied."""
        found = self.get("/api/v1/banks")["items"]
        return {
            bank["id"]
            for bank in found
            if bank["online"] and bank["lockers"] and all(s["door"] != "unknown" for s in bank["lockers"])
        }

    # -- setting up ---------------------------------------------------------------------------------------------

    def _move_in(self) -> None:
        facts = self._facts()
        draft = self.folder / "people.draft.csv"
        draft.write_text(people_csv(list(self.staff)), encoding="utf-8")
        self.command("import", str(draft), *self._db())
        tables = []
        for plan in self.banks:
            folder = self.edge_folder(plan.id)
            folder.mkdir(parents=True, exist_ok=True)
            ports = self.folder / "ports"
            ports.mkdir(exist_ok=True)
            config = controller_toml(plan, ports, held_open_ms=self._held_open_ms)
            (folder / "controller.toml").write_text(config, encoding="utf-8")
            if not (folder / "enrolment.json").exists():
                code = self.command("controller", "code", plan.id, *self._db())["code"]
                self.command("enrol", self.url, code, "--bank", plan.id, "--folder", str(folder))
            cable = facts["cables"][plan.id]
            edge = ["edge", "--folder", str(folder), "--nats", f"tls://127.0.0.1:{cable}"]
            tables.append(
                rig_toml(
                    plan,
                    ports,
                    cable=(cable, facts["nats_port"]),
                    controller=[*self._program(plan.id), *edge],
                    log=self.folder / f"edge-{plan.id}.log",
                    auto_close_s=self._auto_close_s,
                )
            )
        truth = f'truth = "{self.folder / "truth.jsonl"}"\n'
        (self.folder / "rig.toml").write_text(truth + "\n".join(tables), encoding="utf-8")
        draft.rename(self.folder / "people.csv")  # last: a set-up that was broken off begins again

    def _facts(self) -> dict[str, Any]:
        """The ports that this house chose once."""
        file = self.folder / "house.json"
        if not file.exists():
            ports = free_ports(1 + len(self.banks))
            cables = {plan.id: port for plan, port in zip(self.banks, ports[1:], strict=True)}
            file.write_text(json.dumps({"nats_port": ports[0], "cables": cables}), encoding="utf-8")
        facts: dict[str, Any] = json.loads(file.read_text())
        if self._has_mail and "mail_port" not in facts:
            facts["mail_port"] = free_ports(1)[0]
            file.write_text(json.dumps(facts), encoding="utf-8")
        return facts

    def _db(self) -> list[str]:
        return ["--database-url", self._database] if self._database else []

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CUBBYHOLE_HOME": str(self.folder), "CUBBYHOLE_SIM_SOCKET": str(self.socket)}

    def _program(self, part: str) -> list[str]:
        return list(self._programs.get(part, _cubbyhole()))

    def _spawn(
        self, command: list[str], log: Path, stdout: int | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                env=self._environment(),
                stdin=stdin,
                stdout=file if stdout is None else stdout,
                stderr=file,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )


def free_ports(count: int) -> list[int]:
    """Loopback TCP ports that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def _cubbyhole() -> list[str]:
    return [sys.executable, "-m", "cubbyhole"]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _tail(log: Path, lines: int = 25) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
