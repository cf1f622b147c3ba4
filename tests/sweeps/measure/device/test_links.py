"""How boards are linked, from what NVIDIA's library says; it is not here, so one that answers like it stands in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.measure.device.links import link_between

BOARDS = ["GPU-a", "GPU-b"]


class NVMLError(Exception): ...


def library(*, nvlink: int | None, n_links: int = 0, level: int | None = 30) -> Any:
    def told(value: int | None) -> int:
        if value is None:
            raise NVMLError
        return value

    return SimpleNamespace(
        NVMLError=NVMLError, NVML_P2P_CAPS_INDEX_NVLINK=2, NVML_NVLINK_MAX_LINKS=18, NVML_FEATURE_ENABLED=1,
        nvmlDeviceGetP2PStatus=lambda one, other, index: told(nvlink),
        nvmlDeviceGetTopologyCommonAncestor=lambda one, other: told(level),
        nvmlDeviceGetNvLinkState=lambda handle, link: told(1 if link < n_links else None),
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"nvlink": 0, "n_links": 18}, "NVLink (18 links)"),
        ({"nvlink": 0}, "NVLink"),
        ({"nvlink": 1}, "PCIe (a host bridge)"),
        ({"nvlink": None, "level": 50}, "PCIe (between NUMA nodes)"),
        ({"nvlink": None, "level": None}, None),
        ({"nvlink": 1, "level": 77}, None),
    ],
)
def test_what_the_driver_says_is_told(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, int | None], expected: str | None
) -> None:
    monkeypatch.setattr("sweeps.measure.device.nvml.started", lambda: library(**told))
    assert link_between(BOARDS) == expected
    assert link_between([*BOARDS, "GPU-c"]) == expected, "links that are alike are told once"
    assert link_between([None, "GPU-a"]) is None


def test_without_the_library_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.measure.device.nvml.started", lambda: None)
    assert link_between(BOARDS) is None
