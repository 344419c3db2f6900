"""Writes the reference pages that are made from the code: ``python -m tests.support.reference`` from the root.

`tests/protocol/test_the_reference.py` fails when they are out of date.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any

from cubbyhole.domain import events as ev
from cubbyhole.domain import vocabulary
from cubbyhole.domain.bank import Assignment, Former, LockerState
from cubbyhole.domain.door import DOOR_TABLE, DoorState
from cubbyhole.domain.vocabulary import REASON_MEANING

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
MADE = "<!-- Made from the code by `python -m tests.support.reference`; edit the code, not this page. -->\n"


def type_words(hint: Any) -> str:
    """A type as the reference says it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_words(a) for a in args)
    if origin in (tuple, list):
        return f"list of {type_words(args[0])}"
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"word of [{hint.__name__}](#{hint.__name__.lower()})"
    simple = {str: "string", int: "integer", bool: "boolean"}
    return simple[hint] if hint in simple else f"[{hint.__name__}](#{hint.__name__.lower()})"


def _fields(cls: Any) -> str:
    hints = typing.get_type_hints(cls)
    rows = ["| field | type | default |", "|---|---|---|"]
    for field in dataclasses.fields(cls):
        default = "" if field.default is dataclasses.MISSING else f"`{_json(field.default)}`"
        rows.append(f"| `{field.name}` | {type_words(hints[field.name])} | {default} |")
    return "\n".join(rows) + "\n"


def _json(value: object) -> str:
    return json.dumps(value)


def _says(cls: type) -> str:
    """A class's docstring as Markdown."""
    lines = (cls.__doc__ or "").splitlines()
    return "\n".join(line.strip() for line in lines).strip().replace("``", "`")


def events_page() -> str:
    """docs/reference/events.md"""
    parts = [
        MADE,
        "# Events of the journal\n",
        "The `data` of a journal line by its `type`, in this release. How a line is built and hashed is in the",
        "[controller protocol](controller-protocol.md). Names ending in `_ms` are milliseconds: since the Unix epoch",
        "for a point in time, a duration otherwise (`open_ms`, `lost_ms`, `offset_ms`, `tap_to_open_ms`). A field with",
        "a default may be missing. `locker` is the number within the bank, `07`. Integers are within ±(2^53 - 1).\n",
        "## Event types\n",
    ]
    for name, cls in ev.EVENT_TYPES.items():
        parts += [f"### {name}\n", _says(cls) + "\n", _fields(cls)]
    parts.append("## Parts of a snapshot\n")
    for part in (ev.Assigned, ev.Disabled, ev.Answered, ev.BankNow, ev.GapMark, LockerState, Assignment, Former):
        parts += [f"### {part.__name__}\n", _says(part) + "\n", _fields(part)]
    parts.append("## Words\n")
    for name, words in vars(vocabulary).items():
        if isinstance(words, type) and issubclass(words, StrEnum) and words is not StrEnum:
            parts += [f"### {name}\n", _says(words) + "\n"]
            if words is vocabulary.Reason:
                parts.append("| reason | when |\n|---|---|")
                parts += [f"| `{reason}` | {meaning} |" for reason, meaning in REASON_MEANING.items()]
                parts.append("")
            else:
                parts.append(", ".join(f"`{word.value}`" for word in words) + "\n")
    return "\n".join(parts).rstrip() + "\n"


def door_page() -> str:
    """docs/reference/door.md"""
    parts = [
        MADE,
        "# The states of a door\n",
        "Each arrow is a fact that the sensors, the clock or an unlock frame bring; behind the slash stands what it",
        "means for the journal. A fact that has no arrow changes nothing. After a start, and after a board was silent,",
        "a door is `blind`: its first reading is never anybody's act.\n",
        "```mermaid\nstateDiagram-v2",
        f"    [*] --> {DoorState.BLIND}",
    ]
    for (state, fact), (after, news) in DOOR_TABLE.items():
        parts.append(f"    {state} --> {after}: {fact}" + (f" / {news}" if news is not None else ""))
    parts.append("```")
    return "\n".join(parts) + "\n"


PAGES = {"events.md": events_page, "door.md": door_page}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
