"""What coverage rows say of a dispatched operation."""

from __future__ import annotations

from typing import Any

from sweeps.coverage.evidence import findings


def row(**values: Any) -> dict[str, Any]:
    return {"device": "cpu", "dtype": "fp32", "direction": "forward", "verdict": "supported", "wrong_by": None,
            "reason": None, "operation": "op", "aten_operations": [], "fallback_operations": None, **values}  # fmt: skip


def test_what_a_right_call_dispatched_works() -> None:
    found = findings([row(aten_operations=["aten::relu", "aten::add.Tensor"])], "cpu", "fp32")
    assert {name: f.verdict for name, f in found.items()} == {
        "aten::relu": "supported",
        "aten::add.Tensor": "supported",
    }


def test_rounding_counts_as_working() -> None:
    rows = [row(verdict="wrong", wrong_by="rounding", aten_operations=["aten::relu"])]
    assert findings(rows, "cpu", "fp32")["aten::relu"].verdict == "supported"


def test_what_an_exception_names_is_missing_even_if_another_call_of_it_worked() -> None:
    rows = [
        row(aten_operations=["aten::foo.out"]),
        row(verdict="unsupported", reason="The operator 'aten::foo.out' is not currently implemented for the device"),
    ]
    assert findings(rows, "cpu", "fp32")["aten::foo.out"].verdict == "unsupported"


def test_what_a_warning_names_falls_back() -> None:
    rows = [row(verdict="fallback", fallback_operations=["aten::foo"], aten_operations=["aten::foo", "aten::bar"])]
    found = findings(rows, "cpu", "fp32")
    assert found["aten::foo"].verdict == "fallback"
    assert "aten::bar" not in found


def test_a_wrong_answer_blames_an_operation_only_if_it_was_alone() -> None:
    alone = row(verdict="wrong", wrong_by="values", reason="off by 3", aten_operations=["aten::histc"])
    several = row(verdict="wrong", wrong_by="values", aten_operations=["aten::mm", "aten::add"])
    found = findings([alone, several], "cpu", "fp32")
    assert found["aten::histc"].verdict == "wrong"
    assert found["aten::histc"].reason == "op: off by 3"
    assert not {"aten::mm", "aten::add"} & set(found)


def test_other_devices_and_types_say_nothing() -> None:
    rows = [row(aten_operations=["aten::relu"], dtype="fp16"), row(aten_operations=["aten::relu"], device="other")]
    assert findings(rows, "cpu", "fp32") == {}
