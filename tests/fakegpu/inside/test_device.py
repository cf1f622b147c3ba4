"""The fake does what README.md beside it claims: values as the CPU's, launches that return, memory that is counted."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import threading
import time
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, embedding
from torchvision.models import resnet18
from torchvision.transforms import v2

D = "fakegpu"
acc, fake = torch.accelerator, torch.fakegpu


def test_torch_names_it() -> None:
    assert acc.is_available()
    assert acc.current_accelerator() == torch.device(D)
    assert acc.device_count() == 1
    assert repr(torch.ones(2, device=D)) == "tensor([1., 1.], device='fakegpu:0')"


@pytest.mark.parametrize("low", [None, torch.bfloat16, torch.float16])
def test_a_network_answers_as_on_the_cpu(low: torch.dtype | None) -> None:
    torch.manual_seed(0)
    right, images = resnet18().eval(), torch.rand(2, 3, 64, 64)
    ours = copy.deepcopy(right).to(D)
    with torch.inference_mode():
        wanted = right(images)
        with torch.autocast(D, low or torch.bfloat16, enabled=low is not None):
            got = ours(images.to(D))
    assert got.device.type == D
    assert got.dtype == (low or torch.float32)
    exact = {"rtol": 0, "atol": 0} if low is None else {"rtol": 0.05, "atol": 0.03}
    torch.testing.assert_close(got.cpu().float(), wanted, **exact)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("low", [None, torch.float16])
def test_a_training_step_learns_as_on_the_cpu(fused: bool, low: torch.dtype | None) -> None:
    def step(device: str) -> tuple[float, list[torch.Tensor], float]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(288, 4)
        ).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=fused)
        images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).to(device)
        scaler = torch.amp.GradScaler(device, init_scale=256.0, enabled=low is not None)
        with torch.autocast(device, low or torch.bfloat16, enabled=low is not None):
            loss = cross_entropy(network(images), torch.arange(4).to(device))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item(), [p.detach().cpu() for p in network.parameters()], scaler.get_scale()

    ours, right = step(D), step("cpu")
    assert ours[2] == right[2]
    if low is None:
        assert ours[0] == right[0]
        assert all(torch.equal(a, b) for a, b in zip(ours[1], right[1], strict=True))
    else:
        assert abs(ours[0] - right[0]) < 0.02


@pytest.mark.parametrize("antialias", [True, False])
def test_torchvisions_transforms_answer_as_on_the_cpu(antialias: bool) -> None:
    transform = v2.Compose(
        [
            v2.Resize((64, 48), antialias=antialias),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.2] * 3),
        ]
    )
    images = torch.rand(2, 3, 100, 80)
    assert torch.equal(transform(images), transform(images.to(D)).cpu())


@pytest.mark.usefixtures("slow_operators")
def test_a_launch_returns_and_a_value_waits() -> None:
    ones = torch.ones(3, device=D)
    began = time.perf_counter()
    more = ones + 1
    launched = time.perf_counter() - began
    assert more.sum().item() == 6
    assert launched < 0.01 < 0.04 < time.perf_counter() - began


@pytest.mark.usefixtures("slow_operators")
def test_events_take_the_devices_own_time() -> None:
    start, end = (torch.Event(D, enable_timing=True) for _ in range(2))
    ones = torch.ones(3, device=D)
    start.record()
    for _ in range(4):
        ones + 1
    end.record()
    end.synchronize()
    assert start.elapsed_time(end) == pytest.approx(80, rel=0.1)


@pytest.mark.usefixtures("slow_operators")
def test_a_copy_to_the_host_that_is_not_waited_for_is_early() -> None:
    landing, ones = torch.zeros(3).pin_memory(), torch.ones(3, device=D)
    landing.copy_(ones, non_blocking=True)
    early = landing.tolist()
    acc.synchronize()
    assert (early, landing.tolist()) == ([0, 0, 0], [1, 1, 1])


def test_memory_is_counted_with_its_peak_and_freed_memory_is_kept() -> None:
    gc.collect()
    acc.synchronize()
    acc.empty_cache()
    acc.reset_peak_memory_stats()
    before = acc.memory_allocated()
    assert acc.memory_reserved() == before
    block = torch.empty(1000, device=D)
    more = block + 1
    del block
    assert acc.memory_allocated() - before == 4000
    assert acc.max_memory_allocated() - before == 8000
    assert acc.memory_reserved() - before == 8000
    del more
    acc.synchronize()
    acc.empty_cache()
    assert acc.memory_reserved() == before


def test_an_error_of_the_device_comes_at_the_next_wait() -> None:
    embedding(torch.tensor([7], device=D), torch.ones(3, 2, device=D))
    with pytest.raises((IndexError, RuntimeError)):
        acc.synchronize()
    assert (torch.ones(2, device=D) + 1).tolist() == [2, 2]


def test_a_wrong_call_raises_at_once() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"):
        torch.ones(3, device=D) + torch.ones(4, device=D)
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3, device=D) + torch.ones(3)


def test_seeds_repeat_and_leave_the_cpus_alone() -> None:
    def draw() -> tuple[list[float], list[float]]:
        torch.manual_seed(3)
        return torch.randn(4, device=D).tolist(), torch.randn(4).tolist()

    assert draw() == draw()


def test_a_deep_queue_and_many_threads_lose_nothing() -> None:
    out: list[float] = []

    def work() -> None:
        total = torch.zeros(2, device=D)
        for _ in range(3000):
            total = total + 1
        out.append(total.tolist()[0])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert out == [3000.0] * 3


def test_tensors_are_saved_loaded_and_resized(tmp_path: Path) -> None:
    torch.save({"x": torch.arange(3.0, device=D)}, tmp_path / "x")
    assert torch.load(tmp_path / "x")["x"].device.type == D
    loaded = torch.load(tmp_path / "x", map_location="cpu")["x"]
    assert loaded.tolist() == [0, 1, 2]
    grown = torch.arange(3.0, device=D)
    grown.resize_(5)
    assert grown[:3].tolist() == [0, 1, 2]


def test_a_forked_child_is_told_no() -> None:
    torch.ones(2, device=D).add_(1).tolist()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def child() -> None:
        try:
            torch.ones(2, device=D).tolist()
            queue.put("worked")
        except RuntimeError as error:
            queue.put(str(error))

    process = context.Process(target=child)
    process.start()
    told = queue.get(timeout=20)
    process.join(20)
    assert told.startswith("fakegpu cannot be used in a forked")
