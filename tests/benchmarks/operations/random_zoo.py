"""Random weights of the zoo: do their answers depend on the image, and does rounding leave them comparable?

    python tests/benchmarks/operations/random_zoo.py [MODEL ...]

Of every classifier of torchvision, or of those named (shell patterns; ``timm/NAME`` too), the answers to eight crops
of photographs are computed in fp32 on the CPU: how many classes are named, how far answers lie apart over the largest
of them, and by how much bf16's rounding moves them (RMS). Exit code 1 where agreement with such answers could not fail,
or where rounding alone moves them by over a half.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from sweeps.measure.agreement import LEAST_SPREAD, MOST_EXPLAINED, relative_rms
from workloads.images.batches import to_model_input
from workloads.images.photographs import load_photographs, photograph_batch
from workloads.models.loading import build_model
from workloads.models.randomised import settle
from workloads.models.sources import model_names

N_IMAGES = 8


def looked_at(name: str) -> tuple[bool, str]:
    """Whether the answers of a model with random weights can be compared, and what was seen."""
    torch.manual_seed(0)
    loaded = build_model(name, pretrained=False)
    settle(loaded, name)
    pixels = photograph_batch(load_photographs(None), N_IMAGES, loaded.input_size, 1)
    inputs = to_model_input(pixels, loaded.mean, loaded.std)
    with torch.inference_mode():
        answers = loaded.module(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = loaded.module(inputs).float()
    spread = float((answers - answers[:1]).abs().max() / answers.abs().max())
    n_classes, moved = answers.argmax(1).unique().numel(), relative_rms(rounded, answers)
    good = bool(answers.isfinite().all()) and spread > LEAST_SPREAD and n_classes > 1
    good = good and moved is not None and moved < MOST_EXPLAINED
    told = "unknown" if moved is None else f"{100 * moved:.1f} %"
    return good, f"{n_classes} classes of {N_IMAGES} answers, apart by {spread:.2g}, bf16 moves them by {told}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["*"])
    patterns = parser.parse_args().models
    names = [name for name in model_names() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    names += [name for name in patterns if "/" in name]
    n_faults = 0
    for name in names:
        began = time.monotonic()
        good, told = looked_at(name)
        n_faults += not good
        print(f"{'ok' if good else 'FAULT':6} {name:24} {told} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{len(names) - n_faults} of {len(names)} ok")
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
