"""In which types a graph in ONNX's format computes its products, as ONNX Runtime has optimised it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workloads.models.runtimes.base import most_first

_PRODUCTS = re.compile("Conv(?!ert)|Gemm|MatMul|Attention")
"""Operators that compute products, also those of ONNX Runtime's own that fuse them with what follows."""
_TORCH = {"float": "float32", "double": "float64", "uint8": "int8"}
"""Types by the names that rows have for them; products of 8-bit numbers are told as one type, signed or not."""


def product_types(file: Path) -> tuple[str, ...]:
    """Of the operands of the graph's products, the types of most of them first; empty where it has none.

    An optimised graph names the types of its constants only, so that those in between are followed through it: casts
    and quantisation change a type, other operators keep that of their first operand.
    """
    import onnx

    return most_first(_products(onnx.load(file, load_external_data=False).graph))


def _products(graph: Any) -> Iterator[str]:
    from onnx import TensorProto, helper

    def name_of(kind: int) -> str:
        told = str(TensorProto.DataType.Name(kind)).lower()
        return _TORCH.get(told, told)

    known = {constant.name: name_of(constant.data_type) for constant in graph.initializer}
    known |= {told.name: name_of(told.type.tensor_type.elem_type) for told in (*graph.input, *graph.value_info)}
    for node in graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        operands = [known[name] for name in node.input if name in known]
        if _PRODUCTS.search(node.op_type) and operands:
            yield "int8" if "int8" in operands else operands[0]
        if node.op_type == "Cast":
            made = name_of(attributes["to"])
        elif node.op_type == "DequantizeLinear" or node.op_type.endswith("IntegerToFloat"):
            made = "float32"
        elif node.op_type == "QuantizeLinear" or node.op_type.startswith("QLinear"):
            made = "int8"
        else:
            made = operands[0] if operands else ""
        known |= {name: made for name in node.output if made and name not in known}
