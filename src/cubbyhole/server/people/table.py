"""Reading people.csv: lines in, drafts or complaints out. Nothing is looked up and nothing is changed here."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cubbyhole.domain.credential import BadgeError, parse_badge

MAX_LINES = 100_000
MAX_BYTES = 32 * 1024 * 1024
COLUMNS = ("name", "email", "number", "groups", "badges", "locker")
_ALIASES = {"badge": "badges", "group": "groups", "e-mail": "email", "mail": "email", "personnel number": "number"}
NAME_MOST, NUMBER_MOST, GROUP_MOST = 200, 64, 80
EMAIL = re.compile(r"[^@\s,;]{1,64}@[^@\s,;]{1,189}")
_LOCKER = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,23})-(\d{2,4})")
_SPLIT = re.compile(r"\s*[;|,]\s*")
_GROUP_SPLIT = re.compile(r"\s*[;|]\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class TableError(ValueError):
    """The file as a whole cannot be read; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one line of the file, counted from 1; ``column`` is None where it is the line as a whole."""

    line: int
    why: str
    column: str | None = None

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.column}' if self.column else ''}: {self.why}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One person as a line has them. ``badges`` are canonical; ``locker`` is (bank, number)."""

    line: int
    name: str
    email: str | None
    number: str | None
    groups: tuple[str, ...]
    badges: tuple[str, ...]
    locker: tuple[str, str] | None


@dataclass(slots=True)
class Table:
    """All lines of a file that make sense, and all complaints."""

    entries: list[Entry] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    columns: frozenset[str] = frozenset()


def read_table(content: bytes) -> Table:
    """Parse a CSV file (UTF-8, comma or semicolon). Raises TableError; wrong lines become complaints."""
    if len(content) > MAX_BYTES:
        raise TableError(f"the file has {len(content)} bytes; {MAX_BYTES} is the most. Split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"the file is not UTF-8 (byte {error.start}); save it as CSV UTF-8") from None
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else "\t" if "\t" in first and "," not in first else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    table = Table()
    try:
        header = _header(next(rows, []))
        table.columns = frozenset(header)
        end = rows.line_num
        for cells in rows:
            # A quoted cell may have line breaks: a line is named by where it begins.
            begin, end = end + 1, rows.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(table.entries) + len(table.complaints) >= MAX_LINES:
                raise TableError(f"the file has more than {MAX_LINES} lines. Split it.")
            _take(table, begin, header, cells)
    except csv.Error as error:
        raise TableError(f"line {rows.line_num} is no CSV: {error}") from None
    table.complaints += _doubles(table.entries)
    table.complaints.sort(key=lambda complaint: complaint.line)
    return table


def _header(cells: list[str]) -> list[str]:
    names = [_ALIASES.get(cell.strip().lower(), cell.strip().lower()) for cell in cells]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "name" not in names or len(set(names)) != len(names):
        raise TableError(
            f"line 1 must name the columns: {', '.join(COLUMNS)} (name, and email or number, are needed)"
            + (f"; unknown here: {', '.join(unknown)}" if unknown else "")
        )
    if "email" not in names and "number" not in names:
        raise TableError("line 1 names neither email nor number; one of them must say who is who at the next import")
    return names


def _take(table: Table, line: int, header: list[str], cells: list[str]) -> None:
    if len(cells) != len(header):
        table.complaints.append(Complaint(line, f"{len(cells)} cells where the header has {len(header)}"))
        return
    cell = {name: " ".join(value.split()) for name, value in zip(header, cells, strict=True)}
    wrong = [Complaint(line, why, column) for column, why in _wrong(cell)]
    badges: list[str] = []
    for text in filter(None, _SPLIT.split(cell.get("badges", ""))):
        try:
            badges.append(parse_badge(text))
        except BadgeError as error:
            wrong.append(Complaint(line, str(error), "badges"))
    place = _LOCKER.fullmatch(cell.get("locker", ""))
    if cell.get("locker") and place is None:
        why = f"{cell['locker'][:40]!r} is no locker: write bank and number, like A-07"
        wrong.append(Complaint(line, why, "locker"))
    if wrong:
        table.complaints += wrong
        return
    table.entries.append(
        Entry(
            line=line,
            name=cell["name"],
            email=cell.get("email", "").lower() or None,
            number=cell.get("number") or None,
            groups=tuple(sorted(set(filter(None, _GROUP_SPLIT.split(cell.get("groups", "")))))),
            badges=tuple(dict.fromkeys(badges)),
            locker=(place[1], place[2]) if place else None,
        )
    )


def _wrong(cell: dict[str, str]) -> Iterator[tuple[str | None, str]]:
    """Column and what is wrong in it."""
    for column, value in cell.items():
        if _CONTROL.search(value):
            yield column, "there is a character in it that cannot be printed"
    if not cell["name"]:
        yield "name", "the name is missing"
    if len(cell["name"]) > NAME_MOST:
        yield "name", f"the name is longer than {NAME_MOST} characters"
    email = cell.get("email", "")
    if email and not EMAIL.fullmatch(email):
        yield "email", f"{email[:60]!r} is no e-mail address"
    if len(cell.get("number", "")) > NUMBER_MOST:
        yield "number", f"the number is longer than {NUMBER_MOST} characters"
    if not email and not cell.get("number"):
        yield None, "neither email nor number is given; one of them must say who this is"
    for group in filter(None, _GROUP_SPLIT.split(cell.get("groups", ""))):
        if len(group) > GROUP_MOST:
            yield "groups", f"the group {group[:20]!r}... is longer than {GROUP_MOST} characters"


def _doubles(entries: list[Entry]) -> Iterator[Complaint]:
    """The second of two lines that claim the same e-mail, number, badge or locker."""
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        claims = [("email", entry.email), ("number", entry.number)]
        claims += [("badges", badge) for badge in entry.badges]
        claims += [("locker", "-".join(entry.locker) if entry.locker else None)]
        for what, value in claims:
            if value is None:
                continue
            before = seen.setdefault((what, value), entry.line)
            if before != entry.line:
                what_is = {"email": "e-mail", "badges": "badge"}.get(what, what)
                yield Complaint(entry.line, f"the same {what_is} as in line {before}", what)
