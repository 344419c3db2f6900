"""Every edit, reordering and cut of a journal shows in its hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain.chain import genesis, head_text, link, receipt_text

lines = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)


def last_hash(written: Sequence[bytes], bank: str = "A", epoch: str = "e" * 32) -> bytes:
    found = genesis(bank, epoch)
    for line in written:
        found = link(found, line)
    return found


@given(lines, st.data())
def test_an_edit_a_deletion_a_reorder_a_cut_and_an_insertion_change_the_last_hash(
    written: list[bytes], data: st.DataObject
) -> None:
    true = last_hash(written)
    at = data.draw(st.integers(0, len(written) - 1))
    edited = data.draw(st.binary(min_size=1, max_size=40))
    tampered = [
        [*written[:at], edited, *written[at + 1 :]],
        [*written[:at], *written[at + 1 :]],
        [*written[:at], edited, *written[at:]],
        written[:at],
        data.draw(st.permutations(written)),
    ]
    for other in tampered:
        assert (last_hash(other) == true) == (list(other) == written)


@given(lines)
def test_a_journal_cannot_pass_for_another_banks_or_epochs(written: list[bytes]) -> None:
    found = {last_hash(written, b, e) for b in ("A", "B", "AB") for e in ("e" * 32, "f" * 32)}
    assert len(found) == 6


def test_the_hashes_are_what_the_specification_says() -> None:
    """Written from the specification with hashlib alone."""
    first = hashlib.sha256(b"cubbyhole-journal-v1\x00A\x00" + b"e" * 32).digest()
    assert genesis("A", "e" * 32) == first
    assert link(first, b"{}") == hashlib.sha256(first + b"{}").digest()
    seq = (7).to_bytes(8, "big")
    assert head_text("A", "e" * 32, 7, first) == b"cubbyhole-head-v1\x00A\x00" + b"e" * 32 + b"\x00" + seq + first
    assert receipt_text("A", "e" * 32, 7, first, 9) == (
        b"cubbyhole-receipt-v1\x00A\x00" + b"e" * 32 + b"\x00" + seq + first + (9).to_bytes(8, "big")
    )
