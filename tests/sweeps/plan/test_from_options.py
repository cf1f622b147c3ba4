"""What a command line asks for."""

from __future__ import annotations

import pytest

from sweeps.plan.from_options import build_config, devices_asked
from sweeps.plan.parsing import parse
from sweeps.plan.sweep_options import sweep_command
from workloads.base import BadInputError
from workloads.registry import load_workload


@pytest.mark.parametrize(
    ("asked", "there", "told"),
    [
        ((), ("cpu",), ("cpu",)),
        ((), ("cpu", "mps"), ("mps", "cpu")),
        (("cpu", "xpu"), ("cpu", "xpu"), ("xpu", "cpu")),
        (("cpu",), ("cpu", "cuda"), ("cpu",)),
        ((), ("cpu", "a", "b"), ("a", "b", "cpu")),
    ],
)
def test_the_accelerators_answer_which_people_wait_for_comes_first(
    asked: tuple[str, ...], there: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert devices_asked(asked, there) == told
    workload = load_workload("inference")
    options = parse(sweep_command(workload), "inference", ["--device", *asked] if asked else [])
    cells = build_config(workload, options, there).cells()
    assert tuple(dict.fromkeys(cell.device for cell in cells)) == told


def test_a_device_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match=r"--device: 'tpu' is not on this machine; here: cpu"):
        devices_asked(("tpu",), ("cpu",))


@pytest.mark.parametrize(("asked", "min_s"), [([], 0.4), (["--max-s", "0.1"], 0.1), (["--min-s", "0.3"], 0.3)])
def test_a_smoke_sweep_takes_as_much_of_its_least_time_as_the_longest_has_room_for(
    asked: list[str], min_s: float
) -> None:
    workload = load_workload("inference")
    options = parse(sweep_command(workload), "inference", ["--smoke", *asked])
    assert build_config(workload, options, ("cpu",)).measure.min_s == min_s
