"""THE table of precisions: how float32 products are computed, what types are lowered, how far an answer may be off.

Imports torch late: a command line that measures nothing reads the names without it.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workloads.base import UnsupportedError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Precision:
    """One precision; what a device must show to support it follows from its types.

    Attributes:
        tolerance: Largest difference over the reference's largest magnitude that it explains, where nothing is known of
            how the work amplifies rounding.
        stored_bits: Of the fraction of what products take.
        note: What to say after the name in a command line's help.
        autocast: The type of torch that autocast computes in, by name; None for no autocast.
        cast: The type of torch that weights and inputs are held in, by name, without autocast; None for float32.
        quantised: The type of torch, by name, that weights are quantised to, and activations unless ``is_weight_only``;
            None for neither. The rest is in ``rest_dtype``.
        is_weight_only: Products are computed in the type of the rest.
        recipe: torchao's class that says how linear layers are quantised.
        granularity: torchao's class that says what shares a scale; empty for the recipe's own.
        float32_matmul: torch's setting for float32 matrix products and convolutions: ``highest`` or ``high``.
        scales_gradients: Small gradients underflow in a training unless its loss is scaled up.
        not_trained: Why nothing is trained in it; empty where it can be.
    """

    tolerance: float
    stored_bits: int
    note: str = ""
    autocast: str | None = None
    cast: str | None = None
    quantised: str | None = None
    is_weight_only: bool = False
    recipe: str = ""
    granularity: str = ""
    float32_matmul: str = "highest"
    scales_gradients: bool = False
    not_trained: str = ""

    @property
    def lowered(self) -> str | None:
        """The type of torch that products are computed in instead of float32, by name; None where they are not."""
        return self.autocast or self.cast


_CAST = "weights and inputs cast, no autocast"
_TORCHAO = "quantised, by torchao or int8 by the runtime"
_INFERENCE = "is for inference alone"
# Unit roundoff is 6e-8 (fp32), 5e-4 (tf32 and fp16, 10 stored bits) and 4e-3 (bf16, 7 stored bits). Errors of the
# some 50 layers of a deep network grow by about the square root of their number to their number (Higham, Accuracy and
# Stability of Numerical Algorithms, 4.2 and 3.1); each tolerance is some 60 to 120 units, and for fp32, where the order
# of summation decides, 3e4. They tell a broken kernel from rounding, not a good from a mediocre one: the differences
# themselves are columns.
PRECISIONS: dict[str, Precision] = {
    "fp32": Precision(tolerance=2e-3, stored_bits=23, note="strict"),
    "tf32": Precision(tolerance=3e-2, stored_bits=10, float32_matmul="high"),
    "bf16": Precision(tolerance=0.25, stored_bits=7, note="autocast", autocast="bfloat16"),
    "fp16": Precision(tolerance=6e-2, stored_bits=10, note="autocast", autocast="float16", scales_gradients=True),
    "bf16-weights": Precision(tolerance=0.25, stored_bits=7, note=_CAST, cast="bfloat16"),
    "fp16-weights": Precision(
        tolerance=6e-2, stored_bits=10, note=_CAST, cast="float16",
        not_trained="gradients underflow in fp16, and GradScaler does not unscale those of fp16 weights",
    ),
    # What scales and outliers do to an answer no number of bits explains: the bound tells noise from an answer.
    "int8": Precision(
        tolerance=0.5, stored_bits=7, note=_TORCHAO, quantised="int8", recipe="Int8DynamicActivationInt8WeightConfig",
        not_trained=_INFERENCE,
    ),
    "int8-weight": Precision(
        tolerance=0.25, stored_bits=7, note=_TORCHAO, quantised="int8", is_weight_only=True,
        recipe="Int8WeightOnlyConfig", not_trained=_INFERENCE,
    ),
    "fp8": Precision(
        tolerance=0.5, stored_bits=3, note=_TORCHAO, quantised="float8_e4m3fn",
        recipe="Float8DynamicActivationFloat8WeightConfig", granularity="PerTensor", not_trained=_INFERENCE,
    ),
    "fp8-row": Precision(
        tolerance=0.5, stored_bits=3, note=_TORCHAO, quantised="float8_e4m3fn",
        recipe="Float8DynamicActivationFloat8WeightConfig", granularity="PerRow", not_trained=_INFERENCE,
    ),
}  # fmt: skip


def check_trains(name: str) -> None:
    """Raise UnsupportedError for a precision that nothing is trained in."""
    if why := PRECISIONS[name].not_trained:
        raise UnsupportedError(f"{name}: {why}")


def product_type(name: str) -> str:
    """What matrix products and convolutions are computed in, as ``computed_dtype`` of a row names it.

    Of quantised layers their operands; of quantised weights alone, what these are held in.
    """
    row = PRECISIONS[name]
    return row.quantised or row.lowered or ("tf32" if row.float32_matmul == "high" else "float32")


def precisions_in_words() -> str:
    """Every name, and behind neighbours of one note that note."""
    groups = itertools.groupby(PRECISIONS, lambda name: PRECISIONS[name].note)
    return ", ".join(", ".join(names) + (f" ({note})" if note else "") for note, names in groups)


def apply_precision(name: str) -> None:
    """Set torch's process-wide switches for a precision; fp32 is strict, also in convolutions."""
    import torch

    setting = PRECISIONS[name].float32_matmul
    torch.set_float32_matmul_precision(setting)
    torch.backends.cudnn.allow_tf32 = setting == "high"


def autocast(device: torch.device, name: str) -> contextlib.AbstractContextManager[object]:
    """Autocast for a precision's forward pass; does nothing for a precision without."""
    import torch

    is_lowered = PRECISIONS[name].autocast is not None
    return torch.autocast(device.type, dtype=compute_dtype(name)) if is_lowered else contextlib.nullcontext()


def compute_dtype(name: str) -> torch.dtype:
    """The type that a precision computes in where there is no autocast, as in image processing."""
    import torch

    dtype: torch.dtype = getattr(torch, PRECISIONS[name].lowered or "float32")
    return dtype


def holds_weights(name: str) -> bool:
    """Whether weights and inputs are held in the type that a precision computes in."""
    return PRECISIONS[name].cast is not None


def is_quantised(name: str) -> bool:
    """Whether a precision is one of 8-bit weights."""
    return PRECISIONS[name].quantised is not None


def rest_dtype(device: torch.device) -> torch.dtype:
    """The type of what is not quantised: on a CPU float32, whose bfloat16 is often slow, else what is deployed."""
    import torch

    return torch.float32 if device.type == "cpu" else torch.bfloat16


def held_dtype(name: str) -> torch.dtype:
    """The type that a precision's weights and inputs are held in."""
    return compute_dtype(name if holds_weights(name) else "fp32")
