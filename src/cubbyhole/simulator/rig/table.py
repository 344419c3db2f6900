"""One TOML table, read key by key, with errors that say where and what."""

from __future__ import annotations

from collections.abc import Mapping


class SettingsError(Exception):
    """The configuration cannot be used; the text says where and what to write instead."""


_MISSING = object()


class Table:
    """Takes keys out of a table; ``done`` then finds what nobody asked for (a typing mistake)."""

    def __init__(self, where: str, content: Mapping[str, object]) -> None:
        self.where = where
        self._content = content
        self._asked: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, _MISSING if default is None else default)
        if not isinstance(value, str) or (default is None and not value):
            raise SettingsError(f"{self.where}: {key} must be a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{self.where}: {key} must be a list of texts")
        return tuple(value)

    def text_map(self, key: str) -> Mapping[str, str]:
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise SettingsError(f"{self.where}: {key} must be a table of texts")
        return dict(value)

    def options(self, key: str) -> Mapping[str, int | bool | str]:
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, int | bool | str) for item in value.values()):
            raise SettingsError(f"{self.where}: {key} must be a table of numbers, texts, true and false")
        return dict(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise SettingsError(f"{self.where}: {key} must be true or false")
        return value

    def whole(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        value = self._take(key, _MISSING if default is None else default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise SettingsError(f"{self.where}: {key} must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise SettingsError(f"{self.where}: {key} must be a number from {low:g} to {high:g}")
        return float(value)

    def tables(self, key: str) -> list[Table]:
        value = self._take(key, [])
        if isinstance(value, dict):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise SettingsError(f"{self.where}: write {key} as a table")
        return [Table(f"{self.where}, {key} {index}", item) for index, item in enumerate(value, 1)]

    def done(self, *passed_over: str) -> None:
        """Raises ``SettingsError`` for a key that was neither asked for nor is passed over."""
        unknown = set(self._content) - self._asked - set(passed_over)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise SettingsError(f"{self.where}: {sorted(unknown)[0]!r} is not known here; known are {known}")

    def _take(self, key: str, default: object) -> object:
        self._asked.add(key)
        value = self._content.get(key, default)
        if value is _MISSING:
            raise SettingsError(f"{self.where}: {key} is missing")
        return value
