"""Join sweeps of machines that never met into one: ``accelsweep merge A B``.

The rows stay as they are, with the sweep they come from in ``sweep_id``. A cell that several of the sweeps measured has
the same key in each; in the merged sweep its rows, samples and rounds get a key made of sweep and cell, so that all
that joins the tables by the key goes on to do so.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.contract.parts import (
    DESCRIPTION,
    TRACES,
    compacted_name,
    files_of,
    parts_first,
    trace_name,
    without_doubles,
)
from analysis.contract.runs import COUNTED_BY, n_asked
from sweeps.plan.config import KEY_LENGTH
from sweeps.store.durable import parquet_bytes, writing_to
from sweeps.store.lock import holder_of
from sweeps.store.part_files import DAMAGED, PartFiles, in_schema
from sweeps.store.schema import SCHEMA_VERSION, TABLES
from sweeps.store.store import ResultStore, claim_folder
from workloads.base import BadInputError

WORD = "merged"


@dataclass(kw_only=True)
class Source:
    """One of the sweeps, with its ``sweep.json`` and its tables by name."""

    folder: Path
    description: dict[str, Any]
    tables: dict[str, pa.Table]

    @property
    def keys(self) -> list[str]:
        keys: list[str] = self.tables["trials"]["trial_key"].to_pylist()
        return keys

    @property
    def n_asked(self) -> int | None:
        """Rows that it was asked for; None where it does not say."""
        return n_asked({"n_cells": None, **self.description}, self.tables["trials"].select(COUNTED_BY).to_pylist())

    @property
    def measurements(self) -> set[tuple[Any, ...]]:
        """What no two measurements share: on which machine, in which process and when."""
        columns = self.tables["trials"].select(["host", "worker_pid", "started_at"]).to_pydict()
        return set(zip(*columns.values(), strict=True))


def find(text: str) -> Path:
    """The folder of a sweep, which must be there: the one named, or the latest in a results folder."""
    folder = Path(text)
    sweeps = [path.parent for path in folder.glob(f"*/{DESCRIPTION}")]
    if (folder / DESCRIPTION).is_file() and ((folder / "trials").is_dir() or not sweeps):  # no copy of another's
        return folder
    if not sweeps:
        why = "contains no sweep" if folder.is_dir() else "is not a folder"
        raise BadInputError(f"merge: {text!r} {why}; name a sweep's folder, or a results folder for its latest sweep")
    return max(sweeps, key=lambda path: path.name)


def read(folder: Path) -> Source:
    """A sweep whole; what a crash left half done is finished in a copy, never in the sweep itself.

    Refused are another schema version, what is no sweep of a workload, and one that is damaged, running or unreadable.
    """
    running = holder_of(folder)
    if running is not None:
        raise BadInputError(f"merge: {str(folder)!r} is being run by {running}; wait for it to finish or stop it")
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        version = description.get("schema_version")
    except (OSError, ValueError, AttributeError) as error:
        raise BadInputError(f"merge: {str(folder / DESCRIPTION)!r} cannot be read ({error})") from error
    if version != SCHEMA_VERSION:
        raise BadInputError(f"merge: {str(folder)!r} has schema version {version!r}; this accelsweep merges sweeps of"
                            f" version {SCHEMA_VERSION}")  # fmt: skip
    if not (folder / "trials").is_dir():
        raise BadInputError(f"merge: {str(folder)!r} is not a sweep of a workload: it has no trials")
    with tempfile.TemporaryDirectory(prefix="accelsweep-") as scratch:
        copy = Path(scratch) / folder.resolve().name
        try:
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("figures", TRACES, "study.db", DAMAGED, ".*"))
            store, _ = ResultStore.open(copy)
            tables = {name: _table(copy / name, schema) for name, schema in TABLES.items()}
        except BadInputError as error:
            why = str(error).removeprefix("--resume: ").replace(str(copy), str(folder))
            raise BadInputError(f"merge: {why}") from error
        except (OSError, pa.ArrowException) as error:
            why = str(error).replace(scratch, str(folder.parent))
            raise BadInputError(f"merge: {str(folder)!r} cannot be read completely ({why}); resume it first") from error
        if store.damaged:
            told = f"{str(folder)!r} has files that are not what was written ({', '.join(store.damaged)})"
            raise BadInputError(f"merge: {told}; resume it first to measure their cells again")
    return Source(folder=folder, description=description, tables=tables)


def strangers_in(texts: Sequence[str]) -> list[str]:
    """What lies among the tables of sweeps and was not written by accelsweep, which no sweep that is merged has."""
    return [f"{folder.name}/{name}" for folder in map(find, texts) for name in PartFiles(folder).strangers()]


def _table(folder: Path, schema: pa.Schema) -> pa.Table:
    files = parts_first(files_of(folder))
    tables = (in_schema(file, schema) for file in files)
    return pa.concat_tables([schema.empty_table(), *without_doubles(tables)])


def _check_apart(sources: Sequence[Source]) -> None:
    """Refuse the same sweep twice, itself or within one that was merged before."""
    for i, one in enumerate(sources):
        for other in sources[:i]:
            if one.folder.resolve() == other.folder.resolve() or one.measurements & other.measurements:
                told = f"{str(other.folder)!r} and {str(one.folder)!r}"
                raise BadInputError(f"merge: {told} hold the same measurements; name each sweep once")


def _named_apart(sources: Sequence[Source]) -> None:
    """Two machines may have begun in the same second: number the names that several sweeps have."""
    taken: Counter[str] = Counter()
    for source in sources:
        trials = source.tables["trials"]
        names = dict.fromkeys(name for name in trials["sweep_id"].to_pylist() if name is not None)
        new = {name: f"{name}-{taken[name] + 1}" if taken[name] else name for name in names}
        taken.update(names.keys())
        ids = [new.get(name) for name in trials["sweep_id"].to_pylist()]
        source.tables["trials"] = _with(trials, "sweep_id", pa.array(ids, pa.string()))


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)


def _renamed(table: pa.Table, new: Mapping[str, str]) -> pa.Table:
    """A table with other keys; of millions of samples only the few keys are looked at."""
    if not table.num_rows or not new:
        return table
    keys = table["trial_key"].combine_chunks().dictionary_encode()
    names = pa.array([new.get(key, key) for key in keys.dictionary.to_pylist()], pa.string())
    return _with(table, "trial_key", pa.DictionaryArray.from_arrays(keys.indices, names).cast(pa.string()))


def merged_key(sweep_id: str | None, key: str) -> str:
    """The key of a cell that several sweeps measured, as measured in one of them."""
    return hashlib.sha256(f"{sweep_id} {key}".encode()).hexdigest()[:KEY_LENGTH]


def join(sources: Sequence[Source]) -> dict[str, pa.Table]:
    """The tables of all sweeps, in their order, with each sample and round still of its own row."""
    n_sweeps = Counter(key for source in sources for key in set(source.keys))
    parts: dict[str, list[pa.Table]] = {name: [] for name in TABLES}
    offset = 0
    for source in sources:
        trials = source.tables["trials"]
        ids = trials["sweep_id"].to_pylist()
        new = {key: merged_key(name, key) for key, name in zip(source.keys, ids, strict=True) if n_sweeps[key] > 1}
        places = [None if i is None else i + offset for i in trials["trial_index"].to_pylist()]
        placed = {**source.tables, "trials": _with(trials, "trial_index", pa.array(places, pa.int64()))}
        for name, table in placed.items():
            parts[name].append(_renamed(table, new))
        traces = [name and trace_name(new.get(key, key)) for key, name in
                  zip(source.keys, trials["trace"].to_pylist(), strict=True)]  # fmt: skip
        parts["trials"][-1] = _with(parts["trials"][-1], "trace", pa.array(traces, pa.string()))
        offset = max([offset, *(place + 1 for place in places if place is not None)])
    return {name: pa.concat_tables(tables) for name, tables in parts.items()}


def _description(sources: Sequence[Source], sweep_id: str, command: Sequence[str]) -> dict[str, Any]:
    """``sweep.json`` of the whole: what all were asked alike, and each one's own without its list of cells."""
    origins: list[dict[str, Any]] = []
    for source in sources:
        told = {name: value for name, value in source.description.items() if name != "cells"}
        origins += told.get("merged_from") or [told]
    counts = [source.n_asked for source in sources]
    return {
        "schema_version": SCHEMA_VERSION,
        "sweep_id": sweep_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "config": _asked_alike([origin.get("config") or {} for origin in origins]),
        "n_cells": None if None in counts else sum(counts),
        "merged_from": origins,
        "cells": [],
    }


