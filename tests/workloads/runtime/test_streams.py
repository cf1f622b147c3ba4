"""Streams are used where a device proves that it has them; without them nothing is copied behind the host's back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from workloads.runtime.streams import has_streams, send

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    has_streams.cache_clear()
    yield
    has_streams.cache_clear()


@pytest.mark.parametrize("device_type", ["cpu", "meta"])
def test_a_device_without_streams_says_so_by_what_it_does(device_type: str) -> None:
    assert not has_streams(device_type)


@pytest.mark.gpu
def test_a_device_that_cannot_keep_a_streams_tensor_alive_has_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = torch.accelerator.current_accelerator()
    assert accelerator is not None

    def refuse(self: torch.Tensor, stream: torch.Stream) -> None:
        raise NotImplementedError("The operator 'aten::record_stream' is not currently implemented for the MPS device.")

    monkeypatch.setattr(torch.Tensor, "record_stream", refuse)
    assert not has_streams(accelerator.type)


def test_a_copy_waits_where_there_are_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device, **options: asked.append(options) or self)
    send(torch.ones(2), torch.device("cpu"))
    assert asked == [{"non_blocking": False}]


def test_whoever_uses_streams_or_copies_without_waiting_asks_first() -> None:
    uses = re.compile(r"non_blocking=True|record_stream\(|torch\.Stream\(|wait_event\(|torch\.cuda\.(Stream|Event)\(")
    files = [p for folder in ("workloads", "sweeps") for p in (ROOT / folder).rglob("*.py")]
    found = [p for p in files if uses.search(p.read_text(encoding="utf-8"))]
    assert {p.name for p in found} >= {"streams.py", "feeds.py", "transfer.py"}
    for path in found:
        assert "has_streams(" in path.read_text(encoding="utf-8"), path
