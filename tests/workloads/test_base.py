"""What a workload may have beside the protocol is declared in one place, and one that lacks it runs all the same."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import torch

from tests.workloads.conftest import prepared
from workloads.base import CellContext, Extras, Workload
from workloads.registry import load_workload
from workloads.scenarios import SCENARIOS

ROOT = Path(__file__).parent.parent.parent
WORKLOADS = {"workload", "_workload", "kind", "own", "defaults"}
"""What a workload, its class, its options and its defaults are called in the code."""


def called(node: ast.expr) -> str | None:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)


def test_nothing_else_asks_a_workload_by_a_string_what_it_has() -> None:
    asked = []
    for path in [p for folder in ("sweeps", "workloads") for p in sorted((ROOT / folder).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and called(node.func) in {"getattr", "hasattr"}:
                is_named = isinstance(node.args[1], ast.Constant) and called(node.args[0]) in WORKLOADS
                asked += [f"{path.name}:{node.lineno}"] if is_named and path.name != "base.py" else []
    assert not asked


def test_a_workload_without_any_extra_has_the_defaults() -> None:
    spec = importlib.util.spec_from_file_location("sort", ROOT / "docs/examples/sort_pixels/sort_pixels.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    workload: Workload = module.SortPixels(CellContext(device=torch.device("cpu"), batch_size=1))
    assert Extras.of(workload) == Extras.of(module.SortPixels) == Extras()
    assert not Extras().sending.scenario.is_served


def test_a_training_can_be_told_from_its_class_and_restarts() -> None:
    assert Extras.of(load_workload("finetune")).restart is not None
    assert Extras.of(load_workload("inference")).restart is None
    workload = load_workload("finetune")(CellContext(device=torch.device("cpu"), batch_size=1))
    assert Extras.of(workload).target_accuracy == 0.95


def test_inference_says_how_it_sends_and_whether_its_step_copies() -> None:
    kind = load_workload("inference")
    options = kind.Options(scenario=("server",), rate=(20.0,), max_latency_ms=5.0, include_copy=True)
    extras = Extras.of(kind(CellContext(device=torch.device("cpu"), batch_size=1, options=options)))
    assert extras.sending.scenario is SCENARIOS["server"]
    assert (extras.sending.rate_per_s, extras.sending.max_latency_ms) == (20.0, 5.0)
    assert not extras.step_is_compute
    assert extras.step_varying is not None
    assert Extras.of(prepared("image-processing", pipeline=("decode",))).relative_tolerance == 0.05
