"""Study files that need not outlive the machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine


@pytest.fixture(autouse=True, scope="module")
def study_files_are_not_forced_to_disk() -> Iterator[None]:
    """SQLite locks and writes its files as ever, and waits for no disk: most of what a study in a test takes."""

    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    event.listen(Engine, "connect", connected)
    yield
    event.remove(Engine, "connect", connected)
