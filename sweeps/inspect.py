"""What ``accelsweep devices``, ``accelsweep nodes`` and ``accelsweep list`` print."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from sweeps.measure.device import available_devices, describe
from sweeps.nodes import Cluster
from sweeps.results import DESCRIPTION

FAILED = ("oom", "timeout", "crashed", "error")


def print_devices() -> int:
    """One block per device of this machine: name, memory, driver, and each precision with why it is lacking."""
    console = Console(soft_wrap=True)
    for name in available_devices():
        facts = describe(name)
        memory = "unknown" if facts.total_bytes is None else f"{facts.total_bytes / 2**30:.1f} GiB"
        console.print(
            f"[bold]{name}[/bold]: {facts.device_name}, {facts.n_devices} here, memory {memory}",
            highlight=False,
        )
        if facts.driver_version:
            console.print(f"  driver {facts.driver_version}", highlight=False)
        for precision, reason in facts.precisions.items():
            console.print(
                f"  {precision}: {'supported' if reason is None else f'not supported: {reason}'}",
                highlight=False,
            )
    return 0


def print_nodes(cluster: Cluster) -> int:
    """One block per node of a cluster: what ``--on-node`` calls it, devices, kinds, versions, clock."""
    console = Console(soft_wrap=True, highlight=False)
    for node in cluster.all_nodes:
        console.print(f"[bold]{node.node_id}[/bold]  {node.host}  {node.ip}")
        if node.problem is not None:
            console.print(f"  left out: it {node.problem}", markup=False)
            continue
        for device, n in node.devices.items():
            console.print(f"  {n} x {device}: {node.kind(device)}", markup=False)
        console.print("  " + ", ".join(f"{name} {version or '-'}" for name, version in node.versions.items()))
    for line in cluster.differences():
        console.print(line, markup=False)
    return 0


def print_sweeps(results: Path) -> int:
    """One line per sweep: cells asked for, done, unsupported, failed, missing."""
    folders = sorted(p.parent for p in results.glob(f"*/{DESCRIPTION}"))
    table = Table(box=None)
    table.add_column("sweep", no_wrap=True, min_width=max([5, *(len(f.name) for f in folders)]))
    for name in ("cells", "complete", "pruned", "unsupported", "failed", "missing"):
        table.add_column(name, justify="right")
    for folder in folders:
        description = json.loads((folder / DESCRIPTION).read_text())
        statuses = [
            status
            for file in (folder / "trials").glob("[!._]*.parquet")
            for status in pq.read_table(file, columns=["status"], partitioning=None)["status"].to_pylist()
        ]
        n, count = description["n_cells"] or len(statuses), statuses.count
        cells = [n, count("complete"), count("pruned"), count("unsupported"), sum(count(s) for s in FAILED)]
        table.add_row(folder.name, *(str(c) for c in cells), str(max(0, n - len(statuses))))
    console = Console(soft_wrap=True)
    console.print(table if folders else f"no sweeps in {str(results)!r}", highlight=False)
    return 0
