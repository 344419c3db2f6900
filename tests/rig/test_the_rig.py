"""The rig as a process: what its socket answers, what it records, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cubbyhole.drivers import cu16, modbus
from cubbyhole.drivers.port import BoardSettings, BusSettings, Line
from tests.rig.process import RigProcess, command, refusal, rig
from tests.support.child import running

TOML = """
truth = "truth.jsonl"
[[bank]]
id = "A"
controller = ["{python}", "-c", "import time; print('up', flush=True); time.sleep(600)"]
controller_log = "controller.log"
  [[bank.cable]]
  listen = "127.0.0.1:0"
  to = "127.0.0.1:{port}"
  [[bank.bus]]
  name = "locks"
  driver = "modbus"
  port = "ports/A-locks"
  baudrate = 115200
    [[bank.bus.board]]
    address = 1
    channels = 24
    options = {{ lock_inputs = 32, light_coils = 32 }}
  [[bank.reader]]
  port = "ports/A-07"
  locker = "07"
  [[bank.reader]]
  port = "ports/A-08"
  locker = "08"
[[bank]]
id = "B"
auto_close_s = 0.3
  [[bank.bus]]
  driver = "cu16"
  port = "ports/B-locks"
    [[bank.bus.board]]
    address = 0
    channels = 12
  [[bank.reader]]
  port = "ports/B-reader"
