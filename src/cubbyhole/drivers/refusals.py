"""What every family of boards refuses, in the same words: settings that cannot work, and unlocks that cannot be."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cubbyhole.drivers.port import BoardSettings, BusSettings, DriverError, Line, Manifest, NotSent

REPLY_MS = 150


def boards_of(settings: BusSettings, name: str, channels_max: int, addresses: range, known: Collection[str]) -> None:
    """Refuse what no bus of the family ``name`` can have. ``known`` are its boards' options.

    Raises ``DriverError`` that names the board and the setting to change.
    """
    if not settings.boards:
        raise DriverError(f"The {name} bus on {settings.port} has no boards.")
    if not 300 <= settings.baudrate <= 1_000_000:
        raise DriverError(f"The {name} bus on {settings.port}: baudrate {settings.baudrate} is not usable.")
    seen: set[int] = set()
    for board in settings.boards:
        where = f"{name} board {board.address} on {settings.port}"
        if board.address in seen:
            raise DriverError(f"{where} is listed twice.")
        seen.add(board.address)
        if board.address not in addresses:
            raise DriverError(f"{where}: the address must be {addresses.start} to {addresses.stop - 1}.")
        if not 1 <= board.channels <= channels_max:
            raise DriverError(f"{where}: channels must be 1 to {channels_max}, not {board.channels}.")
        unknown = set(board.options) - set(known)
        if unknown:
            raise DriverError(f"{where}: unknown option {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}.")
        reply = board.options.get("reply_ms", REPLY_MS)
        if isinstance(reply, bool) or not isinstance(reply, int) or not 20 <= reply <= 2000:
            raise DriverError(f"{where}: reply_ms must be a whole number from 20 to 2000.")


def unlock_of(boards: Mapping[int, BoardSettings], port: str, line: Line, pulse_ms: int, manifest: Manifest) -> None:
    """Refuse an unlock of a lock that is not there, or for a time that no board keeps. Raises ``NotSent``."""
    board = boards.get(line.board)
    if board is None or not 0 <= line.channel < board.channels:
        raise NotSent(f"{port} has no board {line.board} with a lock {line.channel}.")
    if not manifest.pulse_min_ms <= pulse_ms <= manifest.pulse_max_ms:
        raise NotSent(f"A pulse must last {manifest.pulse_min_ms} to {manifest.pulse_max_ms} ms, not {pulse_ms}.")


def reply_s(board: BoardSettings) -> float:
    """How long the board may take to answer."""
    return int(board.options.get("reply_ms", REPLY_MS)) / 1000
