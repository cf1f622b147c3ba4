"""Our server and single-stream scenarios against MLPerf LoadGen's, on one system under test that sleeps a fixed time.

    python tests/benchmarks/loadgen.py              some 90 s, of which LoadGen runs a half
    python tests/benchmarks/loadgen.py --rate 350   nearer to saturation

LoadGen (package mlcommons-loadgen) is installed into a virtual environment of its own, made at the first run. Both get
the very same arrivals: LoadGen draws them from its seed, its trace tells when each query was scheduled and completed,
and our loop is given the same schedule; so chance in the arrivals cancels, and a ratio other than 1 is a difference of
the harnesses. Turns alternate which goes first. The third figure is the same schedule in virtual time, where a request
takes exactly what it takes alone: what a harness without any overhead would say.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PEER = Path(tempfile.gettempdir()) / "accelsweep-loadgen-venv"
QUICKER = 50
NAMES = ("mean", "p50", "p90", "p99")
DIFFERENCES = """where the meanings differ
  percentile   LoadGen: sorted[floor(n p)]; ours: the smallest sample with a share p at or under it, so one rank less
  too few      LoadGen: any percentile is printed, validity by early stopping; ours: null under 64, 130, 662, 6636 samples
  rate held    LoadGen: a run is valid if, with confidence 99 %, its percentile holds the limit; ours: the observed one does, and
               with 99 % that of a queue of the services measured, as queries in a queue are not independent
  queue        LoadGen issues each query when it is due and the system under test queues, or batches; ours serves in order
  drops        LoadGen has none (max_async_queries ends the run); ours has none either unless a queue limit is given
  first query  LoadGen schedules it at 0; ours after the first exponential interval
  throughput   LoadGen: (n - 1) over the last scheduled time or completion; ours: n over the last completion
  run length   LoadGen's rules: 600 s and more; ours: 662 requests or --min-s, whichever is longer"""


# --- What runs in LoadGen's own environment: nothing of this project, nothing but the standard library.


def _latencies_of(trace: Path) -> tuple[list[float], list[float]]:
    """Scheduled moments and latencies in seconds, by order of scheduling, from LoadGen's trace."""
    # Line by line, as the file as a whole is not valid JSON in every scenario.
    begun = re.compile(r'"name":"Sample",.*"ph":"b",.*"ts":([0-9.]+),.*"complete_ns":(\d+)')
    found = sorted((float(m[1]) * 1e-6, int(m[2]) * 1e-9) for m in map(begun.search, trace.open()) if m)
    return [moment for moment, _ in found], [latency for _, latency in found]


def _summary_of(log: Path) -> dict[str, float]:
    """What LoadGen itself says, in seconds."""
    told = {}
    for line in log.read_text().splitlines():
        name, _, value = line.partition(":")
        for key, words in (("mean", "Mean latency"), ("p50", "50.00"), ("p90", "90.00"), ("p99", "99.00")):
            if name.startswith(words):
                told[key] = float(value) * 1e-9
    return told


def run_peer(settings: dict[str, Any]) -> dict[str, Any]:
    """One LoadGen run: its schedule, each latency, and its own summary."""
    import queue
    import threading

    import mlperf_loadgen as loadgen

    waiting: queue.SimpleQueue[list[int] | None] = queue.SimpleQueue()

    def serve() -> None:
        while (identifiers := waiting.get()) is not None:
            for identifier in identifiers:
                time.sleep(settings["service_s"])
                loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(identifier, 0, 0)])

    worker = threading.Thread(target=serve)
    worker.start()
    test = loadgen.TestSettings()
    test.mode = loadgen.TestMode.PerformanceOnly
    test.min_query_count, test.min_duration_ms = settings["n"], 0
    test.qsl_rng_seed, test.sample_index_rng_seed, test.schedule_rng_seed = 1, 2, settings["seed"]
    if settings["rate"] is None:
        test.scenario = loadgen.TestScenario.SingleStream
        test.single_stream_expected_latency_ns = int(settings["service_s"] * 1e9)
        test.max_query_count = settings["n"]
    else:
        test.scenario = loadgen.TestScenario.Server
        test.server_target_qps = settings["rate"]
        test.server_target_latency_ns = 10**9
        test.server_target_latency_percentile = 0.99
    with tempfile.TemporaryDirectory() as folder:
        logs = loadgen.LogSettings()
        output = loadgen.LogOutputSettings()
        output.outdir, output.copy_summary_to_stdout = folder, False
        logs.log_output, logs.enable_trace = output, True
        system = loadgen.ConstructSUT(lambda samples: waiting.put([sample.id for sample in samples]), lambda: None)
        library = loadgen.ConstructQSL(1024, 1024, lambda _: None, lambda _: None)
        loadgen.StartTestWithLogSettings(system, library, test, logs, os.path.join(folder, "no-audit"))
        waiting.put(None)
        worker.join()
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
        scheduled, latencies = _latencies_of(Path(folder) / "mlperf_log_trace.json")
        told = _summary_of(Path(folder) / "mlperf_log_summary.txt")
    return {"scheduled_s": [moment - scheduled[0] for moment in scheduled], "latency_s": latencies, "told": told}


# --- The comparison, in this project's environment.


def peer_python() -> Path:
    """The interpreter of LoadGen's environment, made if it is not there."""
    python = PEER / ("Scripts" if os.name == "nt" else "bin") / "python"
    if (
        subprocess.run([python, "-c", "import mlperf_loadgen"], capture_output=True, check=False).returncode
        if (python.exists())
        else True
    ):
        print(f"making LoadGen's environment in {PEER.name}", flush=True)
        venv.create(PEER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "mlcommons-loadgen"], check=True)
    return python


