"""A sweep's configuration out of JSON, which knows no tuples and no classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from analysis.contract.limits import Limits
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.search import PruningConfig, Range, SearchConfig


def restored(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What a ``SweepConfig`` takes of its ``as_dict`` after a round trip through JSON, of the names that it knows."""
    kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
    kept["measure"] = MeasureConfig(**kept["measure"])
    for name in ("option_axes", "node_kinds"):
        kept[name] = {k: tuple(v) for k, v in (kept.get(name) or {}).items()}
    kept["pruning"] = PruningConfig(**kept.get("pruning", {}))
    kept["limits"] = Limits.of(kept)
    search = kept.get("search")
    if search is not None:
        ranges = {name: Range(**r) for name, r in search["ranges"].items()}
        kept["search"] = SearchConfig(**{**search, "objectives": tuple(search["objectives"]), "ranges": ranges})
    return kept
