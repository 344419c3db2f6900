"""Judging a batch of journal lines, with no I/O: is it the bank's own, is it next, what does the bank look like then?

Nothing is believed that the controller's key has not signed. Each line's hash includes the one before it, so the
signature over the last line covers the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cubbyhole.domain.bank import BankState, FoldError
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.events import EpochStarted, UnknownEvent
from cubbyhole.protocol.gap import FalseGap, ProvenGap, prove
from cubbyhole.protocol.journal import Line, LineError, decode_line, decode_state
from cubbyhole.protocol.messages import Events, Head
from cubbyhole.protocol.signing import UnusableKey, is_signed, parse_public


@dataclass(frozen=True, slots=True)
class Known:
    """What the server has committed of one bank. ``hashes`` has those of earlier lines that a batch may overlap."""

    bank: str
    controller: str
    journal_key: str
    epoch: str
    last_seq: int
    last_hash: bytes
    state: bytes  # encoded
    past_epochs: frozenset[str] = frozenset()
    quarantined_under: str | None = None  # the controller whose journal is no longer believed
    hashes: Mapping[int, bytes] | None = None
    promised: Mapping[int, bytes] | None = None  # by seq: hashes of `journal.gap` lines shown before their turn


@dataclass(frozen=True, slots=True)
class NewLine:
    """One line that the server did not have yet."""

    raw: bytes
    hash: bytes
    line: Line


@dataclass(frozen=True, slots=True)
class Hole:
    """Lines ``first`` to ``last`` will never come; ``gap`` is what the controller has signed about it."""

    first: int
    last: int
    gap: ProvenGap


@dataclass(frozen=True, slots=True)
class Accepted:
    """New lines, the head that covers them and the bank's state behind them. ``hole``: what is missing before them."""

    lines: tuple[NewLine, ...]
    head: Head
    state: BankState
    new_epoch: EpochStarted | None
    hole: Hole | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """All of it was there already."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines are missing from ``need`` on."""

    need: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """The batch contradicts what is known; it is evidence, and its bank's view stops moving."""

    why: str


Verdict = Accepted | Nothing | Gap | Suspect


def judge(known: Known, batch: Events) -> Verdict:
    """Judge ``batch`` against what is known."""
    try:
        return _judge(known, batch)
    except _Doubt as doubt:
        return Suspect(str(doubt))


class _Doubt(Exception):
    """Why a batch is not believed."""


def _judge(known: Known, batch: Events) -> Verdict:
    if not batch.lines or batch.first < 1:
        raise _Doubt("a batch without lines")
    last = batch.first + len(batch.lines) - 1
    heads = {head.seq: head for head in batch.heads}
    if last not in heads:
        raise _Doubt("the last line of a batch has no signed head")
    if batch.epoch in known.past_epochs:
        raise _Doubt("lines of a journal that another has replaced")
    same_epoch = batch.epoch == known.epoch
    if same_epoch and known.quarantined_under is not None:
        raise _Doubt("the journal is in quarantine")
    if not same_epoch and batch.first != 1:
        # Only the beginning of a journal can say how it continues the one before.
        if batch.gap is not None:
            raise _Doubt("a journal whose beginning is gone; enrol its controller again, it then begins a new one")
        return Gap(1)
    committed = known.last_seq if same_epoch else 0
    hole = None
    if batch.first > committed + 1:
        hole = _hole(known, batch)
        if hole is None:
            return Gap(committed + 1)
    previous = hole.gap.hash_after if hole is not None else _hash_before(known, batch.first, same_epoch, batch)
    if previous is None:
        # An old stretch whose hashes are not at hand; the bank goes on from what is committed.
        return Nothing() if last <= committed else Gap(committed + 1)
    lines = _chain(batch, previous)
    _check_heads(known, batch, lines, heads, last)
    if same_epoch and last >= committed >= batch.first and lines[committed - batch.first].hash != known.last_hash:
        raise _Doubt(f"line {committed} is not the one that was acknowledged")
    fresh = tuple(lines[max(0, committed + 1 - batch.first) :]) if last > committed else ()
    if not fresh:
        return Nothing()
    _check_promises(known, hole, fresh)
    new_epoch = None if same_epoch else _continues(known, fresh[0].line)
    return Accepted(fresh, heads[last], _fold(known, fresh, new_epoch, hole), new_epoch, hole)


