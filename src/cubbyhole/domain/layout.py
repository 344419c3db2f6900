"""The furniture: a bank's columns as short text, parsed into numbered lockers.

A column is a string of tokens from top to bottom: ``S M L XL`` is a locker of that size, ``T`` or ``TL`` a
terminal. ``+`` behind a size means a charging outlet, ``_`` a low locker. Lockers are numbered down each column,
columns from left to right, starting at 01. Measures are millimetres, doors included, as drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEIGHT_MM = {"S": 150, "M": 300, "L": 450, "XL": 900, "T": 450, "TL": 600}
COLUMN_MM = 300
MAX_LOCKERS = 400
_TOKEN = re.compile(r"(?:(S|M|L|XL)(\+?_?|_\+)|(TL?))")
_BANK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,23}")


class LayoutError(ValueError):
    """The layout text cannot be built; the message names the column and token."""


@dataclass(frozen=True, slots=True)
class LockerSpec:
    """One compartment as built."""

    number: str
    size: str
    features: tuple[str, ...]
    column: int
    top_mm: int

    @property
    def height_mm(self) -> int:
        return HEIGHT_MM[self.size]


def check_bank_id(bank: str) -> str:
    """Return ``bank`` if it can name a bank everywhere (subjects, files, labels), else raise LayoutError."""
    if not _BANK_ID.fullmatch(bank):
        raise LayoutError(f"bank id {bank!r}: use 1 to 24 letters, digits, - or _, beginning with a letter or digit")
    return bank


def parse_columns(columns: tuple[str, ...]) -> tuple[LockerSpec, ...]:
    """Number the lockers of ``columns``. Raises LayoutError naming the first token that does not fit."""
    found: list[tuple[str, tuple[str, ...], int, int]] = []
    for index, column in enumerate(columns):
        top_mm = 0
        for token in column.split():
            match = _TOKEN.fullmatch(token)
            if match is None:
                raise LayoutError(f"column {index + 1}: {token!r} is none of S M L XL, with + or _ behind, or T TL")
            size, marks, terminal = match.groups()
            if terminal is None:
                features = tuple(name for mark, name in (("+", "charging"), ("_", "low")) if mark in marks)
                found.append((size, features, index, top_mm))
            top_mm += HEIGHT_MM[size or terminal]
    if not found:
        raise LayoutError("the layout has no locker")
    if len(found) > MAX_LOCKERS:
        raise LayoutError(f"the layout has {len(found)} lockers; one bank holds at most {MAX_LOCKERS}")
    width = max(2, len(str(len(found))))
    return tuple(
        LockerSpec(str(n).zfill(width), size, features, column, top_mm)
        for n, (size, features, column, top_mm) in enumerate(found, 1)
    )
