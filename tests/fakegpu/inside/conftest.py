"""These tests run in processes that have the fake accelerator, started by tests/fakegpu/test_inside.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakegpu import KIND

if KIND not in os.environ:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kind = os.environ.get(KIND)
    other = {"unified": "discrete", "discrete": "unified"}.get(kind or "")
    items[:] = [item for item in items if other is None or item.get_closest_marker(other) is None]


@pytest.fixture
def slow_operators() -> Iterator[float]:
    """Every operator takes 20 ms of the device; the seconds."""
    import torch

    torch.accelerator.synchronize()
    torch.fakegpu.set_operator_time(0.02)
    yield 0.02
    torch.fakegpu.set_operator_time(0)
    torch.accelerator.synchronize()
