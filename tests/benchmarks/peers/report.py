"""The records as Markdown: agreement, wall time, own settings, out of memory, a device that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plan import AGREEMENT, DEFAULTS, GRID, MEMORY, MISSING, Plan
from reasons import NOTES

from sweeps.measure import median_interval
from sweeps.measure.timing.statistics import Interval
from sweeps.text import figure

Record = dict[str, Any]
OURS, ISOLATED = "accelsweep", "optimum-benchmark, process launcher"
TARGET = 0.02


def table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "Not run."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def named(cell: Record) -> str:
    return f"{cell['batch_size']}, {cell['precision']}, {cell['memory_format']}"


def of(records: list[Record], part: str) -> list[Record]:
    return [record for record in records if record["part"] == part]


def ms(seconds: float | None) -> str:
    return "" if seconds is None else figure(seconds * 1e3)


def per_s(value: float | None) -> str:
    return "" if value is None else figure(value)


def verdict(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "undecided"
    if interval.low >= 1 - TARGET and interval.high <= 1 + TARGET:
        return "within 2 %"
    if interval.low > 1 + TARGET or interval.high < 1 - TARGET:
        return "off"
    return "undecided"


def ratio(interval: Interval) -> str:
    ends = "" if interval.low is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
    return f"{interval.median:.3f}{ends}"


def middle(values: list[float]) -> float:
    return median_interval(values).median


def failed(record: Record) -> str:
    kind = record.get("row_status") or record.get("error_type") or record["status"]
    return f"{kind}: {record.get('error') or ''}".replace("|", "/").strip().rstrip(":")


def agreement_rows(records: list[Record]) -> Iterator[list[str]]:
    """One line for each cell and tool: latency and throughput, the tool's, the reference's, and their ratio."""
    statistics = {r["tool"]: r.get("statistic", "mean") for r in of(records, "start")}
    asked = of(records, AGREEMENT)
    for cell in dict.fromkeys(named(r["cell"]) for r in asked):
        for record in (r for r in asked if named(r["cell"]) == cell):
            tool = record["tool"]
            if record["status"] != "ok":
                yield [cell, tool, failed(record), "", "", "", "", "", ""]
                continue
            turns, statistic = record["turns"], statistics.get(tool, "mean")
            batch = record["cell"]["batch_size"]
            seconds = [turn["tool"]["latency_s"] for turn in turns]
            rates = [turn["tool"]["throughput_per_s"] for turn in turns]
            for name in (key for key in turns[0] if key.startswith("reference")):
                reference = [turn[name][statistic] for turn in turns]
                times = median_interval([a / b for a, b in zip(seconds, reference, strict=True)])
                speeds = median_interval([a * b / batch for a, b in zip(rates, reference, strict=True)])
                yield [
                    cell, tool if name == "reference" else f"{tool}, against the loop {name.removeprefix('reference ')}",
                    ms(middle(seconds)), ms(middle(reference)), ratio(times), per_s(middle(rates)),
                    per_s(batch / middle(reference)), ratio(speeds), f"{verdict(times)} ({statistic}s)",
                ]  # fmt: skip
            for name in turns[0]["tool"]["others"]:
                others = [turn["tool"]["others"][name] for turn in turns]
                reference = [turn["reference"][statistic] for turn in turns]
                times = median_interval([a / b for a, b in zip(others, reference, strict=True)])
                yield [cell, f"{tool}, its `{name}`", ms(middle(others)), ms(middle(reference)), ratio(times), "", "", "",
                       ""]  # fmt: skip


def wall_rows(records: list[Record], plan: Plan) -> Iterator[list[str]]:
    n_cells = len(plan.grid)
    for tool in dict.fromkeys(r["tool"] for r in of(records, GRID)):
        mine = [r for r in of(records, GRID) if r["tool"] == tool]
        done = [r for r in mine if r["status"] == "ok"]
        in_cells = sum(r["wall_s"] for r in done)
        command = next((r for r in of(records, "command") if r["tool"] == tool), None)
        start = next((r for r in of(records, "start") if r["tool"] == tool and r["status"] == "ok"), None)
        start_s = start["wall_s"] if start else 0.0
        whole_s = command["wall_s"] if command else start_s + sum(r["wall_s"] for r in mine)
        beside = command["wall_s"] - in_cells if command else start_s
        yield [
            tool, f"{len(done)} of {n_cells if tool != ISOLATED else len(mine)}", f"{whole_s:.1f}", f"{beside:.1f}",
            f"{in_cells / len(done):.2f}" if done else "", f"{steps_s(done, plan) / len(done):.2f}" if done else "",
        ]  # fmt: skip


def steps_s(done: list[Record], plan: Plan) -> float:
    """Seconds of warm-up and timed steps, as far as the tool's own figure tells."""
    n, total_s = plan.n_steps + plan.n_warmup, 0.0
    for record in done:
        if "measured_s" in record:
            total_s += record["measured_s"] + record["warmup_s"]
        else:  # pytorch-benchmark's latency is no time on CUDA, its total is
            total_s += record["others"].get("total", record["latency_s"]) * n
    return total_s


