"""Badge and code readers that send one line per presentation. See README.md beside this file."""

from __future__ import annotations

from cubbyhole.drivers.line_reader.codec import BadRead, Form, LineParser, ReadCredential, parse_line
from cubbyhole.drivers.line_reader.reader import LineReader

__all__ = ["BadRead", "Form", "LineParser", "LineReader", "ReadCredential", "parse_line"]
