"""Badge readers: lines to credentials, and a port that comes and goes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.drivers.line_reader import BadRead, LineParser, LineReader, ReadCredential, parse_line
from cubbyhole.drivers.line_reader.codec import GAP_MAX_NS, LINE_MAX
from cubbyhole.drivers.port import DriverError
from tests.rig.process import rig

RIG = """
[[bank]]
id = "A"
  [[bank.bus]]
  driver = "cu16"
  port = "ports/locks"
    [[bank.bus.board]]
    address = 0
    channels = 4
  [[bank.reader]]
  port = "ports/reader"
  baudrate = 9600
"""


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"04A2241B", "04a2241b"),
        (b"04:a2:24:1b", "04a2241b"),
        (b"04-A2-24-1B-5C-22-80", "04a2241b5c2280"),
        (b"\x0204A2241B\x03", "04a2241b"),
        (b"  0004A2241B ", "0004a2241b"),
    ],
)
def test_hex_is_read_in_its_usual_spellings(line: bytes, raw: str) -> None:
    read = parse_line(line, "hex", 5)
    assert isinstance(read, ReadCredential)
    assert (read.raw.hex(), read.form, read.received_mono_ns) == (raw, "hex", 5)


@pytest.mark.parametrize(
    ("line", "raw"),
    [(b"77734939", "04a2241b"), (b"0077734939", "04a2241b"), (b"4294967296", "00000100000000")],
)
def test_decimal_is_the_smallest_uid_that_holds_it(line: bytes, raw: str) -> None:
    read = parse_line(line, "decimal", 0)
    assert isinstance(read, ReadCredential)
    assert read.raw.hex() == raw


@pytest.mark.parametrize(
    ("line", "form"),
    [
        (b"04A2241", "hex"),
        (b"04A2 hello", "hex"),
        (b"04", "hex"),
        (b"00" * 11, "hex"),
        (b"00000000", "hex"),
        (b"\xff\xfe\xfd", "hex"),
        (b"04A2241B", "decimal"),
        (b"0", "decimal"),
        (b"9" * 40, "decimal"),
        ("٣٤٥".encode(), "decimal"),
    ],
)
def test_what_is_no_credential_is_a_bad_read_that_does_not_repeat_it(line: bytes, form: str) -> None:
    read = parse_line(line, "hex" if form == "hex" else "decimal", 0)
    assert isinstance(read, BadRead)
    assert line.decode("ascii", "replace") not in read.reason or len(line) < 3


def test_lines_end_with_either_end_or_both_and_blank_ones_are_nothing() -> None:
    reads = LineParser("hex").feed(b"04A2241B\r\n\r\n04A2241C\r04A2241D\n\n", 0)
    assert [read.text for read in reads if isinstance(read, ReadCredential)] == ["04A2241B", "04A2241C", "04A2241D"]
    assert len(reads) == 3


def test_half_a_number_never_joins_the_next_badge() -> None:
    parser = LineParser("hex")
    assert parser.feed(b"04A2", 0) == []
    broken, whole = parser.feed(b"04A2241B\r\n", GAP_MAX_NS + 1)
    assert isinstance(broken, BadRead)
    assert isinstance(whole, ReadCredential) and whole.text == "04A2241B"


def test_an_endless_line_is_bad_once_and_the_next_one_is_read() -> None:
    reads = LineParser("hex").feed(b"A" * 10_000 + b"\r\n04A2241B\r\n", 0)
    assert [type(read) for read in reads] == [BadRead, ReadCredential]


@given(
    st.lists(st.tuples(st.binary(max_size=100), st.integers(0, 10**9)), max_size=20),
    st.sampled_from(["hex", "decimal"]),
)
def test_no_bytes_can_upset_the_parser(chunks: list[tuple[bytes, int]], form: str) -> None:
    parser = LineParser("hex" if form == "hex" else "decimal")
    now_ns = 0
    for chunk, pause_ns in chunks:
        now_ns += pause_ns
        for read in parser.feed(chunk, now_ns):
            if isinstance(read, ReadCredential):
                assert 3 <= len(read.raw) <= 10 and len(read.text) <= LINE_MAX and any(read.raw)


@given(st.binary(min_size=3, max_size=10).filter(any), st.integers(1, 7))
def test_a_badge_is_read_whole_however_its_line_is_cut(uid: bytes, size: int) -> None:
    line = uid.hex().encode() + b"\r\n"
    parser = LineParser("hex")
    reads = [read for at in range(0, len(line), size) for read in parser.feed(line[at : at + size], at)]
    assert [read.raw for read in reads if isinstance(read, ReadCredential)] == [uid]
    assert len(reads) == 1


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(DriverError, match="form must be hex or decimal"):
        LineReader("/dev/null", 9600, "binary")  # type: ignore[arg-type]
    with pytest.raises(DriverError, match="baudrate"):
        LineReader("/dev/null", 0)


async def test_a_reader_reads_taps_with_their_time_and_survives_its_plug(tmp_path: Path) -> None:
    with rig(tmp_path, RIG) as process:
        reader = LineReader(process.port("reader"), 9600)
        reads = reader.reads()

        async def tap(badge: str) -> int:
            answer = await asyncio.to_thread(process.ask, "tap", "A", door="bank", badge=badge)
            at_ns = answer["last_byte_ns"]
            assert isinstance(at_ns, int)
            return at_ns

        first = asyncio.ensure_future(anext(reads))
        await _until_connected(reader)
        sent_ns = await tap("04A2241B")
        read = await asyncio.wait_for(first, 2)
        assert isinstance(read, ReadCredential) and read.raw.hex() == "04a2241b"
        assert 0 <= read.received_mono_ns - sent_ns < 500_000_000

        process.ask("tap", "A", door="bank", raw="ff00fe0d")
        assert isinstance(await asyncio.wait_for(anext(reads), 2), BadRead)

        second = asyncio.ensure_future(anext(reads))
        await asyncio.sleep(0.01)
        process.ask("fault", "A", bus="reader:bank", unplugged=True)
        await asyncio.sleep(0.5)
        assert not reader.connected and reader.trouble is not None and "reader" in reader.trouble
        process.ask("fault", "A", bus="reader:bank")
        await _until_connected(reader)
        await tap("04A2241C")
        read = await asyncio.wait_for(second, 2)
        assert isinstance(read, ReadCredential) and read.raw.hex() == "04a2241c"
        await reads.aclose()
        assert not reader.connected


async def test_closing_a_reader_ends_its_reads_though_its_port_was_never_there(tmp_path: Path) -> None:
    reader = LineReader(str(tmp_path / "nothing"), 9600)
    taken = asyncio.ensure_future(_all(reader))
    await asyncio.sleep(0.3)
    assert reader.trouble is not None and "cannot be opened" in reader.trouble
    await reader.close()
    assert await asyncio.wait_for(taken, 2) == []


async def _all(reader: LineReader) -> list[object]:
    return [read async for read in reader]


async def _until_connected(reader: LineReader) -> None:
    deadline = time.monotonic() + 5
    while not reader.connected:
        assert time.monotonic() < deadline, reader.trouble
        await asyncio.sleep(0.02)
