"""The cells of a grid: every combination that means something, once, with keys that older sweeps know."""

from __future__ import annotations

import pytest

from sweeps.plan.config import SweepConfig, TrialConfig, stratum_of
from workloads.base import BadInputError

PLAIN = TrialConfig(workload="finetune", device="cpu", batch_size=32, options={"tune": "full"})


def config(**changes: object) -> SweepConfig:
    axes = {"workload": "finetune", "device": ("cpu",), "batch_size": (32,), "precision": ("fp32",), "model": ("none",)}
    return SweepConfig(**{**axes, "option_axes": {"tune": ("full",)}, **changes})


def test_one_device_changes_no_key_and_several_have_their_own() -> None:
    assert PLAIN.key == "02a86bcc5852c1f6", "of a version without devices"
    (one, two) = config(n_devices=(2, 1)).cells()
    assert (one.n_devices, two.n_devices) == (1, 2), "one first: the others are judged by it"
    assert one.key == PLAIN.key
    assert two.key != one.key
    assert TrialConfig.from_dict(two.as_dict()) == two
    assert "2 devices" in two.label
    assert stratum_of(one) != stratum_of(two), "a cell is pruned by cells of as many devices"


def test_how_devices_share_the_work_is_no_axis_of_one_device() -> None:
    cells = config(n_devices=(1, 2), option_axes={"parallel": ("fsdp", "ddp")}).cells()
    assert [(c.n_devices, c.options["parallel"]) for c in cells] == [(1, "ddp"), (2, "fsdp"), (2, "ddp")]
    plain = config(option_axes={}).cells()[0]
    assert cells[0].key == plain.key, "sweeps from before there was the option have it as well"
    assert cells[1].key != cells[2].key


def test_an_old_row_is_a_cell_of_one_device() -> None:
    row = {**PLAIN.as_dict(), "seed": 0, "node": None, "options": '{"tune": "full"}'}
    assert TrialConfig.from_row(row) == PLAIN
    assert TrialConfig.from_row({**row, "n_devices": None}) == PLAIN
    two = TrialConfig.from_row({**row, "n_devices": 2, "parallel": "ddp"})
    assert (two.n_devices, two.options["parallel"]) == (2, "ddp")
    assert two.key == TrialConfig.from_row({**row, "n_devices": 2}).key


@pytest.mark.parametrize("n", [0, -1, 5000])
def test_a_number_of_devices_is_whole_and_sensible(n: int) -> None:
    with pytest.raises(BadInputError, match=f"--n-devices: {n} must lie between 1 and"):
        config(n_devices=(n,)).cells()
