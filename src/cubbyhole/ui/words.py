"""Words in the person's language. A missing translation is an error, never an English word in a German page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

LANGUAGES = ("en", "de")


@dataclass(frozen=True, slots=True)
class Text:
    """Something to say once it is known in which language: a key of the locale files and what fills it in."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


class MissingWords(KeyError):
    """A key that a language does not have."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of one language by key."""
    text = resources.files("cubbyhole.ui").joinpath("locales", f"{language}.json").read_text(encoding="utf-8")
    loaded: dict[str, str] = json.loads(text)
    return loaded


class Words:
    """One language and one time zone, for one page."""

    def __init__(self, language: str = "en", timezone: str = "UTC") -> None:
        self.language = language if language in LANGUAGES else "en"
        self.timezone = ZoneInfo(timezone)

    def t(self, key: str, **values: object) -> str:
        """The text of ``key`` with its ``{names}`` filled in. ``n`` equal to 1 takes ``key.one`` where there is one."""
        texts = catalogue(self.language)
        if values.get("n") == 1 and f"{key}.one" in texts:
            key = f"{key}.one"
        if key not in texts:
            raise MissingWords(f"{self.language}: {key}")
        return texts[key].format(**values)

    def say(self, text: Text) -> str:
        """A text in this language."""
        return self.t(text.key, **text.values)

    def known(self, key: str) -> str | None:
        """The text of ``key`` as it stands; None where there is none. For words that come from elsewhere."""
        return catalogue(self.language).get(key)

    def some(self, *prefixes: str) -> dict[str, str]:
        """All texts whose keys begin so: what the page's script needs to go on speaking this language."""
        return {key: text for key, text in catalogue(self.language).items() if key.startswith(prefixes)}

    def clock(self, at_ms: int | None) -> str:
        """Time of day at the site, 24 hours."""
        return "" if at_ms is None else self._local(at_ms).strftime("%H:%M")

    def moment(self, at_ms: int | None, now_ms: int) -> str:
        """Time of day, with the day where it is not today's."""
        if at_ms is None:
            return ""
        local, now = self._local(at_ms), self._local(now_ms)
        if local.date() == now.date():
            return local.strftime("%H:%M")
        return f"{self._date(local)}, {local:%H:%M}"

    def until(self, at_ms: int, now_ms: int) -> str:
        """A coming moment; the midnight that ends today is said as such."""
        local, now = self._local(at_ms), self._local(now_ms)
        if (local.hour, local.minute) == (0, 0) and local.date() - now.date() == timedelta(days=1):
            return self.t("date.midnight")
        return self.moment(at_ms, now_ms)

    def iso(self, at_ms: int) -> str:
        """The moment as machines read it."""
        return self._local(at_ms).isoformat(timespec="seconds")

    def day(self, at_ms: int) -> str:
        """The day in full: weekday, day, month, time."""
        local = self._local(at_ms)
        weekday = self.t(f"weekday.{local.weekday()}") + self.t("date.behind_weekday")
        return f"{weekday}{self._date(local)}, {local:%H:%M}"

    def _date(self, local: datetime) -> str:
        return self.t("date", day=local.day, month=self.t(f"month.{local.month}"))

    def _local(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.timezone)


def language_for(accepted: str) -> str:
    """The first language of an ``Accept-Language`` header that there is; English where there is none of them."""
    for part in accepted[:200].split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"


# For programs and logs: what the API says besides its stable words.
ENGLISH = Words()
