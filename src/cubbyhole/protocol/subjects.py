"""The subjects of the fabric, who may use them, and the limits of a message.

``cb.<bank>.up.<verb>``   bank → server, request and reply
``cb.<bank>.cmd.<verb>``  server → bank; ``live`` is a request, ``nudge`` is published without an answer
``cb.enrol``              only for a connection that authenticated with an enrolment code
``_INBOX.<controller>.>`` where a controller receives its answers
"""

from __future__ import annotations

import re
from typing import Final

from cubbyhole.domain.layout import LayoutError, check_bank_id

MAX_PAYLOAD_BYTES: Final = 1024 * 1024

UP_VERBS: Final = frozenset({"beat", "events", "claim", "sync", "standing", "resume"})
LIVE: Final = "live"
NUDGE: Final = "nudge"

ENROL: Final = "cb.enrol"
SERVER_INBOX: Final = "_INBOX.server"

_CONTROLLER = re.compile(r"ctl_[0-9a-f]{12}")
_CODE = re.compile(r"[0-9a-f]{8}")


def is_bank(text: str) -> bool:
    """Whether this may be a bank's id. Such an id is always one whole token of a subject, never a wildcard."""
    try:
        check_bank_id(text)
    except LayoutError:
        return False
    return True


def is_controller(text: str) -> bool:
    """Whether this may be a controller's id (``ctl_`` and 12 hex digits)."""
    return _CONTROLLER.fullmatch(text) is not None


def up(bank: str, verb: str) -> str:
    """Where a bank sends a request of this kind. Raises ValueError for an id or verb that is none."""
    if not is_bank(bank) or verb not in UP_VERBS:
        raise ValueError(f"no such subject: bank {bank!r}, verb {verb!r}")
    return f"cb.{bank}.up.{verb}"


def up_from_any_bank(verb: str) -> str:
    """What the server listens to for one verb. It never listens wider: a wide ear would hide absent banks."""
    if verb not in UP_VERBS:
        raise ValueError(f"no such verb: {verb!r}")
    return f"cb.*.up.{verb}"


def cmd(bank: str, verb: str) -> str:
    """Where the server reaches a bank. Raises ValueError for an id or verb that is none."""
    if not is_bank(bank) or verb not in (LIVE, NUDGE):
        raise ValueError(f"no such subject: bank {bank!r}, verb {verb!r}")
    return f"cb.{bank}.cmd.{verb}"


def bank_of(subject: str) -> str | None:
    """The bank that a ``cb.<bank>.…`` subject names, or None."""
    tokens = subject.split(".")
    return tokens[1] if len(tokens) == 4 and tokens[0] == "cb" and is_bank(tokens[1]) else None


def controller_inbox(controller: str) -> str:
    """The inbox prefix of a controller. Raises ValueError for an id that is none."""
    if not is_controller(controller):
        raise ValueError(f"not a controller id: {controller!r}")
    return f"_INBOX.{controller}"


def enrolment_inbox(code_id: str) -> str:
    """The inbox prefix of a connection that enrols with this code."""
    if _CODE.fullmatch(code_id) is None:
        raise ValueError(f"not a code id: {code_id!r}")
    return f"_INBOX.enrol_{code_id}"


def may_be_answered(reply: str) -> bool:
    """Whether the server may publish to this reply subject.

    A sender chooses its reply subject, and the server may publish where the sender may not; so only the inboxes of
    controllers and of enrolments are answered.
    """
    return reply.startswith(("_INBOX.ctl_", "_INBOX.enrol_"))


def controller_permissions(controller: str, banks: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What a controller may publish and subscribe to: its own banks and its own inbox, nothing else.

    Answers to the server's requests need no permission here; they are allowed one by one ("allow responses").
    """
    publish = [up(bank, verb) for bank in banks for verb in sorted(UP_VERBS)]
    subscribe = [cmd(bank, verb) for bank in banks for verb in (LIVE, NUDGE)]
    return publish, [*subscribe, f"{controller_inbox(controller)}.>"]


def enrolment_permissions(code_id: str) -> tuple[list[str], list[str]]:
    """What an enrolling connection may publish and subscribe to."""
    return [ENROL], [f"{enrolment_inbox(code_id)}.>"]
