"""Letters to mails: the same content as HTML for mail programs and as plain text. Needs nothing that is built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from cubbyhole.ui.words import Words

# Around what stands out in a text (`strong`). Control characters cannot come from outside: `plain` takes them away.
_FROM, _TO = "\x02", "\x03"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Button:
    """``quiet``: beside the one that matters."""

    label: str
    url: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says. ``subject`` and ``preview`` are seen over somebody's shoulder: nothing secret is in them.

    ``hero`` is what is written large (a locker), ``mark`` the state's word beside it, ``state`` its colour.
    """

    subject: str
    preview: str
    title: str
    lead: tuple[str, ...]
    state: str = "yours"
    hero: str = ""
    mark: str = ""
    code: str = ""
    lines: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    small: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A letter as it is sent."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Colours:
    """Of one state, light and dark: the ground of the large number, and the number. As in `frontend/css/tokens.css`."""

    front: str
    ink: str
    front_dark: str
    ink_dark: str


COLOURS = {
    "yours": Colours("#2348E0", "#FFFFFF", "#3255E6", "#FFFFFF"),
    "expiring": Colours("#EFBD45", "#3A2600", "#B98520", "#1F1500"),
    "waiting": Colours("#CDB2DB", "#3B1250", "#66427A", "#F6E8FC"),
    "inuse": Colours("#DAD2C1", "#4A4438", "#37332D", "#CFC8BA"),
    "alarm": Colours("#B81E17", "#FFFFFF", "#B81E17", "#FFFFFF"),
}


def plain(text: str, most: int = 200) -> str:
    """A name or address from outside on one line, without control characters."""
    return _CONTROL.sub(" ", text).strip()[:most]


def strong(text: str) -> str:
    """Something in a letter's text that should stand out."""
    return f"{_FROM}{text}{_TO}"


class MailRenderer:
    """Draws letters. Safe in several threads."""

    def __init__(self) -> None:
        folder = Path(str(resources.files("cubbyhole.ui").joinpath("templates", "mail")))
        self._templates = Environment(
            loader=FileSystemLoader(folder), autoescape=lambda name: name is not None and name.endswith(".html"),
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        self._templates.filters.update(shown=_shown, bare=_bare)

    def draw(self, letter: Letter, words: Words) -> Drawn:
        given = {"letter": letter, "t": words.t, "language": words.language, "colours": COLOURS[letter.state]}
        return Drawn(
            subject=_bare(letter.subject),
            text=self._templates.get_template("letter.txt").render(given),
            html=self._templates.get_template("letter.html").render(given),
        )


def _shown(text: str) -> Markup:
    return Markup(str(escape(text)).replace(_FROM, "<b class=ink>").replace(_TO, "</b>"))


def _bare(text: str) -> str:
    return text.replace(_FROM, "").replace(_TO, "")
