"""Which devices can be predicted, what is predicted as a whole, and the two commands that do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.commands import main
from sweeps.coverage.evidence import latest_rows
from sweeps.coverage.options import OperationCoverage
from sweeps.coverage.plan import OperationCell
from sweeps.coverage.predicted import devices_to_predict, whole_operations
from sweeps.coverage.store import CoverageStore
from sweeps.coverage.worker import CellWorker
from workloads.base import BadInputError


@pytest.mark.parametrize("asked", [(), ("tpu",), ("mps", "privateuseone")])
def test_a_device_without_a_list_is_refused_with_those_that_have_one(asked: tuple[str, ...]) -> None:
    with pytest.raises(BadInputError, match=r"^--device: .*allowed: cpu, cuda, mps"):
        devices_to_predict(asked)


def test_every_model_and_every_workload_is_predicted() -> None:
    names = {entry["name"] for entry in whole_operations(OperationCoverage(predict=True))}
    assert {"resnet18", "vit_h_14", "maskrcnn_resnet50_fpn", "inference", "finetune"} <= names
    assert {n for n in names if n.startswith("image-processing")} >= {"image-processing pipeline=decode"}
    assert not any("quantized" in name for name in names)


def test_a_worker_predicts_in_its_child_and_the_rows_are_no_evidence_of_what_works(tmp_path: Path) -> None:
    cell = OperationCell(source="database", operation="take", family="indexing", dtype="fp32", device="mps")
    worker = CellWorker({}, 2, 120.0, "allowed", predicts=True)
    try:
        rows = worker.run(cell)
    finally:
        worker.close()
    assert [(row["verdict"], row["evidence"], row["fallback_mode"]) for row in rows] == [
        ("fallback", "predicted", "allowed")
    ] * 2
    store = CoverageStore.create(tmp_path / "op-coverage", {"options": {}, "cells": [cell.as_dict()]}, {})
    store.record(rows)
    assert len(store.rows()) == 2
    assert latest_rows(tmp_path, rows[0]["torch_version"]) == []


def test_can_run_says_of_each_operation_what_it_is_predicted_to_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["can-run", "mobilenet_v3_small", "--device", "mps", "--predict"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("mobilenet_v3_small on mps: ")
    assert len(lines) > 5
    assert all("(predicted from torch " in line and line.endswith("'s kernels, not run)") for line in [first, *lines])
    assert "  aten::convolution: composite of others (predicted" in "\n".join(lines)


def test_a_prediction_without_a_device_is_one_line_and_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["can-run", "resnet18", "--predict"]) == 2
    assert capsys.readouterr().err.startswith(
        "accelsweep: error: --device: --predict needs the name of one; allowed: cpu"
    )