def theirs(python: Path, **settings: Any) -> dict[str, Any]:
    command = [python, __file__, "--peer", json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def figures(latencies: Any) -> dict[str, float]:
    """Our own percentiles; there are samples enough for a p99."""
    import numpy as np

    from sweeps.measure import percentiles

    found = percentiles(latencies)
    return {"mean": float(np.mean(latencies)), **{name: found[name] or float("nan") for name in NAMES[1:]}}


def show(first: str, mine: list[dict[str, float]], second: str, peers: list[dict[str, float]]) -> None:
    """The median over the turns of the ratio in each turn, with its 95 % interval by order statistics."""
    from sweeps.measure import median_interval

    for name in NAMES:
        interval = median_interval([one[name] / other[name] for one, other in zip(mine, peers, strict=True)])
        ends = "" if interval.low is None else f" [{interval.low:.3f}, {interval.high:.3f}]"
        one, other = (median_interval([turn[name] for turn in turns]).median * 1e3 for turns in (mine, peers))
        print(f"  {name:<4}  {first} {one:7.3f} ms  {second} {other:7.3f} ms  ratio {interval.median:.3f}{ends}")


def in_turns(n_turns: int, first: Callable[[int], None], second: Callable[[int], None]) -> None:
    for turn in range(n_turns):
        for run in (first, second) if turn % 2 else (second, first):
            run(turn)


def compare_server(python: Path, options: argparse.Namespace, alone_s: float) -> None:
    import numpy as np
    import torch

    from sweeps.measure import Timer, run_server
    from tests.sweeps.measure.timing.virtual import VirtualClock

    timer, service_s = Timer(torch.device("cpu")), options.service_ms * 1e-3
    seeds = [1000 + turn for turn in range(options.turns)]
    # LoadGen's arrivals follow from its seed and scale with the rate, so a quick run without work tells them before.
    quick = [theirs(python, rate=QUICKER * options.rate, service_s=0.0, seed=s, n=options.requests) for s in seeds]
    asked = [[QUICKER * moment for moment in run["scheduled_s"]] for run in quick]
    mine: dict[int, dict[str, float]] = {}
    peer: dict[int, dict[str, float]] = {}
    told: list[float] = []

    def ours(turn: int) -> None:
        served = run_server(lambda: timer.time(lambda: time.sleep(service_s)), np.array(asked[turn]))
        mine[turn] = figures(served.latency_s)

    def loadgen(turn: int) -> None:
        answer = theirs(python, rate=options.rate, service_s=service_s, seed=seeds[turn], n=options.requests)
        drawn = np.array(answer["scheduled_s"])
        assert np.abs(drawn - asked[turn]).max() < 1e-4, "LoadGen's schedule follows from its seed"
        peer[turn] = answer["told"]
        told.append(float(np.mean(answer["latency_s"])) / answer["told"]["mean"])

    in_turns(options.turns, ours, loadgen)
    ideal = []
    for arrivals in asked:
        clock = VirtualClock()
        ideal.append(figures(run_server(lambda c=clock: c.work(alone_s), np.array(arrivals), clock=clock).latency_s))
    order = range(options.turns)
    print(f"server, {options.rate:g} requests per second, {len(asked[0])} a turn, load {options.rate * alone_s:.2f}"
          f" (LoadGen's trace over its summary: {min(told):.4f} to {max(told):.4f})")  # fmt: skip
    ours_told, theirs_told = [mine[turn] for turn in order], [peer[turn] for turn in order]
    show("ours", ours_told, "LoadGen", theirs_told)
    show("ours", ours_told, "exact", ideal)
    show("LoadGen", theirs_told, "exact", ideal)


def compare_single_stream(python: Path, options: argparse.Namespace) -> float:
    """Seconds that a request takes alone in our loop: the median over the turns."""
    import numpy as np
    import torch

    from sweeps.measure import Timer, run_round

    timer, service_s = Timer(torch.device("cpu")), options.service_ms * 1e-3
    mine: list[dict[str, float]] = []
    peer: list[dict[str, float]] = []

    def ours(turn: int) -> None:
        mine.append(figures(run_round(lambda: time.sleep(service_s), timer, 0.0, n_steps=options.requests)))

    def loadgen(turn: int) -> None:
        answer = theirs(python, rate=None, service_s=service_s, seed=turn, n=options.requests)
        peer.append(answer["told"])

    in_turns(options.turns, ours, loadgen)
    print(f"single-stream, {options.requests} requests a turn, {options.service_ms:g} ms of sleep each")
    show("ours", mine, "LoadGen", peer)
    return float(np.median([turn["p50"] for turn in mine]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=8, help="turns of each; six are needed for an interval")
    parser.add_argument("--rate", type=float, default=250.0, help="requests per second in the server scenario")
    parser.add_argument("--service-ms", type=float, default=2.0, help="what the system under test sleeps")
    parser.add_argument("--requests", type=int, default=700, help="requests a turn; a p99 takes 662")
    options = parser.parse_args()
    if options.peer is not None:
        print(json.dumps(run_peer(json.loads(options.peer))))
        return
    sys.path.insert(0, str(ROOT))
    python = peer_python()
    print(f"ours over MLPerf LoadGen's, {options.turns} turns of each, medians of the turns' ratios [95 % interval]")
    alone_s = compare_single_stream(python, options)
    compare_server(python, options, alone_s)
    print(DIFFERENCES)


if __name__ == "__main__":
    main()
