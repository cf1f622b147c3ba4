"""A step's profile: its shares are those of what ran, a device that runs nothing waits, and no failure gets out."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
import torch

from sweeps.measure.monitors import step_profile
from sweeps.measure.monitors.step_profile import COPY, KERNEL, N_LONGEST, STEP, profile_step

CPU = torch.device("cpu")
SHARES = ("host_share_ratio", "device_copy_share_ratio", "computation_share_ratio")


def event(category: str, name: str, begin: float, length: float, thread: int = 1) -> dict[str, Any]:
    return {"ph": "X", "cat": category, "name": name, "ts": begin, "dur": length, "tid": thread, "pid": 1}


def read(events: list[dict[str, Any]], device: str = "cpu", step_s: float | None = None) -> step_profile.Profile:
    trace = {"host_name": "mine", "traceEvents": [event("user_annotation", STEP, 0, 100), *events]}
    return step_profile._read(trace, torch.device(device), step_s)


def test_a_real_step_on_the_cpu_is_told_by_its_operations_and_its_trace_names_no_machine() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.BatchNorm2d(64), torch.nn.ReLU()).eval()
    images = torch.rand(4, 3, 96, 96)
    with torch.inference_mode():
        found = profile_step(lambda: network(images), CPU, None)
    shares = [found.columns[name] for name in SHARES]
    assert sum(shares) == pytest.approx(1.0)
    assert found.columns["computation_share_ratio"] > 0.5
    assert found.columns["profile_reason"] is None
    names = [row["name"] for row in found.longest]
    assert any("convolution" in name for name in names[:3]), names
    assert [row["rank"] for row in found.longest] == list(range(1, len(names) + 1))
    assert len(names) <= N_LONGEST
    seconds = [row["seconds"] for row in found.longest]
    assert seconds == sorted(seconds, reverse=True)
    trace = json.loads(gzip.decompress(found.trace or b""))
    assert not {"host_name", "traceName"} & set(trace)
    assert sum(e.get("name") == STEP for e in trace["traceEvents"]) == 1, "one step alone"


def test_communication_is_told_with_what_computes_beside_it() -> None:
    kernels = [event("kernel", "gemm", 0, 40, 7), event("kernel", "ncclDevKernel_AllReduce_Sum_f32", 30, 30, 8)]
    found = read(kernels, "cuda", step_s=100e-6)
    assert found.columns["communication_share_ratio"] == pytest.approx(0.3)
    assert found.columns["exposed_communication_share_ratio"] == pytest.approx(0.2)
    assert found.columns["computation_share_ratio"] == pytest.approx(0.6)
    assert "communication_share_ratio" not in read(kernels[:1], "cuda", step_s=100e-6).columns


def test_an_accelerator_without_a_kernel_waits_for_the_host() -> None:
    kernels = [event("kernel", "gemm", 10, 20, 7), event("kernel", "gemm", 20, 20, 8), event("kernel", "relu", 50, 5, 7),
               event("gpu_memcpy", "Memcpy HtoD", 52, 13, 9), event("gpu_user_annotation", STEP, 0, 100, 7)]  # fmt: skip
    found = read([*kernels, event("cpu_op", "aten::mm", 0, 9)], "cuda", step_s=80e-6)
    # Of 80 microseconds of the step as it was timed 30 and 5 are kernels, streams beside each other counted once, and 10
    # a copy beside which nothing computes.
    assert [found.columns[name] for name in SHARES] == pytest.approx([35 / 80, 10 / 80, 35 / 80])
    assert found.columns["n_kernels"] == 4
    assert found.columns["profiled_step_s"] == pytest.approx(100e-6)
    assert [(row["name"], row["kind"], row["n_calls"]) for row in found.longest] == [
        ("gemm", KERNEL, 2), ("Memcpy HtoD", COPY, 1), ("relu", KERNEL, 1),
    ]  # fmt: skip
    assert found.longest[0]["share_ratio"] == pytest.approx(0.5)


def test_on_the_cpu_what_passes_on_or_only_allocates_is_the_hosts() -> None:
    calls = [
        event("cpu_op", "aten::conv2d", 10, 50), event("cpu_op", "aten::mkldnn_convolution", 15, 40),
        event("cpu_op", "aten::empty", 20, 10), event("cpu_op", "aten::copy_", 70, 10), event("cpu_op", "aten::view", 90, 5),
    ]  # fmt: skip
    found = read(calls)
    assert [found.columns[name] for name in SHARES] == pytest.approx([0.6, 0.1, 0.3])
    longest = {row["name"]: (row["seconds"], row["n_calls"]) for row in found.longest}
    assert longest["aten::mkldnn_convolution"] == (pytest.approx(30e-6), 1), "without the allocation within it"
    assert longest["aten::conv2d"] == (pytest.approx(10e-6), 1)


def test_what_was_compiled_computes_between_the_operations_that_it_calls() -> None:
    graph = "## Call CompiledFxGraph fabc ##"
    found = read([event("cpu_op", "Torch-Compiled Region: 0/0", 0, 100), event("cpu_op", graph, 10, 80),
                  event("cpu_op", "aten::mm", 20, 30)])  # fmt: skip
    assert found.columns["computation_share_ratio"] == pytest.approx(0.8)
    assert found.longest[0]["name"] == "compiled graph"


def test_a_device_whose_kernels_are_not_recorded_has_no_shares_and_that_is_said() -> None:
    found = read([event("cpu_op", "aten::mm", 0, 90)], "mps")
    assert found.columns["profile_reason"].startswith("the profiler records no kernels on mps")
    assert not set(SHARES) & set(found.columns)
    assert found.longest[0]["name"] == "aten::mm"
    assert "less than 1 %" in read([event("cpu_op", "aten::mm", 0, 0.5)]).columns["profile_reason"]


@pytest.mark.parametrize("kind", [RuntimeError, OSError, KeyError])
def test_a_profiler_that_fails_is_a_reason(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise kind("no CUPTI")

    monkeypatch.setattr(step_profile, "torch_profile", fail)
    found = profile_step(lambda: None, CPU, 1.0)
    assert found.columns == {"profile_reason": found.columns["profile_reason"]}
    assert "no CUPTI" in found.columns["profile_reason"]
    assert found.trace is None


def test_a_trace_that_is_too_large_is_left_out_and_the_shares_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_profile, "MAX_TRACE_BYTES", 10)
    found = read([event("cpu_op", "aten::mm", 0, 90)])
    assert found.trace is None
    assert "left out" in found.columns["profile_reason"]
    assert found.columns["computation_share_ratio"] == pytest.approx(0.9)
    for unseen in (read([event("cpu_op", "aten::mm", 0, 0.5)]), read([event("cpu_op", "aten::mm", 0, 90)], "mps")):
        assert re.search("(less than 1 %|records no kernels on mps).*; the trace of 0 MiB was left out",
                         unseen.columns["profile_reason"])  # fmt: skip
