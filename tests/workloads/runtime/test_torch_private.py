"""Torch without any one of its private names: what is lost is said in ``torch_private``, and nothing else is."""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path

import pytest
import torch

from workloads.runtime import torch_private

ROOT = Path(__file__).parent.parent.parent.parent
PRIVATE = re.compile(
    r"torch\.utils\._|torch\._dynamo\b(?!\")|torch\._inductor|torch\._ops|from torch\.testing\._internal"
)
Pair = collections.namedtuple("Pair", ["x", "y"])
TREE = {"a": [1, (2, 3)], "b": Pair(4, {"c": 5}), "d": []}


def test_no_other_file_knows_private_names() -> None:
    for path in (*(ROOT / "sweeps").rglob("*.py"), *(ROOT / "workloads").rglob("*.py")):
        if path.name not in {"torch_private.py", "without_compiler.py"}:
            assert not PRIVATE.search(path.read_text()), path


def without(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of the module, or of anything from it, fails."""
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("lacks", [False, True])
def test_structures_are_walked_alike_without_torchs_own(lacks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacks:
        without("torch.utils._pytree", monkeypatch)
    assert torch_private.leaves_of(TREE) == [1, 2, 3, 4, 5]
    assert torch_private.tree_map(lambda n: n * 10, TREE) == {"a": [10, (20, 30)], "b": Pair(40, {"c": 50}), "d": []}


def test_what_torch_does_not_say_counts_as_nothing_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    without("torch.utils._triton", monkeypatch)
    assert torch_private.lacks_triton() is False


def test_a_mode_is_taken_itself_where_its_options_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (torch_private.compile_options("reduce-overhead") or {}).get("triton.cudagraphs") is True
    monkeypatch.delattr(torch._inductor, "list_mode_options")
    assert torch_private.compile_options("reduce-overhead") is None


def test_a_process_counts_as_having_compiled_where_that_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._dynamo.convert_frame as frames

    monkeypatch.setattr(frames, "FRAME_COUNTER", 0)
    assert not torch_private.has_compiled()
    monkeypatch.delattr(frames, "FRAME_COUNTER")
    assert torch_private.has_compiled()
    monkeypatch.delattr(torch._dynamo, "convert_frame")
    assert torch_private.has_compiled()
    monkeypatch.delitem(sys.modules, "torch._dynamo")
    assert not torch_private.has_compiled()


def test_an_overload_is_known_without_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    overload, plain = torch.ops.aten.add.Tensor, torch.add
    assert (torch_private.is_overload(overload), torch_private.is_overload(plain)) == (True, False)
    monkeypatch.delattr(torch._ops, "OpOverload")
    assert (torch_private.is_overload(overload), torch_private.is_overload(plain)) == (True, False)


def test_the_database_is_missing_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from workloads.operations.base import OperationsMissingError
    from workloads.operations.database import database_operations

    without("torch.testing._internal", monkeypatch)
    database_operations.cache_clear()
    with pytest.raises(OperationsMissingError, match="lacks the operator database"):
        database_operations()
    database_operations.cache_clear()
