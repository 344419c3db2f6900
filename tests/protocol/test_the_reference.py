"""The pages that are made from the code are the ones that the code makes, and every word in them has a meaning."""

from __future__ import annotations

import pytest

from cubbyhole.domain.events import EVENT_TYPES
from cubbyhole.domain.vocabulary import REASON_MEANING, Reason
from tests.support.reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    made = PAGES[name]()
    assert (FOLDER / name).read_text(encoding="utf-8") == made, "run: python -m tests.support.reference"


def test_every_reason_has_a_meaning() -> None:
    assert set(REASON_MEANING) == set(Reason)
    assert len(set(REASON_MEANING.values())) == len(Reason)


def test_every_event_says_what_it_means() -> None:
    for cls in EVENT_TYPES.values():
        assert cls.__doc__
        assert not cls.__doc__.startswith(cls.__name__ + "(")
