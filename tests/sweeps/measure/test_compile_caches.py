"""No cell is served what another had compiled: with keys blind to autocast's type, as in torch < 2.14, both are right."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeps.measure import compile_caches
from sweeps.measure.compile_caches import OLD_S, PREFIX, compiled_apart, warm_compile_s
from sweeps.measure.products import NO_PRODUCTS, NOT_SEEN, ProductTypes
from workloads.precision import autocast
from workloads.runtime.torch_private import own_compile_caches, watching_graphs

CPU = torch.device("cpu")
NETWORK = nn.Linear(8, 4).eval()
INPUTS = torch.rand(3, 8)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(compile_caches, "_root", lambda: tmp_path)
    yield tmp_path
    torch.compiler.reset()


@pytest.fixture
def blind_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """AOTAutograd's cache takes graphs for equal that differ in autocast's type, as it did before PR 181564."""
    cache = pytest.importorskip("torch._functorch._aot_autograd.autograd_cache")
    real = cache.autograd_cache_key
    monkeypatch.setattr(cache, "autograd_cache_key", lambda *a, **k: ("ablind", *real(*a, **k)[1:]))


def answer(precision: str) -> torch.Tensor:
    torch.compiler.reset()  # as between two cells of a process
    with torch.inference_mode(), autocast(CPU, precision):
        return torch.compile(NETWORK)(INPUTS)


def test_cells_have_caches_of_their_own_and_show_the_types_that_were_compiled(blind_keys: None) -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        products = ProductTypes()
        with compiled_apart(CPU, products.look_at):
            assert answer(precision).dtype == dtype
        name = str(dtype).removeprefix("torch.")
        assert products.columns(precision, is_compiled=True)["computed_dtype"] == name


def test_a_planted_hit_of_the_cache_is_seen_as_such(blind_keys: None, tmp_path: Path) -> None:
    with own_compile_caches(tmp_path, "cpu"):
        answer("bf16")
        products = ProductTypes()
        with watching_graphs(products.look_at):
            served = answer("fp16")
    assert served.dtype == torch.bfloat16, "what this torch would do without caches of their own"
    assert products.columns("fp16", is_compiled=True) == {"computed_dtype": None, "computed_dtype_reason": NOT_SEEN}


def test_compiling_once_more_finds_what_the_cell_left_on_disk(tmp_path: Path) -> None:
    products, graphs = ProductTypes(), []
    compiled = torch.compile(lambda x: x * 2 + 1)

    def timed(step) -> float:
        began = time.perf_counter()
        step()
        return time.perf_counter() - began

    torch.compiler.reset()
    with compiled_apart(CPU, lambda graph: (graphs.append(graph), products.look_at(graph))):
        first_s = timed(lambda: compiled(INPUTS))
        assert len(graphs) == 1
        assert 0 < warm_compile_s(lambda: compiled(INPUTS), timed, 0.0) < first_s
        assert len(graphs) == 1, "served from the disk"
        (folder,) = tmp_path.iterdir()
        assert folder.name == f"{PREFIX}{os.getpid()}"
    assert list(tmp_path.iterdir()) == []
    assert products.columns("fp32", is_compiled=True)["computed_dtype_reason"] == NO_PRODUCTS


def test_only_old_folders_of_processes_that_are_gone_are_cleared_away(tmp_path: Path) -> None:
    gone, mine, young = (tmp_path / f"{PREFIX}{n}" for n in (2**22 + 1, os.getpid(), 2**22 + 2))
    for folder in (gone, mine, young):
        folder.mkdir()
    for folder in (gone, mine):
        os.utime(folder, (0, time.time() - 2 * OLD_S))
    compile_caches._clear_away(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([mine, young])
