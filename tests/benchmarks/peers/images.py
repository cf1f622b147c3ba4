"""Image pipelines by torchvision, by kornia and fused: one page of all devices that were measured.

    python tests/benchmarks/peers/images.py --device cpu --batch-size 4      some eight minutes on two cores
    python tests/benchmarks/peers/images.py --device cuda --wheels DIR       with what collect_wheels.sh fetched

kornia is installed in an environment of its own (``environments.py``), where all run in turns in one process
(``adapters/image_pipelines.py``). ``--records`` keeps what was measured, of this device in the place of what it had, so
that another machine adds its own and a run may be done by ``--pipeline``; the page is written anew from all of it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from environments import peer_python
from images_page import written

from sweeps.measure.device.environment import allocator_settings
from sweeps.measure.device.host import usable_cpus

ROUNDS, ROUND_S = 7, 0.2
PIPELINES = ("classification", "resize", "gaussian-blur", "geometric", "sobel")
ADAPTER = Path(__file__).resolve().parent / "adapters" / "image_pipelines.py"
REPORTS = ROOT / "docs" / "reports"
Record = dict[str, Any]


def command_of(options: argparse.Namespace) -> str:
    """The command line without this machine's folders."""
    words = [settings] if (settings := allocator_settings(os.environ)) else []
    words += ["python tests/benchmarks/peers/images.py", "--device", options.device, "--batch-size"]
    words += [str(options.batch_size), *(["--wheels DIR"] if options.wheels else [])]
    asked = (("--rounds", options.rounds, ROUNDS), ("--round-s", options.round_s, ROUND_S))
    return " ".join([*words, *(f"{name} {value:g}" for name, value, usual in asked if value != usual)])


def measured(options: argparse.Namespace) -> Iterator[Record]:
    """A record for each tool of each pipeline."""
    python = peer_python("kornia", options.work / "environments", options.wheels)
    request = {
        "device": options.device, "batch_size": options.batch_size, "pipelines": options.pipeline,
        "n_rounds": options.rounds, "round_s": options.round_s, "n_threads": usable_cpus(),
    }  # fmt: skip
    found = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "command": command_of(options)}
    with subprocess.Popen(
        [str(python), str(ADAPTER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=options.work
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        for line in process.stdout:
            yield {**found, **json.loads(line)}
    if process.returncode:
        raise SystemExit(f"the adapter ended with exit code {process.returncode}")


def key_of(record: Record) -> tuple[str, int, str, str]:
    return record["device_name"], record["batch_size"], record["pipeline"], record["tool"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--pipeline", nargs="+", choices=PIPELINES, default=list(PIPELINES))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each tool")
    parser.add_argument("--round-s", type=float, default=ROUND_S, help="seconds of a turn")
    parser.add_argument("--wheels", type=Path, help="folder filled by collect_wheels.sh, instead of a registry")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "accelsweep-peers")
    parser.add_argument("--records", type=Path, default=REPORTS / "image-peers.jsonl")
    parser.add_argument("--output", type=Path, default=REPORTS / "image-peers.md")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.wheels = options.wheels and options.wheels.resolve()
    lines = options.records.read_text(encoding="utf-8").splitlines() if options.records.is_file() else []
    records = {key_of(record): record for record in map(json.loads, lines)}
    for record in measured(options):
        told = record.get("error") or f"{1e3 * min(record['seconds']):.2f} ms"
        print(f"{record['pipeline']:15} {record['tool']:22} {told}", flush=True)
        records[key_of(record)] = record
        kept = sorted(records.values(), key=lambda one: (one["device_name"], PIPELINES.index(one["pipeline"])))
        options.records.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")
        options.output.write_text(written(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
