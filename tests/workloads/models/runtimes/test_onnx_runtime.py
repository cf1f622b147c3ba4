"""Networks through ONNX Runtime on the CPU: the same answers, and what ran."""

from __future__ import annotations

import pytest

from tests.workloads.models.runtimes.asking import Small, asked_for, check_answers, check_unknown_operator, opened
from workloads.base import UnsupportedError
from workloads.models.runtimes import onnx_runtime, table

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_it_answers_as_the_network_does_with_as_many_threads_as_it_is_given() -> None:
    session = check_answers("onnxruntime", "fp32", 1e-5)
    assert (session.ran.types, session.ran.provider) == (("float32",), "CPU")
    assert session.ran.nodes_by_provider.startswith("CPU ")
    assert "intra_op_num_threads=1 " in session.ran.runtime_settings
    assert min(session.ran.convert_s, session.ran.session_s) > 0


def test_its_quantiser_makes_it_compute_in_8_bits() -> None:
    session = check_answers("onnxruntime", "int8", 0.1)
    assert session.ran.types[0] == "int8"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_precision_that_it_computes_otherwise_is_not_called_by_that_name(precision: str) -> None:
    ran, told = opened("onnxruntime", precision)
    assert ran is not None or "CPU" in told
    assert ran is None or ran.types[0] == {"fp16": "float16", "bf16": "bfloat16"}[precision]


def test_it_has_no_tf32_on_the_cpu() -> None:
    assert opened("onnxruntime", "tf32") == (None, "onnxruntime on CPU has no tf32")


def test_an_operator_that_onnx_lacks_is_named() -> None:
    check_unknown_operator("onnxruntime")


def test_a_device_that_the_wheel_has_no_provider_for_is_told() -> None:
    with pytest.raises(UnsupportedError, match=r"no execution provider for meta: .*CPU"):
        table.open_session("onnxruntime", asked_for(Small(), "fp32", device="meta"))
    with pytest.raises(UnsupportedError, match="no execution provider for cpu"):
        table.open_session("onnxruntime-tensorrt", asked_for(Small(), "fp32"))


def test_tensors_are_bound_where_they_are_as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "_ON_DEVICE", ("CPU",))
    check_answers("onnxruntime", "fp32", 1e-5)
