"""How the devices of one host reach each other, as their driver tells it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from sweeps.measure.device import nvml

_PATHS = {0: "one board", 10: "one switch", 20: "several switches", 30: "a host bridge", 40: "one NUMA node",
          50: "between NUMA nodes"}  # fmt: skip
"""nvmlGpuTopologyLevel_t: the nearest thing that two boards have in common, which ``nvidia-smi topo -m`` calls PIX,
PXB, PHB, NODE and SYS from 10 on."""


def link_between(uuids: Sequence[str | None]) -> str | None:
    """How these NVIDIA boards are linked, two by two, such as ``NVLink (18 links)`` or ``PCIe (a host bridge)``.

    Different links are told together; None where the driver does not say, and for any other device.
    """
    library = nvml.started()
    if library is None or None in uuids:
        return None
    handles = [nvml.handle_of(str(uuid)) for uuid in uuids]
    if None in handles:
        return None
    found = {_link(library, *pair) for pair in itertools.combinations(handles, 2)}
    return None if None in found else ", ".join(sorted(str(link) for link in found)) or None


def _link(library: Any, one: Any, other: Any) -> str | None:
    try:
        if library.nvmlDeviceGetP2PStatus(one, other, library.NVML_P2P_CAPS_INDEX_NVLINK) == 0:
            n = _n_links(library, one)
            return f"NVLink ({n} links)" if n else "NVLink"
    except library.NVMLError:
        pass  # an older driver, or a guest that is not told
    try:
        return f"PCIe ({_PATHS[library.nvmlDeviceGetTopologyCommonAncestor(one, other)]})"
    except (library.NVMLError, KeyError):
        return None


def _n_links(library: Any, handle: Any) -> int:
    """Links of a board that are up."""
    n = 0
    for link in range(library.NVML_NVLINK_MAX_LINKS):
        try:
            n += library.nvmlDeviceGetNvLinkState(handle, link) == library.NVML_FEATURE_ENABLED
        except library.NVMLError:
            break
    return n
