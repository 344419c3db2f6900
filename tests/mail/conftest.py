"""The server's fixtures, and a post of its own for each test: a real mail server, and a runner that sends to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mail.post_office import PostOffice, post_office
from tests.server.conftest import clock, database_url, migrated_file, migrated_url, sealing, store

__all__ = ["clock", "database_url", "migrated_file", "migrated_url", "office", "sealing", "store"]


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as it:
        yield it
