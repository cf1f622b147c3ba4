"""Page faults are counted on real memory: a step that takes it anew, and one that keeps it."""

from __future__ import annotations

import contextlib
import mmap
import sys

import pytest

from sweeps.measure.monitors.page_faults import PageFaultCounter
from sweeps.store.schema import TRIALS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody counts page faults there")
N_BYTES = 2**25


def touched() -> mmap.mmap:
    """Fresh memory with a byte written to each of its pages."""
    memory = mmap.mmap(-1, N_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # huge pages would come with a few faults
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    touch(memory)
    return memory


def touch(memory: mmap.mmap) -> None:
    for offset in range(0, N_BYTES, mmap.PAGESIZE):
        memory[offset] = 1


def test_memory_taken_anew_in_each_step_is_counted_with_the_kernels_time() -> None:
    counter = PageFaultCounter()
    for _ in range(2):  # two rounds of three steps
        with counter:
            for _ in range(3):
                touched().close()
    columns = counter.columns(6)
    assert columns["page_fault_bytes_per_step"] == pytest.approx(N_BYTES, rel=0.05)
    assert 0 < columns["system_time_ratio"] <= 1
    assert set(columns) <= set(TRIALS.names)


def test_memory_that_is_kept_and_faults_between_rounds_count_as_none() -> None:
    counter, kept = PageFaultCounter(), touched()
    with counter:
        touch(kept)
    touched().close()
    with counter:
        touch(kept)
    assert counter.columns(2)["page_fault_bytes_per_step"] < N_BYTES / 20


@pytest.mark.parametrize(("rounds", "n_steps"), [(0, 1), (1, 0)])
def test_where_nothing_ran_nothing_is_told(rounds: int, n_steps: int) -> None:
    counter = PageFaultCounter()
    for _ in range(rounds):
        with counter:
            pass
    assert set(counter.columns(n_steps).values()) == {None}
