"""The bytes of Modbus boards: pymodbus' framing with our one own message, checked against published frames."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.base import ModbusBaseClient
from pymodbus.framer import FramerRTU
from pymodbus.framer.base import FramerType
from pymodbus.pdu import DecodePDU
from pymodbus.transport import CommParams, CommType

from cubbyhole.drivers import modbus
from cubbyhole.drivers.modbus.layout import layout_of
from cubbyhole.drivers.modbus.link import Link, _Relay
from cubbyhole.drivers.modbus.pdu import CoilWrite, coil, pulse
from cubbyhole.drivers.port import BoardSettings, BusSettings, DriverError
from cubbyhole.simulator.rig.modbus_board import crc


def framer() -> FramerRTU:
    decoder = DecodePDU(False)
    decoder.register(CoilWrite)
    return FramerRTU(decoder)


def test_a_pulse_is_the_frame_that_the_vendor_prints() -> None:
    assert framer().buildFrame(pulse(1, 0, 700)) == bytes.fromhex("01 05 02 00 00 07 8D B0")


@pytest.mark.parametrize(("pulse_ms", "value"), [(1, 1), (100, 1), (101, 2), (500, 5), (1000, 10)])
def test_a_pulse_is_rounded_up_to_the_boards_step(pulse_ms: int, value: int) -> None:
    assert pulse(1, 3, pulse_ms).value == value


def test_a_light_is_an_ordinary_coil() -> None:
    assert framer().buildFrame(coil(17, 0xAC, True)) == bytes.fromhex("11 05 00 AC FF 00 4E 8B")


@given(st.binary(max_size=64))
def test_our_checksum_of_the_boards_is_the_librarys(octets: bytes) -> None:
    assert crc(octets) == FramerRTU.compute_CRC(octets).to_bytes(2, "big")


def test_the_specifications_example_has_the_checksum_that_both_sides_reckon() -> None:
    assert crc(bytes.fromhex("11 02 00 C4 00 16")) == bytes.fromhex("BA A9")


@given(st.integers(1, 247), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 7), st.integers(1, 255))
def test_an_echo_with_one_changed_byte_confirms_nothing(
    board: int, address: int, value: int, place: int, change: int
) -> None:
    sound = bytearray(framer().buildFrame(CoilWrite(dev_id=board, address=address, value=value)))
    sound[place] ^= change
    _, reply = framer().handleFrame(bytes(sound), board, 0)
    assert reply is None


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_a_coil_write_survives_the_wire(address: int, value: int) -> None:
    order = CoilWrite(dev_id=9, address=address, value=value)
    _, reply = framer().handleFrame(framer().buildFrame(order), 9, 0)
    assert isinstance(reply, CoilWrite)
    assert (reply.dev_id, reply.address, reply.value) == (9, address, value)


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_no_bytes_can_upset_the_line(chunks: list[bytes]) -> None:
    async def scenario() -> None:
        params = CommParams(comm_type=CommType.SERIAL, host="nowhere", baudrate=9600)
        client = ModbusBaseClient(FramerType.RTU, 0, params, None, None, None)
        client.register(CoilWrite)
        relay = _Relay(Link("nowhere", 9600), client)
        for chunk in chunks:
            relay.data_received(chunk)
            # The same with a checksum that is right, so that the messages' own decoding is reached.
            relay.data_received(chunk + crc(chunk))
        client.ctx.response_future.cancel()

    asyncio.run(scenario())


def test_sensors_are_read_in_one_span_with_polarity_applied() -> None:
    board = BoardSettings(
        1, 2, door_open_level=False, options={"door_inputs": 8, "lock_inputs": 4, "occupancy_inputs": 6}
    )
    layout = layout_of(board)
    assert (layout.start, layout.count) == (4, 6)
    senses = layout.senses([True, False, False, True, False, True])
    assert (senses[0].lock_secured, senses[0].occupied, senses[0].door_open) == (True, False, True)
    assert (senses[1].lock_secured, senses[1].occupied, senses[1].door_open) == (False, True, False)


@pytest.mark.parametrize(
    ("board", "says"),
    [
        (BoardSettings(0, 8), "address must be 1 to 247"),
        (BoardSettings(1, 33), "channels must be 1 to 32"),
        (BoardSettings(1, 8, options={"lock_input": 8}), "unknown option 'lock_input'"),
        (BoardSettings(1, 8, options={"lock_inputs": 4}), "overlap"),
        (BoardSettings(1, 8, options={"lock_inputs": 400}), "within 256 addresses"),
        (BoardSettings(1, 8, options={"lock_inputs": True}), "must be an address"),
        (BoardSettings(1, 8, options={"light_coils": 4}), "outside the lock relays"),
        (BoardSettings(1, 8, options={"light_coils": 0x01FC}), "outside the lock relays"),
        (BoardSettings(1, 8, options={"reply_ms": 1}), "reply_ms"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_name_to_change(board: BoardSettings, says: str) -> None:
    with pytest.raises(DriverError, match=says):
        modbus.create(BusSettings("/dev/null", 9600, (board,)))
