"""Proofs of what accelerators have been wrong in, or differ in, one line each: where a Mac would tell first.

``docs/mac.md`` says which of them stands for which doubt about Apple's GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch

from sweeps.measure.device.device import device_name, total_bytes
from sweeps.measure.device.environment import device_settings
from sweeps.measure.device.host import cpu_name, default_threads, system_name, threads_told, usable_cpus
from sweeps.measure.device.memory_counters import memory_now
from sweeps.measure.precision_notes import precision_notes
from workloads.runtime.streams import has_streams, pinned, send
from workloads.runtime.words import in_short

GIB = 2**30
N_FREED = 64
Verdict = tuple[bool | None, str]


def _streams(device: torch.device) -> Verdict:
    told = "copies run beside the work" if has_streams(device.type) else "one stream: copies wait their turn"
    return True, told


def _decodes(device: torch.device) -> Verdict:
    from torchvision.io import decode_jpeg, encode_jpeg

    image = (torch.arange(3 * 32 * 32) % 251).to(torch.uint8).reshape(3, 32, 32)
    try:
        where = decode_jpeg(encode_jpeg(image), device=device).device.type
    except (RuntimeError, ValueError) as error:
        return None, f"torchvision does not decode here: {in_short(str(error))}"
    if where != device.type:
        return None, f"torchvision decoded on {where} without a warning; the decode pipeline ends as unsupported"
    return True, f"JPEG is decoded on {where}"


def _freed_sources(device: torch.device) -> Verdict:
    """Values of the host whose memory is let go of at once arrive whole."""
    sent = [send(torch.full((4096,), float(i)), device) for i in range(N_FREED)]
    n_right = sum(bool((tensor == i).all()) for i, tensor in enumerate(sent))
    return n_right == N_FREED, f"{n_right} of {N_FREED} copies from memory freed at once are whole"


def _memory(device: torch.device) -> Verdict:
    most, size = memory_now(device).recommended_max_bytes, total_bytes(device)
    told = "of unknown size" if size is None else f"{size / GIB:.1f} GiB"
    if most is None:
        return (
            True,
            f"{told}; the system recommends no maximum, and a search for the largest batch ends when memory is full",
        )
    return size == most, f"{told}, the maximum that the system recommends; a search for the largest batch stops there"


def _scaled_step(device: torch.device, factor: float) -> tuple[float, float]:
    """A weight of 1 and the first moment of its gradient after one step of fused AdamW under a scaled loss."""
    weight = torch.ones(4, device=device, requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.0, fused=True)
    scaler = torch.amp.GradScaler(device.type, init_scale=1024.0)
    scaler.scale((weight * factor).sum()).backward()
    scaler.step(optimizer)
    moment = optimizer.state[weight].get("exp_avg", torch.zeros(4))
    return float(weight[0].item()), float(moment[0].item())


def _scales_gradients(device: torch.device) -> Verdict:
    """Fused AdamW unscales gradients and skips infinite ones, which PyTorch's for MPS ignored until June 2026."""
    (_, moment), (weight, _) = _scaled_step(device, 1.0), _scaled_step(device, float("inf"))
    told = f"first moment {moment:.3g} of 0.1 under a scale of 1024; weight {weight:g} of 1 after an infinite gradient"
    return abs(moment - 0.1) < 1e-3 and weight == 1.0, told


def _threads(_: torch.device) -> Verdict:
    told, usual, n = threads_told(), default_threads(usable_cpus()), torch.get_num_threads()
    wanted = told[1] if told else usual
    why = f"{told[0]} says {told[1]}" if told else f"a sweep takes {usual}"
    return None if n != wanted else True, f"torch computes with {n} threads of {usable_cpus()} CPUs; {why}"


def _names(device: torch.device) -> Verdict:
    names = device_name(device), cpu_name()
    return all(name not in {"", "arm", "arm64"} for name in names), f"{names[0]}; processor {names[1]}"


def _system(_: torch.device) -> Verdict:
    return True, system_name()


def _settings(_: torch.device) -> Verdict:
    told = device_settings(os.environ)
    return None if told and "FALLBACK" in told else True, told or "no environment variable changes what is computed"


def _pinned(_: torch.device) -> Verdict:
    return True, "the host has pinned memory" if pinned(torch.ones(4)) is not None else "no pinned memory of the host"


def _loader(_: torch.device) -> Verdict:
    """A loader that pins where it can gives the values it was given."""
    pins = pinned(torch.ones(4)) is not None
    values = torch.utils.data.TensorDataset(torch.arange(8.0))
    batches = [batch for (batch,) in torch.utils.data.DataLoader(values, 4, pin_memory=pins)]
    right = torch.cat(batches).tolist() == [float(i) for i in range(8)]
    return right, f"a loader that {'pins' if pins else 'does not pin'} delivers every value"


def _compiles(device: torch.device) -> Verdict:
    """torch.compile, tried: what it says where it does not work is told, and cells that ask for it say the same."""
    a = torch.arange(64.0, device=device)
    try:
        result = torch.compile(lambda t: torch.relu(t - 5) * 2, dynamic=False)(a)
    except Exception as error:  # whatever the compiler for this device raises
        return None, f"torch.compile does not work here: {in_short(error)}"
    return bool(torch.equal(result, torch.relu(a - 5) * 2)), "torch.compile works on a small function, and is right"


def _arithmetic(device: torch.device) -> Verdict:
    notes = precision_notes(device)
    return (None if notes else True), "; ".join(notes.values()) or "fp32 is fp32, and no smaller type is emulated"


PLACES: tuple[tuple[str, Callable[[torch.device], Verdict]], ...] = (
    ("streams", _streams),
    ("JPEG decoding", _decodes),
    ("copies from freed memory", _freed_sources),
    ("memory and its recommended maximum", _memory),
    ("scaled gradients, fused AdamW", _scales_gradients),
    ("threads", _threads),
    ("names of the chips", _names),
    ("environment variables", _settings),
    ("pinned memory", _pinned),
    ("torch.compile is tried", _compiles),
    ("the system's release and build", _system),
    ("what fp32 and bf16 really are", _arithmetic),
    ("the loader", _loader),
)
"""Run on every accelerator, after the proofs that every device has."""
