"""What a reader must know before believing a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.matching import Difference, Side
from analysis.comparison.comparison import Comparison
from analysis.contract.cells import SERVER
from analysis.page import caveats as of_sweep
from analysis.stats.resampling import MIN_BLOCKS
from analysis.text import counted, escape


def caveats(comparison: Comparison, sides: Sequence[Side], allowed: Sequence[str]) -> list[str]:
    """Sentences in Markdown, most important first; empty where nothing is known to be wrong."""
    return [*_allowed(sides, allowed), *_of_measurement(sides), *_left_out(sides), *_energy_domains(sides, allowed),
            *_servers(comparison), *_single_runs(comparison, sides)]  # fmt: skip


def difference_text(found: Difference, baseline: str) -> str:
    """``input_shape: 3x224x224 in A, 3x32x32 in B (4 cells)``; not escaped."""
    values = ["not recorded" if v is None else v for v in (found.baseline_value, found.other_value)]
    told = f"{found.column}: {values[0]} in {baseline}, {values[1]} in {found.other}"
    return f"{told} ({counted(found.n_cells)})"


def _of_measurement(sides: Sequence[Side]) -> list[str]:
    """What is wrong with the measurements of each side; the same of several is said once."""
    found: dict[str, list[str]] = {}
    for side in sides:
        for text in of_sweep.caveats(side.trials, None, []):
            found.setdefault(text, []).append(side.label)
    return [f"{escape(', '.join(labels))}: {of_sweep.as_markdown(text)}" for text, labels in found.items()]


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
    return [f"What the energy counter covers differs: {escape('; '.join(named))}. Where it does no ratio is taken,"
            " unless by --allow-different energy\\_domain."]  # fmt: skip


def _servers(comparison: Comparison) -> list[str]:
    frame = comparison.cells
    if "scenario" not in frame or not (frame["scenario"] == SERVER).any():
        return []
    return ["Of the server scenario the speed compared is that of a request, from its scheduled arrival to its answer,"
            " at one rate; a speed over 1 is a shorter latency."]  # fmt: skip


def _single_runs(comparison: Comparison, sides: Sequence[Side]) -> list[str]:
    """Intervals of one run know nothing of the next."""
    if comparison.cells["ratio_low"].isna().all():
        return []
    runs = [max(map(len, side.rows_by_key(comparison.key, ["complete"]).values()), default=0) for side in sides]
    few = [escape(side.label) for side, n in zip(sides, runs, strict=True) if n < MIN_BLOCKS]
    if not few:
        return []
    n = "fewer than three sweeps" if max(runs) > 1 else "one sweep"
    return [f"{', '.join(few)}: {n}, so intervals and p hold what varies within a sweep, not what differs from one to"
            " the next, such as other load or temperature. Three sweeps or more a side, joined by commas, hold that"
            " too."]  # fmt: skip
