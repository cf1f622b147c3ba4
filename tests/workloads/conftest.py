from __future__ import annotations

from pathlib import Path

import pytest
import torch

from workloads.base import CellContext, Workload
from workloads.registry import load_workload


def prepared(
    name: str, *, batch_size: int = 2, precision: str = "fp32", model: str = "none",
    memory_format: str = "contiguous", compile: str = "none", device: str = "cpu", n_compared: int = 8,
    **options: object
) -> Workload:  # fmt: skip
    """A workload, set up, on the CPU unless told otherwise."""
    kind = load_workload(name)
    context = CellContext(
        device=torch.device(device), batch_size=batch_size, precision=precision, model=model,
        memory_format=memory_format, compile=compile, options=kind.Options(**options),
        n_compared=n_compared,
    )  # fmt: skip
    workload = kind(context)
    workload.setup()
    return workload


@pytest.fixture
def small_classifier(tmp_path: Path) -> str:
    """A ``--model`` of what image classifiers are made of, whose float64 takes no seconds."""
    (tmp_path / "small.py").write_text("""
from torch import nn

def build():
    layers = [nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, groups=2),
              nn.BatchNorm2d(32), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(32, 10))
""")
    return f"{tmp_path}/small.py:build"
