"""Making samples larger, and where a device overtakes."""

from __future__ import annotations

import torch

from sweeps.coverage.child.sizes import growing, n_elements, overtaking, repeated, time_sizes
from tests.sweeps.coverage.made import MadeOperation

CPU = torch.device("cpu")


def test_a_batch_is_repeated_along_its_first_dimension() -> None:
    sample = next(MadeOperation(function=torch.relu, shapes=((4, 3),)).samples("fp32"))
    larger = repeated(sample, 5, only_first=True)
    assert larger.args[0].shape == (20, 3)
    assert n_elements(larger) == 60


def test_the_largest_sample_that_grows_is_chosen() -> None:
    found = growing(MadeOperation(function=torch.relu, shapes=((2, 2), (8, 8), (3,))), "fp32")
    assert found is not None
    assert n_elements(found[0]) == 64


def test_an_operation_whose_result_does_not_grow_is_not_timed() -> None:
    columns = time_sizes(MadeOperation(function=lambda x: x.sum(), shapes=((4, 4),)), "fp32", CPU)
    assert columns == {"not_timed": "its samples cannot be made larger"}


def test_times_are_taken_at_growing_sizes_beside_the_cpus_float32() -> None:
    columns = time_sizes(MadeOperation(function=torch.relu), "fp16", CPU)
    assert columns["timing_elements"] == sorted(set(columns["timing_elements"]))
    assert columns["timing_elements"][-1] >= 2**18
    assert len(columns["timing_cpu_s"]) == len(columns["timing_device_s"]) == len(columns["timing_elements"])
    assert all(s > 0 for s in columns["timing_device_s"] + columns["timing_cpu_s"])


def test_a_device_overtakes_from_the_size_after_which_it_stays_ahead() -> None:
    assert overtaking([1, 2, 4, 8], [9, 1, 3, 3], [1, 2, 4, 8]) == 2
    assert overtaking([1, 2, 4], [1, 9, 1], [2, 2, 2]) == 4
    assert overtaking([1, 2], [1, 9], [2, 2]) is None
