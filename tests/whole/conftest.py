"""One house for the tests that leave it as they found it: every bank online, every cable whole, nobody at the door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cubbyhole.simulator.house import House
from tests.support.house import running_house


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    with running_house() as started:
        yield started
