"""One checker per line of "What must always hold"; independent of the code that they judge."""

from __future__ import annotations

from collections.abc import Sequence

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.checkers.delivery import Delivery
from cubbyhole.simulator.world.checkers.denials import Denials
from cubbyhole.simulator.world.checkers.ends import Ends
from cubbyhole.simulator.world.checkers.errors import Errors
from cubbyhole.simulator.world.checkers.folds import Folds
from cubbyhole.simulator.world.checkers.grants import Grants
from cubbyhole.simulator.world.checkers.holders import Holders
from cubbyhole.simulator.world.checkers.live import LiveCommands
from cubbyhole.simulator.world.checkers.revocation import Revocation
from cubbyhole.simulator.world.checkers.standing import StandingCommands
from cubbyhole.simulator.world.checkers.states import States
from cubbyhole.simulator.world.checkers.tables import Tables
from cubbyhole.simulator.world.witness import Checker


def all_checkers(world: World, scenes: Sequence[BankScene]) -> list[Checker]:
    """The checkers of one run."""
    kinds = (
        Grants, Holders, LiveCommands, StandingCommands, Delivery, Folds, Revocation, Ends, Denials, Errors, States,
        Tables,
    )  # fmt: skip
    return [kind(world, scenes) for kind in kinds]