def _hole(known: Known, batch: Events) -> Hole | None:
    """What the batch proves to be missing between what is committed and its first line; None where that is not it."""
    proof, need = batch.gap, known.last_seq + 1
    if proof is None:
        return None
    try:
        lines = [bytes(part) for part in proof.lines]
        gap = prove(
            known.bank, batch.epoch, parse_public(known.journal_key), proof.before, lines, proof.head.hash,
            proof.head.signature,
        )  # fmt: skip
    except (FalseGap, UnusableKey) as error:
        raise _Doubt(str(error)) from None
    if not gap.event.first <= need <= gap.event.last or batch.first != gap.event.last + 1:
        return None
    if need == gap.event.first and gap.hash_before not in (None, known.last_hash):
        raise _Doubt(f"a gap behind another line {need - 1} than the one that was acknowledged")
    return Hole(need, gap.event.last, gap)


def _check_promises(known: Known, hole: Hole | None, fresh: tuple[NewLine, ...]) -> None:
    """A `journal.gap` that was shown before its turn must be the line that then comes: there is one journal."""
    promised = dict(known.promised or {})
    if hole is not None:
        promised[hole.gap.seq] = hole.gap.line_hash
    for new in fresh:
        if promised.get(new.line.seq, new.hash) != new.hash:
            raise _Doubt(f"line {new.line.seq} is not the journal.gap that was shown under this number before")


def _hash_before(known: Known, first: int, same_epoch: bool, batch: Events) -> bytes | None:
    if first == 1:
        return genesis(known.bank, batch.epoch)
    if same_epoch and first == known.last_seq + 1:
        return known.last_hash
    return (known.hashes or {}).get(first - 1)


def _chain(batch: Events, previous: bytes) -> list[NewLine]:
    found = []
    for seq, part in enumerate(batch.lines, batch.first):
        raw = bytes(part)
        try:
            line = decode_line(raw)
        except LineError as error:
            raise _Doubt(f"line {seq}: {error}") from None
        if (line.bank, line.epoch, line.seq) != (batch.bank, batch.epoch, seq):
            raise _Doubt(f"line {seq} says that it is line {line.seq} of bank {line.bank[:24]!r}")
        previous = link(previous, raw)
        found.append(NewLine(raw, previous, line))
    return found


def _check_heads(known: Known, batch: Events, lines: list[NewLine], heads: Mapping[int, Head], last: int) -> None:
    for seq, head in heads.items():
        if batch.first <= seq <= last and head.hash != lines[seq - batch.first].hash.hex():
            raise _Doubt(f"the head at line {seq} has another hash than the lines")
    try:
        key = parse_public(known.journal_key)
    except UnusableKey as error:
        raise _Doubt(f"the controller's journal key cannot be used: {error}") from None
    text = head_text(known.bank, batch.epoch, last, lines[-1].hash)
    if not is_signed(key, text, heads[last].signature):
        raise _Doubt(f"the head at line {last} is not signed by this bank's controller")


def _continues(known: Known, line: Line) -> EpochStarted:
    event = line.event
    if not isinstance(event, EpochStarted):
        raise _Doubt("a journal begins without epoch.started")
    if event.journal_key != known.journal_key:
        raise _Doubt("a journal begins with another key than its controller enrolled with")
    if known.quarantined_under == known.controller:
        raise _Doubt("a controller whose journal is in quarantine began a new one; enrol it again if that is right")
    said = event.previous_epoch or "", event.previous_seq, event.previous_hash or ""
    have = known.epoch, known.last_seq, known.last_hash.hex() if known.epoch else ""
    if said != have:
        raise _Doubt(f"a new journal says that it continues line {said[1]}, but line {have[1]} is what was committed")
    return event


def _fold(known: Known, fresh: tuple[NewLine, ...], new_epoch: EpochStarted | None, hole: Hole | None) -> BankState:
    state = decode_state(known.state)
    if hole is not None:
        state.lose(hole.last, hole.gap.seq)
    for new in fresh:
        line = new.line
        if line.epoch != known.epoch and line.seq > 1 and isinstance(line.event, EpochStarted):
            raise _Doubt(f"line {line.seq} begins a journal in the middle of one")
        try:
            fold_signed(state, line)
        except Exception as error:  # whatever a signed line makes the fold do, it must stop here
            raise _Doubt(f"line {line.seq} ({line.type}) cannot be folded: {error!r}") from None
        if new_epoch is not None:
            state.epoch = line.epoch
    return state


def fold_signed(state: BankState, line: Line) -> None:
    """Fold a line that the bank's controller has signed. Raises FoldError.

    Behind an event of a newer release the view is not the bank's state, so a line may speak of what only that event
    has brought: it is kept like the event itself, and both are folded again after the upgrade.
    """
    try:
        state.apply(line.event, line.seq, line.moment)
    except FoldError:
        if state.unknown_types == 0:
            raise
        state.apply(UnknownEvent(line.type), line.seq, line.moment)
