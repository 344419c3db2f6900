"""Log lines, written by a thread of their own: a disk that is slow to take one must not keep a door shut.

A write to a file can stand still for 100 ms and more while the file system syncs for somebody else, and the event
loop sends the unlock frames.
"""

from __future__ import annotations

import io
import queue
import threading
from typing import TextIO

LINES_MOST = 1_000
CLOSE_S = 2.0


class Logbook(io.TextIOBase):
    """A text file to write to from any thread, that never makes the writer wait.

    What is flushed is written to ``out`` soon, in order. Where LINES_MOST lines wait already, a line is dropped, and
    the next one that is written says how many were.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: queue.Queue[str | None] = queue.Queue(LINES_MOST)
        self._parts = threading.local()
        self._dropped, self._count = 0, threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._parts.text = getattr(self._parts, "text", "") + text
        return len(text)

    def flush(self) -> None:
        text, self._parts.text = getattr(self._parts, "text", ""), ""
        if not text:
            return
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._drop(1)

    def finish(self) -> None:
        """Write what waits, for CLOSE_S at most, and take no more."""
        try:
            self._lines.put(None, timeout=CLOSE_S)
        except queue.Full:
            return
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            with self._count:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                text = f"{dropped} lines were not logged: the log could not be written fast enough\n{text}"
            try:
                self._out.write(text)
                self._out.flush()
            except (OSError, ValueError):
                self._drop(dropped + 1)  # a full disk or a closed pipe: the bank goes on without its log

    def _drop(self, lines: int) -> None:
        with self._count:
            self._dropped += lines