"""


def toml(port: int = 9) -> str:
    return TOML.format(python=sys.executable, port=port)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[RigProcess]:
    with rig(tmp_path, toml()) as running_rig:
        yield running_rig


def send(rig: RigProcess, octets: bytes) -> list[dict[str, object]]:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(rig.socket))
        line.sendall(octets)
        line.shutdown(socket.SHUT_WR)
        received = bytearray()
        while part := line.recv(65536):
            received += part
    return [json.loads(answer) for answer in received.splitlines()]


def test_a_wrong_request_gets_an_error_that_says_what_would_be_right(process: RigProcess) -> None:
    assert "no JSON object" in str(send(process, b"open it\n")[0]["error"])
    assert "JSON object" in str(send(process, b"[1,2]\n")[0]["error"])
    assert "do must be one of" in str(send(process, b'{"do":["x"],"bank":"A"}\n')[0]["error"])
    assert "bank must be one of A, B" in refusal(process, "state", "Z")
    assert "door must be a text" in refusal(process, "tap", "A", badge="x")
    assert "has no door '99'" in refusal(process, "door", "A", door="99", act="open")
    assert "they can open, close" in refusal(process, "door", "A", door="7", act="kick")
    assert "use force" in refusal(process, "door", "A", door="A-07", act="open")
    assert "no shared reader" in refusal(process, "tap", "A", door="bank", badge="x")
    assert "has no reader" in refusal(process, "tap", "A", door="01", badge="x")
    assert "at most 16384 bytes" in refusal(process, "tap", "A", door="07", badge="x" * 20_000)
    assert "cut or mend" in refusal(process, "cable", "A", act="snip")
    assert "no cable of its own" in refusal(process, "cable", "B", act="cut")
    assert "off or on" in refusal(process, "power", "B", act="maybe")
    assert "no fault 'drops'" in refusal(process, "fault", "A", drops=1)
    assert "from 0 to 1" in refusal(process, "fault", "A", drop=2)
    assert "has no bus 'lock'" in refusal(process, "fault", "A", bus="lock")
    assert "'extra' does not belong" in refusal(process, "truth", "A", extra=1)


def test_no_input_can_stop_it(process: RigProcess) -> None:
    assert "at most 65536 bytes" in str(send(process, b"x" * 200_000)[-1]["error"])
    assert send(process, b"[" * 60_000 + b"\n")[0]["ok"] is False
    assert send(process, b"\xff\xfe\x00\n")[0]["ok"] is False
    assert send(process, b"\n\n") == []
    assert [answer["ok"] for answer in send(process, b'{"do":"banks"}\n{"do":"state","bank":"B"}')] == [True, True]
    assert process.process.poll() is None


def test_many_clients_at_once_each_get_their_own_answer(process: RigProcess) -> None:
    wrong: list[str] = []

    def client(number: int) -> None:
        door = f"{number % 24 + 1:02d}"
        for _ in range(5):
            if process.ask("door", "A", door=door, act="fill")["locker"] != door:
                wrong.append(door)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


async def test_the_record_names_each_pulse_and_tap_with_its_time_also_in_the_file(process: RigProcess) -> None:
    board = BoardSettings(1, 24, options={"lock_inputs": 32, "light_coils": 32})
    bus = modbus.create(BusSettings(process.port("A-locks"), 115200, (board,)))
    await bus.open()
    try:
        before_ns = time.monotonic_ns()
        await bus.unlock(Line(1, 6), 500)
        after_ns = time.monotonic_ns()
        await bus.light(Line(1, 6), True)
    finally:
        await bus.close()
    tap = process.ask("tap", "A", door="7", badge="04A2241B")
    truth = process.ask("truth", "A")
    assert isinstance(truth["pulses"], list) and isinstance(truth["taps"], list)
    [pulse] = truth["pulses"]
    assert (pulse["bank"], pulse["locker"], pulse["board"], pulse["channel"]) == ("A", "07", 1, 6)
    assert (pulse["pulse_ms"], pulse["released"]) == (500, True)
    assert before_ns <= pulse["frame_first_ns"] < pulse["frame_last_ns"] == pulse["mono_ns"] <= after_ns
    # Eight bytes of ten bits at 115200 baud.
    assert pulse["frame_last_ns"] - pulse["frame_first_ns"] == pytest.approx(694_000, rel=0.02)
    assert truth["taps"] == [{key: tap[key] for key in ("bank", "reader", "badge", "last_byte_ns", "at_ms")}]
    assert process.ask("truth", "B")["pulses"] == []
    lockers = process.ask("state", "A")["lockers"]
    assert isinstance(lockers, dict) and lockers["07"]["light"] is True
    process.process.kill()
    process.process.wait()
    kinds = [json.loads(line)["kind"] for line in (process.folder / "truth.jsonl").read_text().splitlines()]
    assert kinds == ["pulse", "tap"]


async def test_an_auto_bank_opens_by_its_spring_and_shuts_by_its_person(process: RigProcess) -> None:
    bus = cu16.create(BusSettings(process.port("B-locks"), 19200, (BoardSettings(0, 12),)))
    await bus.open()
    try:
        await bus.unlock(Line(0, 2), 100)
        deadline = time.monotonic() + 5
        seen: list[bool | None] = []
        while not (seen and seen[-1] is False and True in seen):
            assert time.monotonic() < deadline, seen
            seen.append((await bus.poll(0))[2].door_open)
    finally:
        await bus.close()


def test_power_off_kills_the_controller_and_silences_the_bank_and_on_brings_it_back(process: RigProcess) -> None:
    state = process.ask("state", "A")
    controller = state["controller"]
    assert isinstance(controller, dict) and controller["running"] is True
    process.ask("power", "A", act="off")
    assert not _alive(controller["pid"])
    assert "no power" in refusal(process, "tap", "A", door="07", badge="04A2241B")
    process.ask("power", "A", act="on")
    process.ask("tap", "A", door="07", badge="04A2241B")
    again = process.ask("state", "A")["controller"]
    assert isinstance(again, dict) and again["running"] is True and again["pid"] != controller["pid"]
    deadline = time.monotonic() + 10
    while (process.folder / "controller.log").read_text().count("up") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ending_it_leaves_no_process_no_socket_and_no_port(tmp_path: Path, how: signal.Signals) -> None:
    with rig(tmp_path, toml()) as process:
        controller = process.ask("state", "A")["controller"]
        assert isinstance(controller, dict)
        assert len(list((tmp_path / "ports").iterdir())) == 5
        process.process.send_signal(how)
        assert process.process.wait(10) == 0
        assert not _alive(controller["pid"])
        assert not process.socket.exists()
        assert list((tmp_path / "ports").iterdir()) == []


def test_killed_it_takes_its_controllers_along_and_starts_again_over_its_remains(tmp_path: Path) -> None:
    with rig(tmp_path, toml()) as process:
        controller = process.ask("state", "A")["controller"]
        assert isinstance(controller, dict)
        process.process.kill()
        process.process.wait()
        deadline = time.monotonic() + 5
        while _alive(controller["pid"]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.socket.exists()
    with rig(tmp_path, toml()) as process:
        process.ask("state", "A")


def test_a_second_rig_at_the_same_socket_is_refused_and_the_first_goes_on(process: RigProcess) -> None:
    second = subprocess.run(command(process.folder), capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "another rig is running" in second.stderr
    process.ask("state", "A")
    assert os.path.islink(process.port("A-locks"))


def test_a_port_that_is_a_file_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "ports").mkdir()
    (tmp_path / "ports" / "B-locks").write_text("mine")
    (tmp_path / "rig.toml").write_text(toml())
    log = tmp_path / "log"
    with running(command(tmp_path), log) as process:
        assert process.wait(30) == 1
    assert "is no symlink" in log.read_text()
    assert (tmp_path / "ports" / "B-locks").read_text() == "mine"
    assert not (tmp_path / "sim.sock").exists()
    assert [path.name for path in (tmp_path / "ports").iterdir()] == ["B-locks"]


def _alive(pid: object) -> bool:
    assert isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
