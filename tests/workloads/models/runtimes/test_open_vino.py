"""Networks through OpenVINO on the CPU: the same answers, and what ran."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.workloads.models.runtimes.asking import Small, asked_for, check_answers, check_unknown_operator, opened
from workloads.base import UnsupportedError
from workloads.models.runtimes import table

pytest.importorskip("openvino")


def test_it_answers_as_the_network_does_with_as_many_threads_as_it_is_given() -> None:
    session = check_answers("openvino", "fp32", 1e-5)
    assert session.ran.types == ("float32",)
    assert "INFERENCE_NUM_THREADS=1" in session.ran.runtime_settings
    assert all(port.partial_shape.is_static for port in session._request.model_inputs)  # type: ignore[attr-defined]
    assert "INFERENCE_PRECISION_HINT=float32" in session.ran.runtime_settings


@pytest.mark.parametrize(("precision", "kind"), [("bf16", "bfloat16"), ("fp16", "float16")])
def test_a_precision_is_the_one_that_ran_or_there_is_none(precision: str, kind: str) -> None:
    ran, told = opened("openvino", precision)
    assert ran is not None or f"computes {precision} in" in told
    assert ran is None or ran.types[0] == kind


def test_its_quantiser_makes_it_compute_in_8_bits() -> None:
    pytest.importorskip("nncf")
    session = check_answers("openvino", "int8", 0.1)
    assert session.ran.types[0] == "int8"


def test_what_it_cannot_convert_is_named() -> None:
    check_unknown_operator("openvino")


def test_what_depends_on_values_cannot_be_exported() -> None:
    class Choosing(Small):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x) if float(x.sum()) > 0 else (x,)

    with pytest.raises(UnsupportedError, match=r"^torch\.export: "):
        table.open_session("openvino", asked_for(Choosing(), "fp32"))
