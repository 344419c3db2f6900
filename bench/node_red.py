"""F3 beside Node-RED: our durable, audited decisions, 32 at a time, against its bare look-up of a badge in a table.

Node-RED gets the same number of people and does nothing but look up: a line in by TCP, a function node, a line out;
32 doors, each on a connection of its own, ask at once. It keeps no journal and syncs nothing. Ours has no connection
in the way, which favours us; Node-RED's needs one, as that is how it gets a message. Where `node-red` is not on the
PATH, the figure is printed without a value.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench.decisions import PEOPLE, BenchBank
from bench.figure import Figure, NotMeasured, median
from cubbyhole.simulator.house import free_ports

TOGETHER = 32
ROUNDS = 30
GROUPS_PER_ROUND = 10
START_S = 60.0

_PREPARE = """
const people = new Map();
for (let i = 0; i < %d; i++) {
  people.set('uid:' + i.toString(16).padStart(8, '0'), 'p_' + i.toString(16).padStart(16, '0'));
}
context.set('people', people);
"""
_LOOK_UP = """
const person = context.get('people').get(msg.payload);
msg.payload = (person ? 'open ' + person : 'unknown') + '\\n';
return msg;
"""


def run(folder: Path) -> list[Figure]:
    """One figure; its value is None where Node-RED is not installed. Raises NotMeasured where it does not start."""
    program = shutil.which("node-red")
    if program is None:
        return [_figure(None, None, "Node-RED is not installed: there is no node-red on the PATH")]
    folder = (folder / "node_red").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port, admin = free_ports(2)
    (folder / "flows.json").write_text(json.dumps(_flow(port)), encoding="utf-8")
    settings = {"uiHost": "127.0.0.1", "uiPort": admin, "httpAdminRoot": False, "flowFile": "flows.json"}
    (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)}", encoding="utf-8")
    bank = BenchBank(folder / "bank")
    with (
        (folder / "node-red.log").open("wb") as log,
        subprocess.Popen([program, "--userDir", str(folder)], cwd=folder, stdout=log, stderr=log) as node_red,
    ):
        try:
            doors = [_connected(port, node_red, folder / "node-red.log") for _ in range(TOGETHER)]
            ours, theirs = _turns(bank, doors)
            for door in doors:
                door.close()
        finally:
            node_red.terminate()
    return [_figure(ours, theirs, None)]


def _figure(ours: float | None, theirs: float | None, why_not: str | None) -> Figure:
    return Figure(
        name=f"F3 tap decisions, {TOGETHER} at a time, beside Node-RED", unit="decisions/s", value=ours, limit=theirs,
        limit_is=f"Node-RED, {TOGETHER} bare look-ups in a table of {PEOPLE} people at a time, per second", goal=2.0,
        at_least=True, why_not=why_not, span="ours: badge number known → commit synced, head signed; "
        "Node-RED: 32 lines sent, each on its connection → 32 lines back, nothing kept",
    )  # fmt: skip


def _flow(port: int) -> list[dict[str, object]]:
    return [
        {"id": "tab", "type": "tab", "label": "look-up"},
        {
            "id": "in", "type": "tcp in", "z": "tab", "server": "server", "host": "127.0.0.1", "port": str(port),
            "datamode": "stream", "datatype": "utf8", "newline": "\\n", "topic": "", "trim": False, "base64": False,
            "tls": "", "wires": [["look"]],
        },
        {
            "id": "look", "type": "function", "z": "tab", "func": _LOOK_UP, "outputs": 1, "timeout": 0, "noerr": 0,
            "initialize": _PREPARE % PEOPLE, "finalize": "", "libs": [], "wires": [["out"]],
        },
        {
            "id": "out", "type": "tcp out", "z": "tab", "beserver": "reply", "host": "", "port": "", "base64": False,
            "end": False, "tls": "", "wires": [],
        },
    ]  # fmt: skip


def _connected(port: int, node_red: subprocess.Popen[bytes], log: Path) -> socket.socket:
    end = time.monotonic() + START_S
    while True:
        try:
            line = socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            if node_red.poll() is not None or time.monotonic() > end:
                raise NotMeasured(f"Node-RED did not start: {log.read_text(errors='replace')[-500:]}") from None
            time.sleep(0.1)
        else:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line


def _turns(bank: BenchBank, doors: list[socket.socket]) -> tuple[float, float]:
    """Decisions and look-ups per second, medians over rounds taken in turns; the first rounds do not count."""
    ours, theirs = [], []
    first = 0
    for turn in range(ROUNDS + 5):
        began = time.perf_counter()
        for _ in range(GROUPS_PER_ROUND):
            bank.decide(TOGETHER)
        taken = time.perf_counter() - began
        began = time.perf_counter()
        for _ in range(GROUPS_PER_ROUND):
            _look_up(doors, first)
            first = (first + TOGETHER) % (PEOPLE - TOGETHER)
        if turn >= 5:
            ours.append(TOGETHER * GROUPS_PER_ROUND / taken)
            theirs.append(TOGETHER * GROUPS_PER_ROUND / (time.perf_counter() - began))
    return median(ours), median(theirs)


def _look_up(doors: list[socket.socket], first: int) -> None:
    """Every door asks, then all answers are awaited."""
    for i, door in enumerate(doors):
        door.sendall(b"uid:%08x\n" % (first + i))
    for door in doors:
        answer = door.recv(200)
        if not answer.startswith(b"open p_") or not answer.endswith(b"\n"):
            raise NotMeasured(f"Node-RED's look-up failed: {answer!r}")
