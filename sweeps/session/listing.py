"""What ``accelsweep devices``, ``accelsweep nodes`` and ``accelsweep list`` print."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.contract.cells import FAILED
from analysis.contract.parts import DESCRIPTION, files_of, parts_first, strangers, without_doubles
from analysis.contract.runs import COUNTED_BY, n_asked
from sweeps.scheduling.nodes import Cluster
from sweeps.session.terminal import say
from sweeps.text import printable


def print_devices() -> int:
    """One block per device of this machine: name, memory, driver, and each precision with why it is lacking."""
    from sweeps.measure.device.description import (
        describe,
    )  # and torch, which the listings of sweeps and nodes do not need
    from sweeps.measure.device.device import available_devices, open_device
    from sweeps.measure.precision_notes import precision_notes

    console = Console(soft_wrap=True)
    for name in available_devices():
        facts, notes = describe(name), precision_notes(open_device(name))
        memory = "unknown" if facts.total_bytes is None else f"{facts.total_bytes / 2**30:.1f} GiB"
        say(console, f"{name}: {facts.device_name}, {facts.n_devices} here, memory {memory}")
        if facts.driver_version:
            say(console, f"  driver {facts.driver_version}")
        for precision, reason in facts.precisions.items():
            supported = f"supported; {notes[precision]}" if precision in notes else "supported"
            say(console, f"  {precision}: {supported if reason is None else f'not supported: {reason}'}")
    return 0


def print_nodes(cluster: Cluster) -> int:
    """One block per node of a cluster: what ``--on-node`` calls it, devices, kinds, versions, clock."""
    console = Console(soft_wrap=True)
    for node in cluster.all_nodes:
        say(console, f"{node.node_id}  {node.host}  {node.ip}")
        if node.problem is not None:
            say(console, f"  left out: it {node.problem}")
            continue
        for device, n in node.devices.items():
            say(console, f"  {n} x {device}: {node.kind(device)}")
        say(console, "  " + ", ".join(f"{name} {version or '-'}" for name, version in node.versions.items()))
    for line in cluster.differences():
        say(console, line)
    return 0


def print_sweeps(results: Path) -> int:
    """One line per sweep: runs of its cells asked for, done, unsupported, failed, missing."""
    folders = sorted(p.parent for p in results.glob(f"*/{DESCRIPTION}"))
    names = [printable(folder.name) for folder in folders]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # fits 80 columns
    table.add_column("sweep", no_wrap=True, min_width=max([5, *map(len, names)]))
    for name in ("runs", "done", "pruned", "unsupported", "failed", "missing"):
        table.add_column(name, justify="right")
    unread: list[str] = []
    strange: list[str] = []
    for folder, name in zip(folders, names, strict=True):
        asked, statuses = _counted(folder, unread)
        strange += [f"{folder.name}/trials/{name}" for name in strangers(folder / "trials")]
        n, count = asked or len(statuses), statuses.count
        cells = [n, count("complete"), count("pruned"), count("unsupported"), sum(count(s) for s in FAILED)]
        table.add_row(Text(name), *(str(c) for c in cells), str(max(0, n - len(statuses))))
    console = Console(soft_wrap=True)
    if folders:
        console.print(table, highlight=False)
    else:
        say(console, f"no sweeps in {str(results)!r}")
    if unread:
        say(console, f"could not be read: {', '.join(unread)}")
    if strange:
        say(console, f"ignored, as accelsweep did not write it: {', '.join(strange)}")
    return 0


def _counted(folder: Path, unread: list[str]) -> tuple[int, list[str]]:
    """The rows that a sweep was asked for, repeats included, 0 where it does not say, and the statuses recorded.

    Files that cannot be read are named in ``unread``.
    """
    tables = []
    for file in parts_first(files_of(folder / "trials")):
        try:
            tables.append(_read(file))
        except (pa.ArrowException, OSError):
            unread.append(f"{folder.name}/trials/{file.name}")
    rows = [row for table in without_doubles(tables) if "status" in table.column_names for row in table.to_pylist()]
    try:
        asked = n_asked(json.loads((folder / DESCRIPTION).read_text()), rows)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        unread.append(f"{folder.name}/{DESCRIPTION}")
        asked = None
    return asked or 0, [row["status"] for row in rows]


def _read(file: Path) -> pa.Table:
    """Of a file of trials the columns by which runs are counted, as far as it has them."""
    opened = pq.ParquetFile(file)
    return opened.read(columns=[name for name in COUNTED_BY if name in opened.schema_arrow.names])
