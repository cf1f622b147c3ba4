"""What measured, as Markdown: the one table of machines and versions that every page has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from analysis.cells.rows import Row, records
from analysis.text import MISSING, escape, gibibytes, is_missing, some, table

MAX_VALUES = 3  # values of a line that are told of one column


def _gibibytes_of(column: str) -> Callable[[Row], str]:
    return lambda row: "" if is_missing(row.get(column)) else gibibytes(row[column])


def _energy(row: Row) -> str:
    """What counts energy, and what of the machine it covers."""
    if is_missing(row.get("energy_source")):
        return MISSING if "energy_source" in row else ""
    domain = row.get("energy_domain")
    return str(row["energy_source"]) if is_missing(domain) else f"{row['energy_source']}, of the {domain}"


def _proof(row: Row) -> str:
    proven = row.get("timing_verified")
    return (MISSING if "timing_verified" in row else "") if is_missing(proven) else "passed" if proven else "failed"


LINES: Mapping[str, str | Callable[[Row], str]] = {
    "sweeps": "sweep", "device": "device_name", "device memory (GiB)": _gibibytes_of("device_total_bytes"),
    "driver": "driver_version", "timer's proof": _proof, "energy counter": _energy, "processor": "cpu_name",
    "vector instructions": "cpu_capability", "governor": "cpu_governor", "BLAS": "blas", "cuDNN": "cudnn_version",
    "huge pages": "huge_pages", "limits of the container": "container_limits", "CPUs": "n_cpus", "threads": "n_threads",
    "memory (GiB)": _gibibytes_of("host_total_bytes"), "allocator": "allocator_settings", "settings": "device_settings",
    "system": "os",
    "Python": "python_version", "torch": "torch_version", "torchvision": "torchvision_version",
    "other runtimes": "runtime_version", "Ray": "ray_version",
    "accelsweep": "accelsweep_version", "commit": "git_commit", "host": "host",
}  # fmt: skip
"""Each line: a column of the trials table, or what is made of several."""
_OF_SEVERAL = ("device_total_bytes", "host_total_bytes", "energy_source", "energy_domain", "timing_verified")
_READ = {*(line for line in LINES.values() if isinstance(line, str)), *_OF_SEVERAL}


def environment_table(columns: Sequence[tuple[str, Sequence[Row]]]) -> str:
    """What measured; lines in which no column has something to say are left out.

    Each column is a heading, not escaped, and the rows whose environment it shows.
    """
    told = [[title, *(_values(rows, line) for _, rows in columns)] for title, line in LINES.items()]
    shown = [row for row in told if any(row[1:])]
    return table(["", *(escape(head) for head, _ in columns)], shown, n_left=1 + len(columns)) if shown else ""


def _values(rows: Sequence[Row], line: str | Callable[[Row], str]) -> str:
    """The different values of a line, escaped; that it is unknown only where it is so of all rows."""
    found = dict.fromkeys(_plain(row.get(line)) if isinstance(line, str) else line(row) for row in rows)
    known = [value for value in found if value not in ("", MISSING)]
    return escape(some(known, MAX_VALUES)) if known else MISSING if MISSING in found else ""


def _plain(value: object) -> str:
    return "" if is_missing(value) else f"{value:g}" if isinstance(value, float) else str(value)


def of_devices(frame: pd.DataFrame) -> list[tuple[str, list[Row]]]:
    """The columns of one page's cells: each device, machine and version of torch, by the first value known."""
    keys = ["device", *(c for c in ("host", "torch_version") if c in frame)]
    known = frame.dropna(subset=["torch_version"])
    known = known[[c for c in frame if (c in _READ or c in keys) and c != "sweep"]]
    if "runtime_version" in known and known["runtime_version"].notna().any():  # a device has as many as were swept
        joined = known.groupby(keys, dropna=False)["runtime_version"].transform(
            lambda told: "; ".join(dict.fromkeys(told.dropna()))
        )
        known = known.assign(runtime_version=joined)
    first = known.groupby(keys, sort=False, dropna=False).first().copy().reset_index()  # in one piece
    return [(str(row["device"]), [row]) for row in records(first)]
