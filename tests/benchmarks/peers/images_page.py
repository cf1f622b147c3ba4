"""The page of image pipelines beside kornia: what each computes, and what each device gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sweeps.measure import median_interval
from sweeps.text import figure

Record = dict[str, Any]
BASELINE = "torchvision"
HEAD = """\
# Image pipelines beside kornia

The pipelines of `accelsweep image-processing` on a batch of photographs, 3 x 427 x 640 in 8 bits on the device, to float32:

- **torchvision**: `--implementation eager`, its v2 functions as a training script calls them; compiled:
  `--implementation compiled`.
- **kornia**: its functions with the same parameters, the same for all images of the batch; compiled: the same through
  `torch.compile`. **kornia.augmentation** is what its users write instead: modules that draw other parameters for each image
  in each step.
- **accelsweep, fused**: `--implementation fused`, the same arithmetic as torchvision's in a few kernels of `torch.compile`.

All run in one process, in turns whose order is drawn anew; a ratio is taken in each turn, shown is the median with its
95 % interval. *Off by* is the largest difference from torchvision's answer on the CPU, over that answer's largest value.

## What each computes

| pipeline | torchvision and fused | kornia |
| --- | --- | --- |
| classification | crop, antialiased bilinear resize to 224 x 224 in 8 bits, flip, brightness, contrast, saturation and hue, each rounded to 8 bits; to float, normalise | to float first; crop, resize as below, flip; `adjust_brightness_accumulative`, `adjust_contrast_with_mean_subtraction`, `adjust_saturation_with_gray_subtraction`, `adjust_hue`, which are torchvision's formulas without rounding; normalise |
| classification, kornia.augmentation | | `RandomResizedCrop` (which does not filter before it samples), `RandomHorizontalFlip`, `ColorJitter` (0.4, 0.4, 0.4, 0.1; in a random order), `Normalize`; more work, as each image has a warp and factors of its own |
| resize | triangle filter as wide as the reduction, then 224 x 224 | `resize(antialias=True)`: a Gaussian blur, then bilinear sampling; another filter, so that answers differ |
| gaussian-blur | 9 x 9, sigma 2, borders reflected; torchvision by one 9 x 9 convolution, fused down and then across | `gaussian_blur2d`: the same, down and then across |
| geometric | affine map, then perspective, each bilinear with zeros outside | `warp_affine`, `warp_perspective` by the same maps, moved by half a pixel to its coordinates |
| sobel | grey; 3 x 3 gradients by one convolution with zeros outside; their magnitude | `rgb_to_grayscale`, `sobel(normalized=False)`: borders replicated, and 1e-6 added before the root; differs at the borders, where zeros outside make the largest gradients |
"""


def _lines(records: list[Record]) -> Iterator[str]:
    """One line of the table for each tool of a pipeline."""
    base = next((r.get("seconds") for r in records if r["tool"] == BASELINE), None)
    for record in records:
        pipeline, tool = record["pipeline"], record["tool"]
        if "seconds" not in record:
            yield f"| {pipeline} | {tool} | {record['error'].replace('|', '/')} | | | |"
            continue
        seconds = median_interval(record["seconds"]).median
        speed = median_interval([b / s for b, s in zip(base, record["seconds"], strict=True)]) if base else None
        ends = f" [{speed.low:.2f}, {speed.high:.2f}]" if speed and speed.low is not None else ""
        times = f"{speed.median:.2f}{ends}" if speed and tool != BASELINE else ""
        off = "" if record["off_by"] is None else f"{record['off_by']:.2g}"
        rate = figure(record["batch_size"] / seconds)
        yield f"| {pipeline} | {tool} | {figure(1e3 * seconds)} | {rate} | {times} | {off} |"


def _section(records: list[Record]) -> str:
    first = records[0]
    driver = f", driver {first['driver']}" if first["driver"] else ""
    told = (
        f"{first['date']}, {first['device_name']}{driver}, {first['n_threads']} CPU threads, Python {first['python']},"
        f" torch {first['torch']}, torchvision {first['torchvision']}, kornia {first['kornia']}."
        f" Batches of {first['batch_size']}. Written by"
    )
    pipelines = dict.fromkeys(record["pipeline"] for record in records)
    lines = [line for name in pipelines for line in _lines([r for r in records if r["pipeline"] == name])]
    commands = "\n".join(f"    {command}" for command in dict.fromkeys(record["command"] for record in records))
    head = ["| pipeline | tool | ms a step | images/s | times torchvision | off by |",
            "| --- | --- | --: | --: | --: | --: |"]  # fmt: skip
    return "\n\n".join(
        [f"## {first['device_name']}, batch {first['batch_size']}", told, commands, "\n".join([*head, *lines])]
    )


def written(records: list[Record]) -> str:
    """The whole page, with a section for each device and batch size."""
    places = dict.fromkeys((record["device_name"], record["batch_size"]) for record in records)
    sections = [_section([r for r in records if (r["device_name"], r["batch_size"]) == place]) for place in places]
    return "\n\n".join([HEAD.rstrip(), *sections]) + "\n"
