"""A precision is one row of one table: nothing else is keyed by the names of precisions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from sweeps.measure.device import precisions
from sweeps.measure.device.device import unsupported_reason
from sweeps.plan.config import TrialConfig
from workloads.base import BadInputError
from workloads.precision import PRECISIONS, Precision, apply_precision, autocast, compute_dtype, precisions_in_words

ROOT = Path(__file__).parent.parent.parent
TABLE = "workloads/precision.py"
OF_ELEMENTS = ("workloads/operations/", "sweeps/coverage/", "analysis/subjects/coverage/", "workloads/models/runtimes/",
               "workloads/models/calls/taken.py")  # fmt: skip
"""Operations are run in types of their inputs, int8 and uint8 among them, which are no precisions of a cell, and other
runtimes are told types of products."""


def test_no_other_dict_or_tuple_of_all_names_is_written_by_hand() -> None:
    by_hand = []
    for path in [p for folder in ("sweeps", "workloads", "analysis") for p in sorted((ROOT / folder).rglob("*.py"))]:
        name = str(path.relative_to(ROOT))
        if name == TABLE or name.startswith(OF_ELEMENTS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            keys = node.keys if isinstance(node, ast.Dict) else []
            parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else []
            n_keys = sum(isinstance(k, ast.Constant) and k.value in PRECISIONS for k in keys)
            n_parts = sum(isinstance(p, ast.Constant) and p.value in PRECISIONS for p in parts)
            if n_keys or n_parts == len(PRECISIONS):
                by_hand.append(f"{name}:{node.lineno}")
    assert not by_hand


def test_a_row_is_all_that_a_new_precision_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="'bf16x' is not one of"):
        TrialConfig(workload="inference", device="cpu", batch_size=1, precision="bf16x")
    monkeypatch.setitem(PRECISIONS, "bf16x", Precision(tolerance=0.5, stored_bits=7, autocast="bfloat16"))
    assert TrialConfig(workload="inference", device="cpu", batch_size=1, precision="bf16x").precision == "bf16x"
    assert compute_dtype("bf16x") == torch.bfloat16
    assert (unsupported_reason("cpu", "bf16x") is None) == (unsupported_reason("cpu", "bf16") is None)
    with autocast(torch.device("cpu"), "bf16x"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_each_precision_is_probed_by_what_its_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precisions, "probe_lowered", lambda _, name: f"lowered {name}")
    monkeypatch.setattr(precisions, "probe_tf32", lambda _: "products")
    monkeypatch.setattr(precisions, "probe_quantised", lambda _, name: f"quantised {name}")
    found = {name: precisions.probe(torch.device("cpu"), name) for name in PRECISIONS}
    assert (found.pop("fp32"), found.pop("tf32")) == (None, "products")
    assert found == {
        name: f"{'lowered' if row.lowered else 'quantised'} {name}"
        for name, row in PRECISIONS.items() if row.lowered or row.quantised
    }  # fmt: skip


def test_switches_are_those_of_the_row() -> None:
    try:
        for name, row in PRECISIONS.items():
            apply_precision(name)
            assert torch.get_float32_matmul_precision() == row.float32_matmul
            assert torch.backends.cudnn.allow_tf32 == (row.float32_matmul == "high")
    finally:
        apply_precision("fp32")


def test_the_help_names_every_precision() -> None:
    told = precisions_in_words()
    assert told.startswith("fp32 (strict), tf32, bf16, fp16 (autocast), bf16-weights, fp16-weights (weights and ")
    assert all(name in told for name in PRECISIONS)
