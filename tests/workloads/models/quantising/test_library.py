"""Without torchao, or with one too old, a cell is unsupported and says what to install."""

from __future__ import annotations

import sys
import types

import pytest

from sweeps.measure.device.device import unsupported_reason
from workloads.base import UnsupportedError
from workloads.models.quantising import library
from workloads.precision import PRECISIONS

QUANTISED = [name for name, row in PRECISIONS.items() if row.quantised]


@pytest.mark.parametrize("precision", QUANTISED)
def test_without_torchao_the_extra_is_named(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(UnsupportedError, match=r"needs torchao .*: pip install 'accelsweep\[quantize\]'"):
        library.recipe_of(precision)


def test_a_version_without_a_name_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchao")  # without any version it is not told of a name
    monkeypatch.setitem(sys.modules, "torchao.quantization", types.ModuleType("torchao.quantization"))
    with pytest.raises(UnsupportedError, match="Int8DynamicActivationInt8WeightConfig"):
        library.recipe_of("int8")


def test_what_this_cpu_has_is_found_by_running_it() -> None:
    pytest.importorskip("torchao")
    assert unsupported_reason("cpu", "int8") is None
    assert unsupported_reason("cpu", "int8-weight") is None
    assert "fp8" in (unsupported_reason("cpu", "fp8") or "")