def _asked_alike(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all sweeps were asked alike."""
    alike = {name: v for name, v in configs[0].items() if all(name in c and c[name] == v for c in configs)}
    # A search may end early with every cell known: that one of the sweeps is one must stay known.
    searches = [config["search"] for config in configs if config.get("search")]
    return {**alike, **({"search": searches[0]} if searches else {})}


def _copy_traces(sources: Sequence[Source], folder: Path, new: Sequence[str | None]) -> None:
    """The traces of all sweeps, each by the name that its row has now; what is not there is left out."""
    old = [source.folder / name if name else None for source in sources
           for name in source.tables["trials"]["trace"].to_pylist()]  # fmt: skip
    for path, name in zip(old, new, strict=True):
        if name is not None and path is not None and path.is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, folder / name)


def merge(texts: Sequence[str], output: Path) -> Path:
    """Join sweeps, or the latest of results folders, into a new one in the folder of results; the new one's folder.

    Raises:
        BadInputError: For fewer than two, one that cannot be joined, the same twice, or if nothing can be written.
    """
    if len(texts) < 2:
        raise BadInputError(f"merge: needs two sweeps or more, got {', '.join(texts) or 'none'}")
    sources = [read(find(text)) for text in texts]
    _check_apart(sources)
    _named_apart(sources)
    folder = claim_folder(WORD, output)
    description, files = _description(sources, folder.name, ["accelsweep", "merge", *texts]), PartFiles(folder)
    try:
        with writing_to(output):
            for name, table in (tables := join(sources)).items():
                (folder / name).mkdir()
                if table.num_rows:
                    files.write({f"{name}/{compacted_name(WORD)}": parquet_bytes(table)})
            _copy_traces(sources, folder, tables["trials"]["trace"].to_pylist())
            files.write({DESCRIPTION: json.dumps(description, indent=1, default=str).encode()})
    except BadInputError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
