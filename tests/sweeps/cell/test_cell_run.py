"""One cell from set-up to its row, in this process and without Ray: what ends well, and each way to end otherwise."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sweeps.cell.cell_run import CellRun
from sweeps.cell.message import Message, Place
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.store.schema import TRIALS
from tests.sweeps.installed import install

QUICK = MeasureConfig(min_rounds=3, min_s=0.02, max_s=0.2, round_s=0.01, warmup_max_s=0.02)
FACTS = {
    "timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": 1e9, "ceiling_flop_per_s": {"fp32": 2e9},
    "precision_notes": {"fp32": "made up"},
}  # fmt: skip
THREE = 3
Started = Callable[..., CellRun]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the workload ``tiny``, installed as a package."""
    source = Path(__file__).with_name("tiny.py").read_text()
    monkeypatch.syspath_prepend(install(tmp_path / "site", "tiny:Tiny", source))
    monkeypatch.delitem(importlib.sys.modules, "tiny", raising=False)
    monkeypatch.setattr("sweeps.cell.device_facts._IN_THIS_PROCESS", {})
    return importlib.import_module("tiny")


@pytest.fixture
def started(tiny: ModuleType) -> Started:
    """``started(does, ...)`` is a cell of ``tiny`` that has done nothing yet."""

    def start(does: str = "fine", *, precision: str = "fp32") -> CellRun:
        cell = TrialConfig(workload="tiny", device="cpu", batch_size=THREE, precision=precision, options={"does": does})
        return CellRun(cell, QUICK, n_threads=1, device_facts=FACTS, place=Place(node_id="n", device_index="7"))

    return start


def ended(run: CellRun) -> Message:
    """The cell's last message, with all that came before in it."""
    while not run.is_finished:
        run.advance()
    return run.take_message()


def test_a_cell_that_ends_well_is_one_complete_row_with_its_rounds_and_samples(
    started: Started, tiny: ModuleType
) -> None:
    run = started()
    message = ended(run)
    row, rounds = message.row, message.rounds
    assert run.ended_well
    assert message.is_final
    assert (row["status"], row["item"], row["items_per_step"], row["weights"]) == (
        "complete",
        "things",
        THREE,
        "random",
    )
    assert (row["input_shape"], row["static_bytes"], row["n_heldout_items"]) == ("1x2x3", 24, 5)
    assert (row["node_id"], row["device_index"], row["n_threads"]) == ("n", "7", 1)
    assert (row["top1_agreement_ratio"], row["max_abs_diff"]) == (1.0, 0.0)
    assert set(row) <= set(TRIALS.names), "every column is one of the trials table"
    assert row["n_rounds"] == len(rounds) >= QUICK.min_rounds
    assert [entry["round"] for entry in rounds] == list(range(len(rounds)))
    assert [entry["accuracy"] for entry in rounds[:2]] == [0.5, 0.75]
    assert row["step_median_s"] >= 0.001, "a step sleeps a millisecond"
    assert row["throughput_low_items_per_s"] <= THREE / row["step_median_s"] <= row["throughput_high_items_per_s"]
    measured = [seconds for phase, _, seconds, _ in message.samples if phase == "measure"]
    assert sum(len(seconds) for seconds in measured) == row["n_samples"]
    assert sum(entry["items"] for entry in rounds) == THREE * row["n_samples"]
    assert sum(float(seconds.sum()) for seconds in measured) == pytest.approx(row["measured_s"])
    assert [phase for phase, *_ in message.samples][:2] == ["warmup", "measure"]
    assert tiny.called == ["setup", "restart", *["end_round"] * len(rounds), "quality", "teardown"]


