"""The commands: a sweep of a workload, its reports, and the tools; bad usage is one line and exit code 2."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from analysis.contract.cells import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from analysis.contract.streams import outlive_readers
from sweeps.coverage.commands import COVERAGE_TOOLS
from sweeps.plan.from_options import devices_asked
from sweeps.plan.parsing import parse
from sweeps.plan.search_options import split_ranges
from sweeps.plan.sweep_options import sweep_command
from sweeps.session.beginning import begun
from sweeps.session.reports import report_safely
from sweeps.text import one_line, printable
from workloads.base import BadInputError
from workloads.registry import BUILT_IN, left_out, load_workload, workload_names

if TYPE_CHECKING:
    from sweeps.session.running import Ended


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Say what each device here is and which precisions it supports."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """List the nodes of a Ray cluster: name, address, devices, kind, versions, clock."""

    address: str = "auto"
    """Address of the cluster; auto finds the one that this machine is a node of."""


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """Prove that measuring works on this machine: all proofs in under a minute, one line each."""

    device: tuple[str, ...] = ()
    """Devices to prove it on. Default: every device this machine has."""


@dataclass(frozen=True, kw_only=True)
class List:
    """List the sweeps with their cells done, failed and missing."""

    output: Path = Path("results")
    """Folder of all results."""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Join sweeps of separate machines into one sweep, and write its report."""

    sweeps: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Two or more sweeps' folders, or results folders (their latest sweep)."""
    output: Path = Path("results")
    """Folder of all results, in which the new sweep is written."""
    report: bool = True
    """Write the Markdown report."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Print the columns of the Parquet tables with type, unit and meaning."""


def _devices(_: Devices) -> int:
    from sweeps.session.listing import print_devices

    return print_devices()


def _nodes(options: Nodes) -> int:
    from sweeps.launch.ray_session import cluster_session
    from sweeps.launch.ray_start import RayOptions
    from sweeps.session.listing import print_nodes

    with cluster_session(RayOptions(address=options.address)) as cluster:
        return print_nodes(cluster)


def _selftest(options: SelfTest) -> int:
    from sweeps.measure.device.device import available_devices
    from sweeps.measure.selftest import run_selftest

    proofs = run_selftest(devices_asked(options.device, available_devices()))
    return EXIT_FAILED if any(proof.passed is False for proof in proofs) else EXIT_OK


def _list(options: List) -> int:
    from sweeps.session.listing import print_sweeps

    return print_sweeps(options.output)


def _merge(options: Merge) -> int:
    from sweeps.store.merge import merge, strangers_in

    folder = merge(options.sweeps, options.output)
    if strange := strangers_in(options.sweeps):
        sys.stdout.write(f"ignored, as accelsweep did not write it: {printable(', '.join(strange))}\n")
    sys.stdout.write(f"merged: {folder}\n")
    if options.report:
        report_safely("report", folder, lambda line: sys.stdout.write(f"{line}\n"))
    return EXIT_OK


def _schema(_: Schema) -> int:
    from sweeps.store.operation_columns import OPERATIONS
    from sweeps.store.schema import TABLES, markdown_table

    tables = {**TABLES, "operations": OPERATIONS}
    sys.stdout.write("\n".join(f"**{name}**\n\n{markdown_table(schema)}" for name, schema in tables.items()))
    return EXIT_OK


TOOLS: dict[str, tuple[type[Any], Callable[[Any], int]]] = {
    "devices": (Devices, _devices),
    "nodes": (Nodes, _nodes),
    "selftest": (SelfTest, _selftest),
    "list": (List, _list),
    "merge": (Merge, _merge),
    "schema": (Schema, _schema),
    **COVERAGE_TOOLS,
}


PAGES = {
    "report": "Write a sweep's report, or its page on one subject: accelsweep report [SUBJECT] [RESULTS...].",
    "compare": "Compare machines, versions or commits, cell by cell: accelsweep compare A B [C...].",
}
"""What the scripts in ``analysis/`` do as well; each page reads its own options."""


def _page(name: str, words: Sequence[str]) -> int:
    from analysis.page.command_line import SUBJECTS, run_script

    subject = words[0] if name == "report" and words and words[0] in SUBJECTS else ""
    if name == "report" and not subject and {"-h", "--help"} & set(words):
        subjects = f"SUBJECT, which comes first, writes a page on that subject alone: {', '.join(SUBJECTS)}."
        more = "`accelsweep report SUBJECT --help` shows its options. Without a subject, the full report:"
        sys.stdout.write(f"{subjects}\n{more}\n\n")
    sys.argv = [f"accelsweep {name} {subject}".strip()]  # as whom its help and its errors speak
    return run_script(subject or name, words[1:] if subject else words)


def _first_line(kind: type[Any]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]


def _told(name: str) -> str:
    """A workload's first line, or why there is none: a package that does not import must not hide the others."""
    try:
        return _first_line(load_workload(name))
    except BadInputError as error:
        return one_line(error)


def _overview() -> str:
    """What ``accelsweep --help`` prints."""
    sweeps = [(name, _told(name)) for name in workload_names()]
    tools = [*PAGES.items(), *((name, _first_line(kind)) for name, (kind, _) in TOOLS.items())]
    width = max(len(name) for name, _ in [*sweeps, *tools])
    return "\n".join(
        [
            "usage: accelsweep COMMAND [options]",
            "",
            "Which device, batch size and precision should this machine use for PyTorch, and what does not work?",
            "Start with `accelsweep finetune`, which needs no options. `accelsweep COMMAND --help` lists its own.",
            "",
            "sweeps:",
            *(f"  {name:<{width}}  {line}" for name, line in sweeps),
            *(f"  {one_line(line)}" for line in left_out().values()),
            "",
            "tools:",
            *(f"  {name:<{width}}  {line}" for name, line in tools),
            "",
        ]
    )


def run_workload(name: str, words: Sequence[str]) -> Ended:
    """Run a sweep of a workload by the words of its command line.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    if name not in BUILT_IN and name not in (names := workload_names()):  # looked up on disk, in every package
        raise BadInputError(f"unknown workload {name!r}; allowed: {', '.join([*names, *PAGES, *TOOLS])}")
    if line := left_out().get(name):
        sys.stderr.write(f"accelsweep: {one_line(line)}\n")
    workload = load_workload(name)
    rest, ranges = split_ranges(workload, words)
    options = parse(sweep_command(workload), name, rest)
    with begun(workload, options, ranges) as here:
        from sweeps.session.running import run_sweep

        return run_sweep(workload, options, ["accelsweep", name, *words], ranges, here)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if every cell was measured or is unsupported, 1 if some failed, 2 for bad usage, 130 if interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    outlive_readers()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BadInputError as error:
        sys.stderr.write(f"accelsweep: error: {one_line(error)}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("accelsweep: interrupted\n")
        return EXIT_INTERRUPTED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        sys.stderr.write(
            f"accelsweep: error: cannot write {one_line(error.filename or 'any more')}: {error.strerror}\n"
        )
        return EXIT_FAILED


def _run(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_overview())
        return EXIT_OK
    name, rest = arguments[0], arguments[1:]
    if name in TOOLS:
        kind, run = TOOLS[name]
        return run(parse(kind, name, rest))
    if name in PAGES:
        return _page(name, rest)
    return run_workload(name, rest).exit_code
