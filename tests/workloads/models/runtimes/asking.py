"""A small network, and what runtimes are asked to make of it."""

from __future__ import annotations

import pytest
import torch

from workloads.base import UnsupportedError
from workloads.models.runtimes import table
from workloads.models.runtimes.base import Asked, Ran, Session, Tensors

SHAPE = (2, 3, 32, 32)


class Small(torch.nn.Module):
    """Two convolutions and a product."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2), torch.nn.BatchNorm2d(16), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3),
            torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(128, 10),
        )  # fmt: skip
        self.eval()

    def forward(self, x: torch.Tensor) -> Tensors:
        return (self.layers(x),)


def asked_for(network: torch.nn.Module, precision: str, device: str = "cpu") -> Asked:
    generator = torch.Generator().manual_seed(1)
    batches = [torch.rand(SHAPE, generator=generator) for _ in range(4)]
    return Asked(
        network=network, examples=(batches[0],), calibration=lambda: [(batch,) for batch in batches],
        device=torch.device(device), precision=precision, n_threads=1,
    )  # fmt: skip


def opened(name: str, precision: str) -> tuple[Ran | None, str]:
    """What ran in a session whose answers are right, or why there is none: processors differ in their types."""
    try:
        return check_answers(name, precision, 0.05).ran, ""
    except UnsupportedError as error:
        return None, str(error)


def check_answers(name: str, precision: str, off: float) -> Session:
    """A session whose answers are the network's but for some share of their size, and stay when it runs again."""
    network, generator = Small(), torch.Generator().manual_seed(2)
    session = table.open_session(name, asked_for(network, precision))
    first, second = (torch.rand(SHAPE, generator=generator) for _ in range(2))
    (answer,) = session.run(first)
    session.run(second)
    with torch.inference_mode():
        (right,) = network(first)
    assert answer.dtype == torch.float32
    assert float((answer - right).abs().max()) <= off * float(right.abs().max())
    assert session.takes.type == "cpu"
    return session


def check_unknown_operator(name: str) -> None:
    """An operator that only PyTorch knows is named."""

    @torch.library.custom_op(f"mine::for_{name}", mutates_args=())
    def own(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    own.register_fake(torch.empty_like)

    class Own(Small):
        def forward(self, x: torch.Tensor) -> Tensors:
            return (own(super().forward(x)[0]),)

    with pytest.raises(UnsupportedError, match=rf"mine[.:]+for_{name}"):
        table.open_session(name, asked_for(Own(), "fp32"))