def test_a_cell_whose_first_step_is_too_long_holds_what_one_step_told(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.cell.scenarios.MIN_HOPELESS_S", 0.0)
    monkeypatch.setattr("tests.sweeps.cell.test_cell_run.QUICK", replace(QUICK, min_s=0.0005, max_s=0.0005))
    row = ended(started()).row
    assert (row["status"], row["n_warmup_steps"], row["n_rounds"], row["n_samples"]) == ("complete", 1, 1, 1)
    assert row["step_median_s"] >= 0.001
    assert row["throughput_items_per_s"] > 0
    assert (row["step_median_low_s"], row["is_precise"], row["drift_ratio"]) == (None, False, None)


def test_a_profile_comes_after_the_whole_row_and_its_failure_changes_nothing_of_it(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.sweeps.cell.test_cell_run.QUICK", replace(QUICK, profile=True))
    run = started()
    while not run.is_whole:
        run.advance()
    whole = run.take_message()
    assert (whole.row["status"], whole.is_whole, whole.is_final) == ("complete", True, False)
    assert "profile_reason" not in whole.row
    message = ended(run)
    assert message.row["profile_reason"].startswith("the profiler sees less than 1 %"), "it only sleeps"
    assert message.trace is not None
    assert {name: message.row[name] for name in whole.row if name != "wall_s"} == {
        name: value for name, value in whole.row.items() if name != "wall_s"
    }
    monkeypatch.setattr("sweeps.measure.monitors.step_profile.torch_profile", None)
    failed = ended(started()).row
    assert (failed["status"], "failed: TypeError" in failed["profile_reason"]) == ("complete", True)


def test_each_message_holds_what_is_new_and_the_row_as_it_stands(started: Started) -> None:
    run = started()
    run.advance()
    message = run.take_message()
    assert (message.rounds, message.samples, message.is_final) == ([], [], False)
    assert message.row["setup_s"] >= 0
    assert "status" not in message.row
    run.advance()
    assert [phase for phase, *_ in run.take_message().samples] == ["warmup"]
    run.advance()
    first = run.take_message()
    assert [entry["round"] for entry in first.rounds] == [0]
    assert first.row["n_rounds"] == 1
    run.advance()
    assert [entry["round"] for entry in run.take_message().rounds] == [1]
    assert first.row["n_rounds"] == 1, "a message that was sent does not change"
    assert ended(run).row["status"] == "complete"


def test_known_facts_of_the_device_are_taken_and_told_to_the_cells_that_follow(started: Started) -> None:
    message = ended(started())
    assert message.device_facts == FACTS
    assert (message.row["timing_verified"], message.row["ceiling_bytes_per_s"], message.row["ceiling_flop_per_s"]) == (
        True, 1e9, 2e9,
    )  # fmt: skip
    assert message.row["precision_note"] == "made up"


@pytest.mark.parametrize(
    ("does", "status", "reason", "is_fit", "calls"),
    [
        ("lack in setup", "unsupported", "tiny lacks what it was asked for", True, ["setup", "teardown"]),
        ("lack in step", "unsupported", "tiny lacks what it was asked for", True, ["setup", "teardown"]),
        ("miss a kernel in step", "unsupported", "not implemented for 'Half'", False, ["setup", "teardown"]),
        ("fill memory in setup", "oom", "out of memory", False, ["setup", "teardown"]),
        ("fill memory in step", "oom", "out of memory", False, ["setup", "teardown"]),
        ("fail in step", "error", None, False, ["setup", "teardown"]),
        ("fail in restart", "error", None, False, ["setup", "restart", "teardown"]),
    ],
)
def test_an_exception_before_the_rounds_is_a_status_and_lets_go_of_the_device(
    started: Started, tiny: ModuleType, does: str, status: str, reason: str | None, is_fit: bool, calls: list[str]
) -> None:
    run = started(does)
    message = ended(run)
    assert message.row["status"] == status
    assert message.row["status_reason"] is None if reason is None else reason in message.row["status_reason"]
    assert run.ended_well is is_fit, "whether its process is fit for another cell"
    assert tiny.called == calls
    assert message.rounds == []
    assert "throughput_items_per_s" not in message.row
    assert "tiny.py" in message.row["error_frames"]
    assert str(Path.home()) not in message.row["error_frames"]
    assert status != "error" or message.row["error_type"] == "KeyError"
    assert status != "error" or "no such thing" in message.row["error_message"]
    assert message.row["wall_s"] > 0


def test_running_out_of_memory_in_the_second_round_keeps_what_the_first_one_gave(started: Started) -> None:
    run = started("fill memory in second round")
    message = ended(run)
    assert (message.row["status"], message.row["n_rounds"]) == ("oom", 1)
    assert [entry["round"] for entry in message.rounds] == [0]
    assert message.row["throughput_items_per_s"] > 0
    assert not run.ended_well


def test_an_answer_that_its_reference_denies_is_an_error_with_all_its_figures(started: Started) -> None:
    run = started("wrong")
    row = ended(run).row
    assert (row["status"], row["status_reason"], row["error_type"]) == ("error", "wrong-result", "WrongResultError")
    assert row["max_abs_diff"] == 4.0
    assert row["throughput_items_per_s"] > 0
    assert row["n_rounds"] >= QUICK.min_rounds
    assert run.ended_well, "a wrong answer harms no process"


def test_a_failure_while_letting_go_is_the_status_of_a_cell_that_had_ended_well(started: Started) -> None:
    run = started("fail in teardown")
    row = ended(run).row
    assert (row["status"], row["error_type"]) == ("error", "KeyError")
    assert row["throughput_items_per_s"] > 0
    assert not run.ended_well


def test_a_precision_that_the_device_lacks_ends_a_cell_before_its_workload_is_made(
    started: Started, tiny: ModuleType
) -> None:
    run = started(precision="tf32")
    row = ended(run).row
    assert row["status"] == "unsupported"
    assert "tf32" in row["status_reason"]
    assert run.ended_well
    assert tiny.called == []


def test_an_interrupt_passes_and_the_device_is_let_go_of_once(started: Started, tiny: ModuleType) -> None:
    run = started("interrupt in second round")
    with pytest.raises(KeyboardInterrupt):
        ended(run)
    assert not run.is_finished
    message = run.take_message()
    assert ([entry["round"] for entry in message.rounds], "status" in message.row) == ([0], False)
    run.close()
    run.close()
    assert tiny.called.count("teardown") == 1


def test_a_training_ends_when_it_is_done_and_its_warm_up_counts_for_nothing(started: Started) -> None:
    message = ended(started("train"))
    assert message.row["status"] == "complete"
    assert [entry["items"] for entry in message.rounds] == [3 * THREE, 3 * THREE]
    assert (message.row["accuracy_final"], message.row["accuracy_best"]) == (0.75, 0.75)


@pytest.mark.gpu
def test_a_cells_device_memory_is_the_same_whatever_ran_before_it() -> None:
    from sweeps.measure.device.device import available_devices

    def measured(precision: str = "fp32", batch_size: int = 2) -> dict[str, Any]:
        cell = TrialConfig(
            workload="inference", device=available_devices()[1], batch_size=batch_size, precision=precision,
            model="resnet18",
        )  # fmt: skip
        message = ended(CellRun(cell, QUICK, n_threads=1))
        assert message.row["status"] == "complete", message.row.get("error_message")
        return message.row

    # The first takes the ceilings, and all libraries' workspaces with them; those between leave caches and pools.
    names = ("device_peak_allocated_bytes", "device_peak_reserved_bytes")
    first = measured()
    for precision in ("fp16", "tf32"):
        measured(precision, batch_size=16)
    last = measured()
    assert [last[name] for name in names] == pytest.approx([first[name] for name in names], rel=0.02)
