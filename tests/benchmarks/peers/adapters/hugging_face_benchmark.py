"""optimum-benchmark 0.6: the same network as transformers' ResNet, with the same weights, from a local folder.

It loads models by name only, so the torchvision weights are written once as a transformers folder, name by name; the
two networks' outputs were equal to the last bit in fp32 on a CPU, and ``make_ready`` checks that again.
Its own option for weights without a download (``no_weights``) asks the hub for ``config.json`` and is of no use offline.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("LOG_TO_FILE", "0")

import torch
from common import AUTOCAST, Cell, Figure, NotExpressibleError, Peer, Prepared, make_batch, serve, set_precision

DTYPE_NAMES = {"bf16": "bfloat16", "fp16": "float16"}
SHIM = ""


def _supply_removed_name() -> None:
    """transformers 5 removed a class that optimum-benchmark 0.6.0 still imports (backends/transformers_utils.py).

    Without it nothing of its PyTorch backend can be imported. It is used in annotations only.
    """
    global SHIM  # noqa: PLW0603 (told in the versions, so that the reader of the table knows)
    import transformers.processing_utils  # noqa: F401  replaces the module when first imported, and with it what was set on it

    module = sys.modules["transformers"]
    if not hasattr(module, "SpecialTokensMixin"):
        module.SpecialTokensMixin = module.PreTrainedTokenizerBase
        SHIM = ", with the name SpecialTokensMixin put back"


_supply_removed_name()  # also in the processes that its process launcher spawns, which import this file

from optimum_benchmark import (
    Benchmark,
    BenchmarkConfig,
    InferenceConfig,
    InlineConfig,
    ProcessConfig,
    PyTorchConfig,
)


def transformers_names(names: list[str]) -> dict[str, str]:
    """transformers' parameter names of a ResNet to torchvision's."""
    kinds = {"convolution": ("conv", "0"), "normalization": ("bn", "1")}
    found = {}
    for name in names:
        parts = name.split(".")
        if name.startswith("classifier."):
            mine = f"fc.{parts[-1]}"
        elif name.startswith("resnet.embedder."):
            mine = f"{kinds[parts[3]][0]}1.{parts[-1]}"
        elif parts[6] == "shortcut":
            mine = f"layer{int(parts[3]) + 1}.{parts[5]}.downsample.{kinds[parts[7]][1]}.{parts[-1]}"
        else:
            mine = f"layer{int(parts[3]) + 1}.{parts[5]}.{kinds[parts[8]][0]}{int(parts[7]) + 1}.{parts[-1]}"
        found[name] = mine
    return found


class HuggingFaceBenchmark(Peer):
    name = "optimum-benchmark"
    statistic = "mean"
    defaults = "10 warm-ups, at least 10 iterations and at least 10 s"

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__(request)
        for name in ("", "optimum_benchmark"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.launcher = ProcessConfig if request.get("launcher") == "process" else InlineConfig
        self.folder = Path(request["work"]) / f"{request['model']}-transformers"

    def make_ready(self) -> None:
        """Write the weights as transformers reads them, and check that both networks answer alike."""
        if (self.folder / "config.json").is_file():
            return
        from transformers import ResNetConfig, ResNetForImageClassification

        theirs, mine = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval(), self.plain_module()
        weights, names = mine.state_dict(), transformers_names(list(theirs.state_dict()))
        assert set(names.values()) == set(weights), "the two networks have the same parameters"
        theirs.load_state_dict({name: weights[known] for name, known in names.items()})
        with torch.inference_mode():
            images = self.load_images()[:2]
            torch.testing.assert_close(theirs(images).logits, mine(images), rtol=1e-4, atol=1e-4)
        theirs.save_pretrained(self.folder)

    def prepare(self, cell: Cell, device_name: str) -> str:
        if cell.memory_format != "contiguous":
            raise NotExpressibleError("no option for a memory format")
        set_precision(cell.precision)
        return device_name

    def references(self, cell: Cell, device_name: str, prepared: str) -> dict[str, Callable[[], object]]:
        """The reference of all tools, and the loop on the network that this tool runs."""
        from transformers import ResNetForImageClassification

        network = ResNetForImageClassification.from_pretrained(self.folder).eval().to(device_name)
        batch, dtype = make_batch(self.load_images(), cell, torch.device(device_name)), AUTOCAST.get(cell.precision)
        device_type = torch.device(device_name).type

        def own() -> None:
            with torch.inference_mode(), torch.autocast(device_type, dtype=dtype, enabled=dtype is not None):
                network(pixel_values=batch)

        plain: Prepared = Peer.prepare(self, cell, device_name)
        return {"reference": plain.step, "reference on its model": own}

    def _launch(self, device_name: str, cell: Cell, **settings: Any) -> Figure:
        is_mixed = cell.precision in AUTOCAST
        try:
            backend = PyTorchConfig(
                model=str(self.folder), library="transformers", task="image-classification", model_type="resnet",
                device=device_name, device_ids=None if device_name == "cpu" else "0", autocast_enabled=is_mixed, autocast_dtype=DTYPE_NAMES.get(cell.precision),
            )  # fmt: skip
            shapes = {"batch_size": cell.batch_size, "num_channels": 3, "height": 224, "width": 224}
            report = Benchmark.launch(BenchmarkConfig(
                name="cell", backend=backend, scenario=InferenceConfig(input_shapes=shapes, **settings),
                launcher=self.launcher(), log_report=False,
            ))  # fmt: skip
        finally:
            if is_mixed:  # it switches autocast on for the whole process and leaves it on
                torch.set_autocast_enabled(False)
        forward = report.forward
        return Figure(latency_s=float(forward.latency.mean), throughput_per_s=float(forward.throughput.value))

    def measure(self, prepared: str, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        return self._launch(prepared, cell, warmup_runs=n_warmup, iterations=n_steps, duration=0)

    def measure_by_default(self, prepared: str, cell: Cell) -> Figure:
        return self._launch(prepared, cell)

    def versions(self) -> dict[str, str]:
        named = {name: importlib.metadata.version(name) for name in ("optimum-benchmark", "transformers")}
        return {"torch": torch.__version__, **named, "optimum-benchmark": named["optimum-benchmark"] + SHIM}


if __name__ == "__main__":
    serve(HuggingFaceBenchmark)
