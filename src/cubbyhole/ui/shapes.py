"""What a template or a picture is given. Structural: the server's own views fit because they have these keys."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import ReadOnly, TypedDict


class LockerShape(TypedDict):
    """A locker as it is drawn. ``state`` is one of the nine of the design; door and lock are drawn over it."""

    id: ReadOnly[str]
    number: ReadOnly[str]
    size: ReadOnly[str]
    features: ReadOnly[Sequence[str]]
    state: ReadOnly[str]
    door: ReadOnly[str]
    lock: ReadOnly[str]
    check: ReadOnly[str | None]
    out_of_service: ReadOnly[str | None]


class BankShape(TypedDict):
    """A bank as it is drawn: its furniture (`domain.layout`) and its lockers in order of number."""

    id: ReadOnly[str]
    label: ReadOnly[str]
    columns: ReadOnly[Sequence[str]]
    lockers: ReadOnly[Sequence[LockerShape]]
