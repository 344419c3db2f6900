"""Templates to pages. One `Renderer` per process; it knows the built files' hashed names."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from cubbyhole.ui import bank_svg, icons
from cubbyhole.ui.words import Words

STATES = ("free", "inuse", "expiring", "open", "oos", "alarm", "offline")
REASONS_OPEN = ("forgot_badge", "delivery", "maintenance", "emergency", "other")
REASONS_END = ("left_company", "moved", "asked_by_holder", "abandoned", "other")
REASONS_CHECKED = ("empty", "emptied", "other")
REASONS_SETTLED = ("door_shut", "lock_freed", "nothing_wrong", "other")
REASONS_IN = ("repaired", "cleaned", "mistake", "other")
REASONS_OUT = ("door_damaged", "lock_fault", "cleaning", "lost_item", "other")
# What the page's script says by itself when something moves.
LIVE_WORDS = (
    "state.", "size.", "door.", "lock.", "feature.", "bank.title", "bank.free", "bank.offline", "bank.never",
    "presence.", "kpi.of", "month.", "date", "live.", "bench.",
)  # fmt: skip


def static_folder() -> Path:
    """Where the built scripts and styles are."""
    return Path(str(resources.files("cubbyhole.ui").joinpath("static")))


class NotBuilt(RuntimeError):
    """The pages' scripts and styles have not been built."""


class Renderer:
    """Renders templates by name. Raises NotBuilt at once where `make web` has not run."""

    def __init__(self) -> None:
        manifest = static_folder() / "manifest.json"
        if not manifest.exists():
            raise NotBuilt("the pages' scripts and styles are not built: run `make web`")
        self._assets: dict[str, str] = json.loads(manifest.read_text())
        folder = Path(str(resources.files("cubbyhole.ui").joinpath("templates")))
        self._templates = Environment(
            loader=FileSystemLoader(folder), autoescape=select_autoescape(default=True), undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.globals.update(
            asset=self.asset, icon=icons.icon, sprite=icons.sprite, picture_defs=bank_svg.defs, states=STATES,
            reasons_open=REASONS_OPEN, reasons_end=REASONS_END, reasons_out=REASONS_OUT,
            reasons_checked=REASONS_CHECKED, reasons_settled=REASONS_SETTLED, reasons_in=REASONS_IN,
            look_of=bank_svg.look_of,
        )  # fmt: skip

    def asset(self, name: str) -> str:
        """The address of a built file: ``app.js`` → ``/static/app-<hash>.js``."""
        return "/static/" + self._assets[name]

    def page(self, template: str, words: Words, **context: Any) -> str:
        """One page or fragment. What each template needs stands in README.md beside this file."""

        def picture(bank: Any, **options: Any) -> Markup:
            return bank_svg.draw(bank, words, **options)

        return self._templates.get_template(template).render(
            words=words, t=words.t, picture=picture, language=words.language,
            live_words=words.some(*LIVE_WORDS), **context,
        )  # fmt: skip
