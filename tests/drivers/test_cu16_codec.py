"""The bytes of CU12/CU16 boards. Golden vectors stand in at least two independent public sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.drivers.cu16 import codec
from cubbyhole.drivers.port import BadReply

boards = st.integers(0, 15)
locks = st.integers(0, 15)


@pytest.mark.parametrize(
    ("octets", "golden"),
    [
        (codec.unlock(0, 0), "02 00 31 03 36"),
        (codec.unlock(0, 5), "02 05 31 03 3B"),
        (codec.poll(0), "02 00 30 03 35"),
        # One public project prints 3E here; the sum is 45, and so say the others.
        (codec.poll(1), "02 10 30 03 45"),
        (codec.frame(0xF0, 0x32), "02 F0 32 03 27"),
        (codec.unlock(2, 15), "02 2F 31 03 65"),
        (codec.set_pulse_time(0, 500), "02 00 37 00 32 03 6E"),
        (codec.ask_pulse_time(0), "02 00 37 03 3C"),
    ],
)
def test_requests_are_the_published_bytes(octets: bytes, golden: str) -> None:
    assert octets == bytes.fromhex(golden)


def test_a_status_is_read_bit_by_bit_in_the_order_of_the_locks() -> None:
    [frame] = codec.FrameParser().feed(bytes.fromhex("02 10 35 01 80 00 02 03 CD"))
    status = codec.read_status(frame)
    assert status.board == 1
    assert [lock for lock in range(16) if status.hook(lock)] == [0, 15]
    assert [lock for lock in range(16) if status.beam(lock)] == [9]


def test_a_pulse_time_is_in_steps_of_ten_ms_high_byte_first() -> None:
    [frame] = codec.FrameParser().feed(bytes.fromhex("02 00 38 01 2C 03 6A"))
    assert codec.read_pulse_time_ms(frame) == 3000


def test_the_wrong_kind_of_reply_is_a_bad_reply() -> None:
    status, pulse_time = codec.FrameParser().feed(
        codec.frame(0, codec.STATUS, bytes(4)) + codec.frame(0, codec.PULSE_TIME_IS, bytes(2))
    )
    with pytest.raises(BadReply):
        codec.read_status(pulse_time)
    with pytest.raises(BadReply):
        codec.read_pulse_time_ms(status)


@pytest.mark.parametrize(("board", "lock"), [(-1, 0), (16, 0), (0, -1), (0, 16)])
def test_an_address_that_does_not_fit_is_refused(board: int, lock: int) -> None:
    with pytest.raises(ValueError, match="there is no board"):
        codec.unlock(board, lock)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_can_upset_the_parser_and_it_holds_at_most_one_frame(chunks: list[bytes]) -> None:
    parser = codec.FrameParser()
    taken = 0
    for chunk in chunks:
        for frame in parser.feed(chunk):
            taken += len(frame.payload) + 5
            assert frame.command in (codec.STATUS, codec.PULSE_TIME_IS)
    assert 0 <= sum(map(len, chunks)) - taken - parser.discarded < codec.STATUS_BYTES


@given(st.binary(max_size=30), boards, st.binary(min_size=4, max_size=4), st.integers(1, 9))
def test_a_sound_frame_is_found_behind_garbage_however_it_is_cut(
    garbage: bytes, board: int, payload: bytes, size: int
) -> None:
    # A stray 02 may swallow what follows until it has proved wrong; two frames leave room for that.
    sound = codec.frame(board << 4, codec.STATUS, payload)
    stream = garbage + sound + sound + sound
    parser = codec.FrameParser()
    found = [frame for at in range(0, len(stream), size) for frame in parser.feed(stream[at : at + size])]
    assert codec.Frame(board << 4, codec.STATUS, payload) in found


@given(boards, st.binary(min_size=4, max_size=4), st.integers(0, 8), st.integers(1, 255))
def test_a_reply_with_one_changed_byte_is_never_a_reading(board: int, payload: bytes, place: int, change: int) -> None:
    bent = bytearray(codec.frame(board << 4, codec.STATUS, payload))
    bent[place] ^= change
    assert codec.FrameParser().feed(bytes(bent)) == []


@given(boards, locks, st.integers(0, 4), st.integers(1, 255))
def test_an_unlock_with_one_changed_byte_opens_no_door(board: int, lock: int, place: int, change: int) -> None:
    bent = bytearray(codec.unlock(board, lock))
    bent[place] ^= change
    assert not _is_sound(bytes(bent))


def test_two_changes_that_cancel_out_pass_the_boards_checksum() -> None:
    # The README of the driver says so; nothing above the board can tell.
    bent = bytearray(codec.unlock(0, 4))
    bent[1] += 1
    bent[4] += 1
    assert bytes(bent) == codec.unlock(0, 5)


def _is_sound(request: bytes) -> bool:
    return request[0] == 2 and request[3] == 3 and sum(request[:4]) & 0xFF == request[4]
