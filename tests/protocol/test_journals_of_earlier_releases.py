"""A journal that a release has written folds to the same state for ever.

``golden/journal-<n>.jsonl`` and ``.state.json`` are frozen: they are never made again. A release that adds event
types adds another pair.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.events import EVENT_TYPES
from cubbyhole.protocol.journal import decode_line, encode_state, fold_line
from cubbyhole.protocol.signing import is_signed, parse_public

GOLDEN = Path(__file__).parent / "golden"
JOURNALS = sorted(GOLDEN.glob("journal-*.jsonl"))


def lines_of(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines()


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: p.stem)
def test_a_frozen_journal_folds_to_its_frozen_state(journal: Path) -> None:
    frozen: dict[str, Any] = json.loads(journal.with_suffix(".state.json").read_text())
    lines = [decode_line(raw) for raw in lines_of(journal)]
    state = BankState(bank=lines[0].bank)
    for line in lines:
        fold_line(state, line)
    assert missing(frozen["state"], json.loads(encode_state(state))) == []


@pytest.mark.parametrize("journal", JOURNALS, ids=lambda p: p.stem)
def test_a_frozen_journal_has_its_frozen_hash_and_signature(journal: Path) -> None:
    head = json.loads(journal.with_suffix(".state.json").read_text())["head"]
    first = decode_line(lines_of(journal)[0])
    found = genesis(first.bank, first.epoch)
    for raw in lines_of(journal):
        found = link(found, raw)
    assert found.hex() == head["hash"]
    text = head_text(first.bank, first.epoch, head["seq"], found)
    assert is_signed(parse_public(head["journal_key"]), text, head["signature"])


def test_every_event_type_of_this_release_is_frozen_somewhere() -> None:
    assert JOURNALS
    frozen = {decode_line(raw).type for journal in JOURNALS for raw in lines_of(journal)}
    assert frozen == set(EVENT_TYPES)


def missing(frozen: object, now: object, at: str = "$") -> list[str]:
    """Where ``now`` does not say what ``frozen`` says; what a later release says besides does not matter."""
    if isinstance(frozen, dict) and isinstance(now, dict):
        return [x for key, value in frozen.items() for x in missing(value, now.get(key), f"{at}.{key}")]
    if isinstance(frozen, list) and isinstance(now, list) and len(frozen) == len(now):
        return [x for i, pair in enumerate(zip(frozen, now, strict=True)) for x in missing(*pair, f"{at}[{i}]")]
    return [] if frozen == now else [f"{at}: was {frozen!r}, is {now!r}"]
