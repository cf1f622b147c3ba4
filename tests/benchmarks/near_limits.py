"""How near to the device's limits the workloads come: our steps against plain loops, in turns in one process.

    python tests/benchmarks/near_limits.py [--device NAME] [--only inference image finetune decode] [--model resnet50]

Inference and training: a plain loop as people write it (eager, bf16 autocast, channels_last, inputs on the device)
against the workload's implementations. Images: torchvision's eager composition against the compiled and the fused one,
with the largest difference from the CPU's answer over its largest value. Finetuning: images decoded from JPEG files
and augmented as they are needed against images that lie on the device. Each figure is a median over rounds in turns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.measure.ceilings import measure_copy_ceiling, measure_flop_ceiling
from sweeps.measure.device.device import available_devices, device_name, open_device
from sweeps.measure.step_work import count_step
from sweeps.measure.timing.clock import Timer, choose_steps_per_sample, warm_up
from workloads.base import CellContext, Workload
from workloads.images.batches import to_model_input
from workloads.images.photographs import load_photographs, photograph_batch
from workloads.models import loading as models
from workloads.precision import apply_precision, autocast
from workloads.registry import load_workload

Step = Callable[[], object]
PRECISION = "bf16"


def made(name: str, device: torch.device, **cell: Any) -> Workload:
    """A workload, set up."""
    kind = load_workload(name)
    options = kind.Options(**cell.pop("options", {}))
    workload = kind(CellContext(device=device, options=options, **cell))
    workload.setup()
    return workload


def off_by(workload: Any) -> float:
    """The largest difference of the workload's output from the CPU's answer, over that answer's largest value."""
    outputs, reference = workload.outputs_and_reference()
    return float((outputs - reference).abs().max() / reference.abs().max())


def in_turns(
    steps: dict[str, Step], timer: Timer, *, n_rounds: int, round_s: float, is_queued: bool = False
) -> dict[str, float]:
    """Median seconds of each step, over rounds in turns whose order is drawn anew each time.

    Queued steps wait for the device only as often as the harness's rounds do: the timer's share is 1 %.
    """
    order, samples = np.random.default_rng(0), {name: [] for name in steps}
    sizes = {}
    for name, step in steps.items():
        warm = warm_up(step, timer, max_s=2.0)
        sizes[name] = choose_steps_per_sample(warm.seconds[-1], timer.overhead_s) if is_queued else 1
        print(f"    {name}: first step {warm.first_step_s:.1f} s", flush=True)
    for _ in range(n_rounds):
        for name in order.permutation(list(steps)):
            step, spent = steps[name], 0.0
            while spent < round_s:
                spent += (seconds := timer.time(step, sizes[name]))
                samples[name].append(seconds / sizes[name])
    return {name: float(np.median(values)) for name, values in samples.items()}


def told(
    title: str, seconds: dict[str, float], n_items: int, baseline: str, notes: dict[str, str] | None = None
) -> None:
    print(f"\n{title}")
    print(f"| what | ms a step | images/s | times {baseline} | |\n| --- | ---: | ---: | ---: | --- |")
    for name, s in seconds.items():
        print(
            f"| {name} | {s * 1e3:.3f} | {n_items / s:,.0f} | {seconds[baseline] / s:.2f} | {(notes or {}).get(name, '')} |"
        )
    sys.stdout.flush()


def _share(step: Step, seconds: float, ceiling: float | None) -> str:
    flops = count_step(step)[0]
    return (
        f"{flops / seconds / 1e12:.0f} TFLOP/s, {flops / seconds / ceiling:.0%} of the ceiling"
        if flops and ceiling
        else ""
    )


def inference(device: torch.device, model: str, batch_sizes: list[int], ceiling: float | None) -> None:
    timer = Timer(device)
    loaded = models.build_model(model)
    plain = loaded.module.to(device, memory_format=torch.channels_last)
    for batch_size in batch_sizes:
        pixels = photograph_batch(load_photographs(), batch_size, loaded.input_size, 0)
        batch = to_model_input(pixels, loaded.mean, loaded.std).to(device, memory_format=torch.channels_last)

        def plain_step(batch: torch.Tensor = batch) -> None:
            with torch.inference_mode(), autocast(device, PRECISION):
                plain(batch)

        steps: dict[str, Step] = {"plain loop": plain_step}
        notes: dict[str, str] = {}
        workloads = {}
        for implementation in ("eager", "frozen"):
            for compiled in ("none", "reduce-overhead"):
                workload = made(
                    "inference", device, batch_size=batch_size, precision=PRECISION, model=model, compile=compiled,
                    memory_format="channels_last", options={"implementation": (implementation,)},
                )  # fmt: skip
                name = f"{implementation}, compile {compiled}"
                steps[name], workloads[name] = workload.step, workload
        seconds = in_turns(steps, timer, n_rounds=7, round_s=0.2)
        for name, workload in workloads.items():
            notes[name] = f"{_share(workload.plain_step, seconds[name], ceiling)}; off by {off_by(workload):.3f}"
            workload.teardown()
        notes["plain loop"] = _share(plain_step, seconds["plain loop"], ceiling)
        told(f"inference, {model}, {PRECISION}, batch {batch_size}", seconds, batch_size, "plain loop", notes)


