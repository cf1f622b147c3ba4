"""The options of inference on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typing_extensions import Doc

from workloads.base import BadInputError
from workloads.models.calls.taken import parse_inputs
from workloads.models.runtimes.table import HELP as RUNTIMES_HELP
from workloads.models.runtimes.table import NAMES as RUNTIME_NAMES
from workloads.models.runtimes.table import TORCH
from workloads.scenarios import HELP, SCENARIOS, is_served

if TYPE_CHECKING:
    ScenarioName = str
    RuntimeName = str
else:
    ScenarioName, RuntimeName = Literal[tuple(SCENARIOS)], Literal[RUNTIME_NAMES]


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    scenario: Annotated[tuple[ScenarioName, ...], Doc(HELP)] = ("single-stream",)
    implementation: tuple[Literal["eager", "frozen"], ...] = ("eager",)
    """Axis. eager: the network as trained; frozen: batch normalisation folded into the convolutions and
    weights held in the precision. Either goes through torch.compile where --compile says so."""
    runtime: Annotated[tuple[RuntimeName, ...], Doc(RUNTIMES_HELP)] = (TORCH,)
    rate: tuple[float, ...] = ()
    """Axis of the server scenario: mean arrivals per second. Default: search for the highest that meets the limit."""
    max_latency_ms: float | None = None
    """Limit: milliseconds per step, by the 99th percentile where it is known, otherwise by the median. The server
    scenario searches for the highest rate that meets it: up to six minutes a cell, whatever --max-s says."""
    include_copy: bool = False
    """Copy each batch from the host to the device as part of the step."""
    images: Path | None = None
    """Folder with your photographs. Default: the two that scikit-learn ships."""
    input: list[str] = field(default_factory=list)
    """What the network takes for one item: 3x224x224 (float32), several of them, integers below a limit in quotes
    ('ids:int64:1x128<30522'; a name where it is taken by name). Default: what --model itself says, or 3x224x224."""
    weights: Path | None = None
    """Your weights: a state dictionary, or a checkpoint that contains one, saved by torch.save or as .safetensors; the
    head determines the number of classes."""

    def __post_init__(self) -> None:
        parse_inputs(self.input)
        for name in filter(is_served, self.scenario):
            if not self.rate and self.max_latency_ms is None:
                raise BadInputError(
                    f"--scenario {name}: needs --rate, or --max-latency-ms to search for the highest rate"
                )
        if any(rate <= 0 for rate in self.rate):
            raise BadInputError(f"--rate: {list(self.rate)} must be over 0")
        if self.max_latency_ms is not None and self.max_latency_ms <= 0:
            raise BadInputError(f"--max-latency-ms: {self.max_latency_ms} must be over 0")
