"""What sets an Apple GPU and a discrete one apart: operators, float64, streams, and what the end of memory is called."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch

from sweeps.measure.device.errors import is_out_of_memory, is_unsupported
from workloads.runtime.streams import has_streams

D = "fakegpu"
MIB = 2**20
acc, fake = torch.accelerator, torch.fakegpu
FLOAT64 = (
    lambda: torch.zeros(2, dtype=torch.float64, device=D), lambda: torch.zeros(2, dtype=torch.float64).to(D),
    lambda: torch.ones(3, device=D).double(), lambda: torch.ones(3, device=D).to(torch.complex128),
)  # fmt: skip


@pytest.fixture
def little_memory():
    recommended = acc.get_memory_info()[1]
    fake.set_memory(acc.memory_allocated() + 10 * MIB)
    yield
    fake.set_memory(recommended)


@pytest.mark.unified
def test_an_apple_gpu_refuses_what_mps_lacks_in_its_words() -> None:
    ones = torch.ones(2, 2, device=D)
    for refused, name in (
        (lambda: ones.record_stream(torch.Stream(D)), "record_stream"),
        (lambda: torch.ormqr(ones, ones[0], ones), "ormqr"),
    ):
        with pytest.raises(
            NotImplementedError, match=f"aten::{name}' is not currently implemented for the MPS device"
        ) as caught:
            refused()
        assert is_unsupported(caught.value)
    for call in FLOAT64:
        with pytest.raises(TypeError, match="float64") as wrong:
            call()
        assert is_unsupported(wrong.value)


@pytest.mark.unified
def test_an_apple_gpu_has_one_stream() -> None:
    assert torch.Stream(D) == acc.current_stream()
    assert not has_streams(D)


@pytest.mark.unified
@pytest.mark.usefixtures("little_memory")
def test_an_apple_gpus_memory_ends_at_seventeen_tenths_of_what_is_recommended_in_its_words() -> None:
    held = torch.empty(12 * MIB, dtype=torch.uint8, device=D)
    with pytest.raises(RuntimeError, match="MPS backend out of memory") as caught:
        held + 1
    assert is_out_of_memory(caught.value)
    with pytest.raises(RuntimeError, match=r"Invalid buffer size: 1\.00 GiB") as whole:
        torch.empty(2**30, dtype=torch.uint8, device=D)
    assert is_out_of_memory(whole.value)
    del held
    torch.empty(16 * MIB, dtype=torch.uint8, device=D)
    fake.set_per_process_memory_fraction(1.0)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            torch.empty(6 * MIB, dtype=torch.uint8, device=D) + 1
    finally:
        fake.set_per_process_memory_fraction(1.7)


@pytest.mark.unified
def test_the_variable_of_mps_lets_operators_fall_back_and_a_process_may_end_with_work_pending() -> None:
    code = "import torch; e = torch.ones(2, 2, device='fakegpu'); print(torch.ormqr(e, e[0], e).device.type)"
    code += "; torch.fakegpu.set_operator_time(0.2); e.relu_()"
    run = [sys.executable, "-W", "ignore", "-c", code]
    ended = subprocess.run(
        run, capture_output=True, text=True, check=False, env={**os.environ, "PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, D), ended.stderr


@pytest.mark.discrete
def test_a_discrete_gpu_has_every_operator_and_float64() -> None:
    ones = torch.ones(2, 2, device=D)
    assert torch.ormqr(ones, ones[0], ones).device.type == D
    assert all(call().device.type == D for call in FLOAT64)


@pytest.mark.discrete
@pytest.mark.usefixtures("little_memory")
def test_a_discrete_gpus_memory_ends_with_what_it_has() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        torch.empty(12 * MIB, dtype=torch.uint8, device=D)


@pytest.mark.discrete
@pytest.mark.usefixtures("slow_operators")
def test_streams_run_side_by_side_and_wait_for_events() -> None:
    assert has_streams(D)
    side, main = torch.Stream(D), acc.current_stream()
    with side:
        made = torch.ones(2, device=D)
        for _ in range(3):
            made = made + 1
        is_made = side.record_event()
    began = time.perf_counter()
    torch.ones(2, device=D)
    main.synchronize()
    assert time.perf_counter() - began < 0.06, "beside the 80 ms of the side stream"
    main.wait_event(is_made)
    made.record_stream(main)
    assert (made + 1).tolist() == [5, 5]


@pytest.mark.discrete
@pytest.mark.usefixtures("slow_operators")
def test_memory_freed_while_another_stream_uses_it_is_another_tensors_unless_recorded() -> None:
    def used(is_recorded: bool) -> list[float]:
        side, main = torch.Stream(D), acc.current_stream()
        with side:
            made = torch.ones(2, device=D)
            is_made = side.record_event()
        main.wait_event(is_made)
        if is_recorded:
            made.record_stream(main)
        more = made + 1
        del made
        return more.tolist()

    before = fake.counters()["n_unrecorded"]
    assert used(is_recorded=True) == [2, 2]
    assert fake.counters()["n_unrecorded"] == before
    used(is_recorded=False)
    assert fake.counters()["n_unrecorded"] == before + 1
