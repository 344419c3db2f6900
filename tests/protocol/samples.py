"""One filled example of every event and every message, made from their types alone."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from typing import Any

import msgspec

from cubbyhole.domain import events as ev
from cubbyhole.protocol import messages as m

MESSAGES: list[type[m.Message]] = sorted(
    (c for c in vars(m).values() if isinstance(c, type) and issubclass(c, m.Message) and c is not m.Message),
    key=lambda c: c.__name__,
)
PAIRS = {"commands": [], "lines": [msgspec.Raw(b"{}")]}


def filled(cls: Any, *, optional: bool = True) -> Any:
    """An instance of a struct or dataclass; optional fields are filled too unless ``optional`` is False."""
    hints = typing.get_type_hints(cls)
    given: dict[str, Any] = {}
    for name, required in _fields(cls):
        if required or optional:
            given[name] = PAIRS[name] if name in PAIRS else _value(hints[name])
    return cls(**given)


def _fields(cls: Any) -> list[tuple[str, bool]]:
    if dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        return [(f.name, f.default is missing and f.default_factory is missing) for f in dataclasses.fields(cls)]
    return [(f.name, f.required) for f in msgspec.structs.fields(cls) if f.name != "v"]


def _value(hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in args if a is not type(None)))
    if origin is typing.Annotated:
        return _value(args[0])
    if origin is tuple:
        return (_value(args[0]),)
    if origin is list:
        return [_value(args[0])]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, tuple):
        return hint(*(_value(part) for part in typing.get_type_hints(hint).values()))
    simple: dict[Any, Any] = {str: "text", int: 7, bool: True, msgspec.Raw: msgspec.Raw(b"{}")}
    return simple[hint] if hint in simple else filled(hint)


EVENTS: list[ev.Event] = [filled(cls) for cls in ev.EVENT_TYPES.values()]