def default_rows(records: list[Record]) -> Iterator[list[str]]:
    statistics = {r["tool"]: r.get("statistic", "mean") for r in of(records, "start")}
    for record in of(records, DEFAULTS):
        if record["status"] != "ok":
            yield [record["tool"], record["settings"], failed(record), "", "", ""]
            continue
        reference = record["reference"][statistics.get(record["tool"], "mean")]
        yield [
            record["tool"], record["settings"], ms(record["latency_s"]), ms(reference),
            f"{record['latency_s'] / reference:.3f}", f"{record['wall_s']:.1f}",
        ]  # fmt: skip


def memory_rows(records: list[Record]) -> Iterator[list[str]]:
    for tool in dict.fromkeys(r["tool"] for r in of(records, MEMORY)):
        mine = [r for r in of(records, MEMORY) if r["tool"] == tool]
        after = [r["status"] if r["status"] == "ok" else failed(r) for r in mine[2:]]
        told = "measured it" if mine[1]["status"] == "ok" else failed(mine[1])
        yield [tool, mine[0]["status"], told, " ".join(after)]


def missing_rows(records: list[Record]) -> Iterator[list[str]]:
    for record in of(records, MISSING):
        yield [record["tool"], "measured it" if record["status"] == "ok" else failed(record)]


def grid_spread(records: list[Record]) -> Iterator[list[str]]:
    """Every cell of the grid: each tool's throughput."""
    asked = of(records, GRID)
    tools = [tool for tool in dict.fromkeys(r["tool"] for r in asked) if tool != ISOLATED]
    cells = {named(r["cell"]): r["cell"] for r in asked}
    for cell in sorted(cells, key=lambda name: tuple(str(v).zfill(5) for v in cells[name].values())):
        found = {r["tool"]: r for r in asked if named(r["cell"]) == cell}
        yield [cell, *(per_s(found[t].get("throughput_per_s")) if t in found else "" for t in tools)]


def write_report(records: list[Record], plan: Plan) -> str:
    facts = of(records, "facts")[-1]
    versions = {k: v for r in of(records, "start") for k, v in r.get("versions", {}).items()}
    driver = f", driver {facts['driver']}" if facts["driver"] else ""
    not_started = [f"- {r['tool']}: {failed(r)}" for r in of(records, "start") if r["status"] != "ok"]
    cells = len(plan.grid)
    tools = [t for t in dict.fromkeys(r["tool"] for r in of(records, GRID)) if t != ISOLATED]
    limit = plan.address_space_bytes
    where = f"address space limited to {limit / 2**30:.1f} GiB more than in use" if limit else "the device's own memory"
    turns = f"{plan.n_turns} turns"
    if plan.n_single_turns != plan.n_turns:
        turns += f", at batch 1 {plan.n_single_turns},"
    text = [
        f"# Peers on {facts['device']}",
        f"{facts['date']}, {facts['device_name']}{driver}, {facts['n_threads']} CPU threads, Python {facts['python']},"
        f" torchvision {facts['torchvision']}, " + ", ".join(f"{k} {v}" for k, v in versions.items()) + "."
        f" {facts['model']} with seeded weights, 224 x 224, the same photographs for all but optimum-benchmark, which"
        " makes its own random pixels. Written by",
        "\n".join(f"    {command}" for command in facts["commands"]),
        *(["QUICK: too few cells and steps to say anything about speed."] if facts["quick"] else []),
        *(["Did not start:", "\n".join(not_started)] if not_started else []),
        "## Figures: theirs, ours, and the reference's",
        f"Each tool in turns with a loop that waits for the device around every step, in the tool's own process;"
        f" {turns} of {plan.n_steps} steps. A ratio is taken in each turn; shown is the median with its"
        " 95 % interval. Means are compared with means, medians with medians.",
        table(["batch, precision, format", "tool", "its latency, ms", "reference, ms", "ratio", "its items/s",
               "reference, items/s", "ratio", "verdict"], list(agreement_rows(records))),
        f"## Wall time of the same {cells} cells",
        f"Batch {', '.join(map(str, plan.batch_sizes))}; {', '.join(plan.precisions)}; {', '.join(plan.memory_formats)}."
        f" The same number of steps for all: {plan.n_warmup} warm-up and {plan.n_steps} timed, except that"
        " pytorch-benchmark warms up by a tenth of its runs and measures batch 1 beside each cell, and accelsweep warms"
        f" up by rule and takes whole rounds ({' '.join(plan.our_grid_options)}). Wall: from the start of the process,"
        " imports included, to the last figure; accelsweep: the whole command with Ray, to its exit.",
        table(["tool", "cells measured", "wall, s", "of it beside cells, s", "a cell, s", "of it steps, s"],
              list(wall_rows(records, plan))),
        "Throughput of each cell in that run, items/s, not in turns:",
        table(["batch, precision, format", *tools], list(grid_spread(records))),
        "## One cell with each tool's own settings",
        f"Batch, precision, format: {named(plan.default_cell)}. The reference ran before and after.",
        table(["tool", "settings", "its latency, ms", "reference, ms", "ratio", "wall, s"], list(default_rows(records))),
        "## A cell that runs out of memory",
        f"Batch {plan.too_large} in fp32, {where}; before and after it, in the same process, batch 1.",
        table(["tool", "batch 1 before", f"batch {plan.too_large}", "batch 1 after"], list(memory_rows(records))),
        "## A device that is not there",
        f"Asked for `{facts['missing_device']}`.",
        table(["tool", "what it gave"], list(missing_rows(records))),
        "## Why a peer is off",
        NOTES,
    ]  # fmt: skip
    return "\n\n".join(text) + "\n"
