"""Cells of an accelerator whose operations ran on the CPU without a word, or may have."""

from __future__ import annotations

import pandas as pd

from analysis.cells.naming import out_of, words_of
from analysis.text import listed


def fallbacks(frame: pd.DataFrame) -> list[str]:
    """What the rows say about them, in sentences, not escaped."""
    return [*_of_torch(frame), *_of_runtimes(frame)]


def _of_torch(frame: pd.DataFrame) -> list[str]:
    settings = frame["device_settings"].fillna("").astype(str)
    allowed = settings.str.extract(r"(\w+_FALLBACK)=(?!0+(?: |$))")[0]
    mask = allowed.notna() & (frame["device"] != "cpu")
    if not mask.any():
        return []
    names, devices = " and ".join(words_of(allowed[mask])), ", ".join(words_of(frame.loc[mask, "device"]))
    return [f"{out_of(mask)} ran with {names} set: what {devices} lacks was computed by the CPU, copies included, under"
            " the device's name. Without it such a cell would end as unsupported."]  # fmt: skip


def _of_runtimes(frame: pd.DataFrame) -> list[str]:
    """Where another provider than the one asked for runs a part of a network, as a runtime's sessions tell."""
    providers = frame["nodes_by_provider"].fillna("").astype(str).str.count(", ") + 1
    mask = providers > 1
    if not mask.any():
        return []
    told = [f"{model} in {precision}: {nodes}" for (model, precision, nodes), _ in
            frame[mask].groupby(["model", "precision", "nodes_by_provider"], sort=False)]  # fmt: skip
    devices = listed(words_of(frame.loc[mask, "device"]))
    return [f"{out_of(mask)} on {devices} left a part of the network to another provider of their runtime, copies"
            f" included (nodes by provider): {'; '.join(told)}."]  # fmt: skip
