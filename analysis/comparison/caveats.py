"""What a reader must know before believing a comparison."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from analysis.cells.matching import Difference, Side
from analysis.cells.pooling import with_runs_pooled
from analysis.comparison.comparison import Comparison
from analysis.contract.cells import SERVER
from analysis.page.caveats import of_sweep
from analysis.page.caveats.caveat import as_markdown
from analysis.page.environment import MAX_VALUES
from analysis.text import counted, escape, is_missing, some


def caveats(comparison: Comparison, sides: Sequence[Side], allowed: Sequence[str]) -> list[str]:
    """Sentences in Markdown, most important first; empty where nothing is known to be wrong."""
    return [*_allowed(sides, allowed), *_of_measurement(sides), *_left_out(sides), *_energy_domains(sides, allowed),
            *_servers(comparison), *_single_sweeps(comparison, sides), *environment_differences(sides)]  # fmt: skip


def difference_text(found: Difference, baseline: str) -> str:
    """``input_shape: 3x224x224 in A, 3x32x32 in B (4 cells)``; not escaped."""
    values = ["not recorded" if v is None else v for v in (found.baseline_value, found.other_value)]
    told = f"{found.column}: {values[0]} in {baseline}, {values[1]} in {found.other}"
    return f"{told} ({counted(found.n_cells)})"


def _of_measurement(sides: Sequence[Side]) -> list[str]:
    """What is wrong with the measurements of each side, its runs pooled to cells; the same of several is said once."""
    found: dict[str, list[str]] = {}
    for side in sides:
        for caveat in of_sweep.caveats(with_runs_pooled(side.trials), None, []):
            found.setdefault(caveat.text, []).append(side.label)
    return [f"{escape(', '.join(labels))}: {as_markdown(text)}" for text, labels in found.items()]


def _allowed(sides: Sequence[Side], allowed: Sequence[str]) -> list[str]:
    """What was allowed to differ, and each side's values of it."""
    said = []
    for column in allowed:
        values = []
        for side in sides:
            name = column if column in side.facts else f"option {column}"
            found = dict.fromkeys(str(r[name]) for r in side.rows if r.get(name) is not None)
            values.append(f"{', '.join(found) or 'not recorded'} in {side.label}")
        said.append(f"Allowed to differ: {escape(column)}: {escape('; '.join(values))}.")
    return said


def _left_out(sides: Sequence[Side]) -> list[str]:
    """Files that were skipped and cells that are missing, once for sides that were split from one."""
    loaded = {tuple(side.trials.attrs.get("paths", [side.label])): side for side in sides}
    lost = [(side.label, side.trials.attrs) for side in loaded.values()]
    return [escape(f"{name}: {text}") for name, of_side in lost for text in
            of_sweep.left_out(of_side.get("unreadable", []), of_side.get("missing", 0), sweep="a sweep")]  # fmt: skip


def _energy_domains(sides: Sequence[Side], allowed: Sequence[str]) -> list[str]:
    """Joules of a graphics board are not joules of a whole chip."""
    counted = [[row for row in side.rows if row.get("energy_per_item_j")] for side in sides]
    covered = [list(dict.fromkeys(str(row.get("energy_domain") or "unknown") for row in rows)) for rows in counted]
    if "energy_domain" in allowed or len({domain for domains in covered for domain in domains}) < 2:
        return []
    named = [f"{', '.join(domains) or 'nothing'} in {s.label}" for s, domains in zip(sides, covered, strict=True)]
    return [f"What the energy counter covers differs: {escape('; '.join(named))}. Where it differs, no ratio is given,"
            " unless --allow-different energy\\_domain is set."]  # fmt: skip


def _servers(comparison: Comparison) -> list[str]:
    frame = comparison.cells
    if "scenario" not in frame or not (frame["scenario"] == SERVER).any():
        return []
    return ["For the server scenario, the speed compared is that of a request, from its scheduled arrival to its"
            " answer, at one rate; a speed over 1 is a shorter latency."]  # fmt: skip


def _single_sweeps(comparison: Comparison, sides: Sequence[Side]) -> list[str]:
    """Repeats of one sweep know nothing of the next sweep."""
    if not (comparison.cells["n_runs"] > 1).any():
        return []
    alone = [escape(side.label) for side in sides if len({row.get("sweep_id") for row in side.rows}) == 1]
    if not alone:
        return []
    return [f"{', '.join(alone)}: all runs are from one sweep. They show how fresh processes differ, but not what a"
            " whole sweep shares, such as the load or the temperature at that hour. Several sweeps per side, measured"
            " in turns and joined by commas, show that too."]  # fmt: skip


ENVIRONMENT = {
    "device_name": "device", "driver_version": "driver", "cudnn_version": "cuDNN", "torch_version": "torch",
    "blas": "BLAS", "cpu_name": "processor", "cpu_capability": "vector instructions", "cpu_governor": "governor",
    "n_cpus": "CPUs", "n_threads": "threads", "huge_pages": "huge pages", "container_limits": "limits of the container",
    "allocator_settings": "allocator", "device_settings": "variables", "os": "system",
}  # fmt: skip
"""What may make the same code faster or slower, by its column; null means that nothing of the kind was set."""
CLOCK_RATIO = 1.05
"""Median device clocks further apart than that are named."""
_NOT_SET = ("allocator_settings", "device_settings", "container_limits")
"""Columns whose null says something: old sweeps have the first two as well."""


def environment_differences(sides: Sequence[Side]) -> list[str]:
    """What of the environment differs between the sides, on the devices that they share (all where they share none)."""
    devices = set.intersection(*({row.get("device") for row in side.rows} for side in sides))
    rows = [[row for row in side.rows if row["status"] == "complete" and (not devices or row.get("device") in devices)]
            for side in sides]  # fmt: skip
    told = []
    for column, name in ENVIRONMENT.items():
        is_recorded = [any(not is_missing(row.get(column)) for row in of_side) for of_side in rows]
        empty = "none" if column in _NOT_SET and any(column in row for of in rows for row in of) else "not recorded"
        found = [
            sorted({empty if is_missing(row.get(column)) else str(row[column]) for row in of_side}) for of_side in rows
        ]
        if any(is_recorded) and any(values != found[0] for values in found):
            told.append(f"{name}: " + ", ".join(_in_side(values, s) for values, s in zip(found, sides, strict=True)))
    clocks = [[float(row["clock_mhz"]) for row in of_side if not is_missing(row.get("clock_mhz"))] for of_side in rows]
    medians = [statistics.median(values) for values in clocks if values]
    if medians and max(medians) > CLOCK_RATIO * min(medians):
        named = [
            _in_side([f"{statistics.median(values):,.0f} MHz"], s)
            for values, s in zip(clocks, sides, strict=True)
            if values
        ]
        told.append(f"device clock: {', '.join(named)}")
    return [f"The environments differ, which may be the cause: {escape('; '.join(told))}."] if told else []


def _in_side(values: Sequence[str], side: Side) -> str:
    return f"{some(values, MAX_VALUES, ' and ')} in {side.label}"
