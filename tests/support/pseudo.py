"""A language that nobody speaks: every text of the locale files stands in ⟦brackets⟧ with accents on its letters.

What a page shows outside the brackets, and is nobody's name, was never in the locale files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from cubbyhole.ui import words as ui_words

PSEUDO = "xx"
_ACCENTS = str.maketrans("aeiouAEIOU", "àéîöüÀÉÎÖÜ")
_FIELD = re.compile(r"(\{\w+\})")
_WORD = re.compile(r"[^\W\d_]{2,}")


def _pseudo(text: str) -> str:
    parts = _FIELD.split(text)
    return "⟦" + "".join(p if _FIELD.fullmatch(p) else p.translate(_ACCENTS) for p in parts) + "⟧"


@contextmanager
def a_language_that_nobody_speaks() -> Iterator[str]:
    """Within it, `Words(PSEUDO)` speaks that language."""
    real = ui_words.catalogue
    made = {key: _pseudo(text) for key, text in real("en").items()}
    with (
        mock.patch.object(ui_words, "LANGUAGES", (*ui_words.LANGUAGES, PSEUDO)),
        mock.patch.object(ui_words, "catalogue", lambda language: made if language == PSEUDO else real(language)),
    ):
        yield PSEUDO


def outside(text: str) -> str:
    """What of ``text`` stands in no brackets; they may be nested."""
    depth, kept = 0, []
    for letter in text:
        depth += letter == "⟦"
        if depth == 0:
            kept.append(letter)
        depth -= letter == "⟧"
    return "".join(kept)


def words_outside(text: str) -> set[str]:
    """The words of ``text`` that stand in no brackets: two letters or more."""
    return set(_WORD.findall(outside(text)))
