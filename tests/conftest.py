"""Fixtures that any test may use, and the order in which tests run.

``postgres_url``  an empty PostgreSQL database, gone after the test
``nats_url``      a plain nats-server of the test's own
``page``          pytest-playwright's page, in Debian's Chromium; mark such tests with ``browser``
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.browser import MISSING, find_browser, launch_arguments, use_our_node
from tests.support.nats import plain_nats
from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as start_postgres

# What a developer's shell says must not reach the tests.
for name in ("PORT", "CUBBYHOLE_HOME", "CUBBYHOLE_EDGE", "CUBBYHOLE_SIM_SOCKET"):
    os.environ.pop(name, None)

# Tests start many processes; where no bytecode may be kept beside the sources, each of them would compile all of its
# libraries anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(__file__).parents[1] / ".cache" / "bytecode"))

# On a loaded machine a slow example is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_without_browser = False


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The run's one PostgreSQL, started when the first test asks for it."""
    with start_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def nats_url(tmp_path: Path) -> Iterator[str]:
    """A plain nats-server of the test's own."""
    folder = tmp_path / "nats"
    folder.mkdir()
    with plain_nats(folder) as server:
        yield server.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Playwright with the system's browser. Without one: a loud skip, or a failure where CI is set."""
    global _without_browser
    program = find_browser()
    if program is None:
        _without_browser = True
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return {**browser_type_launch_args, **launch_arguments(program)}


@pytest.fixture(scope="session")
def playwright(browser_type_launch_args: dict[str, Any]) -> Iterator[Any]:
    """pytest-playwright's, but only once it is known that there is a browser to drive."""
    use_our_node()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: once Playwright's synchronous side has started, no other loop can run in this thread."""
    items.sort(key=lambda item: "playwright" in getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _without_browser:
        terminalreporter.section("BROWSER TESTS DID NOT RUN", sep="!", yellow=True, bold=True)
        terminalreporter.line(MISSING)
