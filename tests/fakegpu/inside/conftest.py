"""These tests run in processes that have the fake accelerator, started by tests/fakegpu/test_inside.py."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakegpu import KIND, NAME

if KIND not in os.environ:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kind = os.environ.get(KIND)
    other = {"unified": "discrete", "discrete": "unified"}.get(kind or "")
    items[:] = [item for item in items if other is None or item.get_closest_marker(other) is None]


@pytest.fixture(scope="session", autouse=True)
def work_of_the_cpus_size() -> Iterator[None]:
    """Let what is proven and measured once of the device be small enough for the CPU, which is what it computes on."""
    import torch

    from sweeps.measure import ceilings
    from sweeps.measure.timing import clock, timer_proof, transfer

    torch.set_num_threads(1)  # before the device's own threads begin, which keep the number that they find
    with pytest.MonkeyPatch.context() as patched:
        for by_type in (timer_proof._UNIT_S, timer_proof._MATRIX_SIZE):
            patched.setitem(by_type, NAME, by_type["cpu"])
        for name, less in (("MAX_PRODUCTS_S", 0.0), ("LEAST_SIZE", 256), ("REPEAT_S", 0.005)):
            patched.setattr(ceilings, name, less)
        patched.setattr(clock, "WARMUP_WINDOW_S", 0.02)
        patched.setattr(transfer, "BANDWIDTH_BYTES", 2**20)
        yield


@pytest.fixture
def slow_operators() -> Iterator[float]:
    """Every operator takes 20 ms of the device; the seconds."""
    import torch

    torch.accelerator.synchronize()
    torch.fakegpu.set_operator_time(0.02)
    yield 0.02
    torch.fakegpu.set_operator_time(0)
    torch.accelerator.synchronize()
