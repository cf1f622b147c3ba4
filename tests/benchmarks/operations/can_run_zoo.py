"""``can-run`` asked about torchvision's whole zoo on the CPU: every model runs there, so any other verdict is a fault.

    python tests/benchmarks/operations/can_run_zoo.py [--dtype fp32] [--train] [--side 96] [MODEL ...]

Prints a line per model, as it is there: how many operations work, what the whole model did, how far off, and seconds.
Names of models may be shell patterns. Exit code 1 if a verdict is a fault. On two cores the zoo takes about an hour and
a half; several may run beside each other on parts of it, and images of a smaller ``--side`` take a fraction of that.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from sweeps.coverage.can_run import HEADINGS, ModelQuestions, schema_name, whole_told
from sweeps.coverage.child_process import ChildError, OperationChild
from sweeps.coverage.options import CanRun


def asked(model: str, dtype: str, *, train: bool, side: int | None) -> tuple[bool, str]:
    """Whether ``can-run`` has nothing against a model on the CPU, and what it says."""
    with contextlib.closing(OperationChild({})) as child:
        questions = ModelQuestions(
            CanRun(model=model, dtype=(dtype,), train=train, operation_timeout="300s"), child, side
        )
        try:
            found = {schema_name(o): questions.replay(o, "cpu", dtype) for o in questions.recorded()}
            whole = questions.whole("cpu", dtype)
        except ChildError as error:
            return False, f"cannot be asked: {error}"
    bad = {name: f for name, f in found.items() if f.verdict in HEADINGS}
    against = "".join(f"; {name} {f.verdict}: {f.reason}" for name, f in bad.items())
    good = bool(whole["runs"]) and whole["agrees"] is True and not bad
    return good, f"{len(found) - len(bad)} of {len(found)} operations work; {whole_told(whole)}{against}"


def main() -> int:
    import torchvision

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["*"])
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--train", action="store_true")
    parser.add_argument(
        "--side", type=int, help="pixels of the images' sides, where a model takes any; default: its own"
    )
    options = parser.parse_args()
    everything = torchvision.models.list_models()
    names = [name for name in everything if any(fnmatch.fnmatch(name, pattern) for pattern in options.models)]
    n_faults = 0
    for name in names:
        began = time.monotonic()
        good, told = asked(name, options.dtype, train=options.train, side=options.side)
        n_faults += not good
        print(f"{'ok   ' if good else 'FAULT'} {name}: {told} ({time.monotonic() - began:.0f} s)", flush=True)
    print(
        f"{len(names)} models of torchvision {torchvision.__version__} on the CPU in {options.dtype}: {n_faults} faults"
    )
    return 1 if n_faults or not names else 0


if __name__ == "__main__":
    raise SystemExit(main())