def images(device: torch.device, batch_size: int, ceiling: float | None, implementations: list[str]) -> None:
    timer = Timer(device)
    for pipeline in ("classification", "resize", "gaussian-blur", "geometric", "sobel"):
        variants = [(name, "none") for name in implementations]
        workloads = {
            implementation: made(
                "image-processing",
                device,
                batch_size=batch_size,
                precision="fp32",
                compile=mode,
                options={"pipeline": (pipeline,), "implementation": (implementation,)},
            )
            for implementation, mode in variants
        }
        seconds = in_turns({n: w.step for n, w in workloads.items()}, timer, n_rounds=7, round_s=0.1, is_queued=True)
        notes = {}
        for name, workload in workloads.items():
            notes[name] = f"off by {off_by(workload):.4f}"
            if workload.is_compiled and ceiling:
                notes[name] += f"; {workload.least_bytes() / seconds[name] / ceiling:.0%} of the copy ceiling"
            workload.teardown()
        told(f"images, {pipeline}, fp32, {batch_size} of 427 x 640", seconds, batch_size, "eager", notes)


def decode(device: torch.device, batch_size: int) -> None:
    seconds = {}
    for name in dict.fromkeys(("cpu", device.type)):
        on = open_device(name)
        workload = made("image-processing", on, batch_size=batch_size, options={"pipeline": ("decode",)})
        seconds |= in_turns({name: workload.step}, Timer(on), n_rounds=3, round_s=0.3)
    told(f"JPEG decoding, {batch_size} of 427 x 640", seconds, batch_size, "cpu")


def write_folder(folder: Path, n: int, size: int) -> None:
    """A folder of JPEG files in two classes: n seeded crops of each of the two photographs."""
    from torchvision.io import write_jpeg

    photographs = load_photographs()
    pixels = photograph_batch(photographs, 2 * n, size, 0)
    for i, image in enumerate(pixels):
        target = folder / ("china", "flower")[i % 2] / f"{i}.jpg"
        target.parent.mkdir(exist_ok=True)
        write_jpeg(image, str(target), quality=92)


def finetune(
    device: torch.device, model: str, batch_size: int, n_images: int, ceiling: float | None, modes: list[str]
) -> None:
    timer = Timer(device)
    with tempfile.TemporaryDirectory() as scratch:
        write_folder(Path(scratch), n_images // 2, 256)
        loaded = models.build_model(model, num_classes=2)
        module = loaded.module.to(device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
        pixels = photograph_batch(load_photographs(), batch_size, 224, 0)
        batch = to_model_input(pixels, loaded.mean, loaded.std).to(device, memory_format=torch.channels_last)
        labels = torch.arange(batch_size, device=device) % 2

        def plain() -> None:
            with autocast(device, PRECISION):
                loss = torch.nn.functional.cross_entropy(module(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        steps: dict[str, Step] = {"plain loop": plain}
        workloads = {}
        for compiled in modes:
            for feed, augment in (("resident", "none"), ("resident", "crop-flip"), ("streamed", "crop-flip")):
                workload = made(
                    "finetune", device, batch_size=batch_size, precision=PRECISION, model=model, compile=compiled,
                    memory_format="channels_last",
                    options={"feed": (feed,), "augment": (augment,), "image_size": 224, "epochs": 1e6,
                             "data": Path(scratch), "learning_rate": (1e-4,)},
                )  # fmt: skip
                name = f"{feed}, {augment}, compile {compiled}"
                steps[name], workloads[name] = workload.step, workload
        seconds = in_turns(steps, timer, n_rounds=7, round_s=0.5)
        notes = {n: _share(w.plain_step, seconds[n], ceiling) for n, w in workloads.items() if "resident, none" in n}
        for workload in workloads.values():
            workload.teardown()
        told(f"training, {model}, {PRECISION}, batch {batch_size}, 224", seconds, batch_size, "plain loop", notes)
        for compiled in modes:
            resident, streamed = (seconds[f"{f}, crop-flip, compile {compiled}"] for f in ("resident", "streamed"))
            print(f"streamed and augmented at {resident / streamed:.1%} of the rate of resident images (compile {compiled});"
                  f" {seconds[f'resident, none, compile {compiled}'] / streamed:.1%} of that without augmentation")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=available_devices()[-1])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--only", nargs="+", default=["inference", "image", "decode", "finetune"])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[1, 512], help="of inference")
    parser.add_argument("--image-batch", type=int, default=64)
    parser.add_argument("--train-batch", type=int, default=256)
    parser.add_argument("--train-images", type=int, default=4096)
    parser.add_argument("--compile", nargs="+", default=["none", "default"], help="modes of the training")
    parser.add_argument("--implementation", nargs="+", default=["eager", "compiled", "fused"], help="of the images")
    options = parser.parse_args()
    device = open_device(options.device)
    flop_per_s, bytes_per_s = measure_flop_ceiling(device, PRECISION), measure_copy_ceiling(device)
    apply_precision(PRECISION)
    print(f"{device_name(device)}, torch {torch.__version__}; ceilings: {(flop_per_s or 0) / 1e12:.0f} TFLOP/s in"
          f" {PRECISION}, {(bytes_per_s or 0) / 1e12:.2f} TB/s")  # fmt: skip
    if "inference" in options.only:
        inference(device, options.model, options.batch_size, flop_per_s)
    if "image" in options.only:
        images(device, options.image_batch, bytes_per_s, options.implementation)
    if "decode" in options.only:
        decode(device, options.image_batch)
    if "finetune" in options.only:
        finetune(device, options.model, options.train_batch, options.train_images, flop_per_s, options.compile)


if __name__ == "__main__":
    main()
