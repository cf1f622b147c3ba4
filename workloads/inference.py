"""Inference: a trained network on batches of real photographs, in latency and images per second."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from workloads.base import AHEAD, CellContext, Defaults, SetupFacts, UnsupportedError
from workloads.images.photographs import check_photographs, load_photographs, photograph_batch
from workloads.models.options import InferenceOptions
from workloads.models.runtimes.table import TORCH, check_installed
from workloads.models.sources import DEFAULT_MODEL, check_model
from workloads.precision import apply_precision, autocast, compute_dtype, holds_weights, is_quantised, rest_dtype
from workloads.runtime.late import late
from workloads.scenarios import SCENARIOS, Scenario, Sending, SteadyWork

if TYPE_CHECKING:
    import torch

    from workloads.images import batches
    from workloads.models import freezing, randomised, reference
    from workloads.models import loading as models
    from workloads.models.quantising import network
    from workloads.models.runtimes import elsewhere

else:
    torch, batches = late("torch"), late("workloads.images.batches")
    network = late("workloads.models.quantising.network")
    freezing, reference = late("workloads.models.freezing"), late("workloads.models.reference")
    randomised = late("workloads.models.randomised")
    models = late("workloads.models.loading")
    elsewhere = late("workloads.models.runtimes.elsewhere")

VARYING_SHARES = (1.0, 0.5, 0.75, 0.25)


class Inference(SteadyWork):
    """Run a trained network on photographs: latency, throughput, memory and agreement with fp32 on the CPU."""

    name: ClassVar[str] = "inference"
    item: ClassVar[str] = "images"
    Options: ClassVar[type[Any]] = InferenceOptions
    defaults: ClassVar[Defaults] = Defaults(
        batch_size=(1, 8, 32), precision=("fp32", "bf16"), model=(DEFAULT_MODEL,), smoke_batch_size=(1, 4)
    )
    together: ClassVar[tuple[str, ...]] = ("step", "step_varying")

    def __init__(self, context: CellContext) -> None:
        self._context = context
        self._options: InferenceOptions = context.options or InferenceOptions()
        self.sending = Sending(
            scenario=SCENARIOS[self._options.scenario[0]] if self._options.scenario else Scenario(),
            rate_per_s=self._options.rate[0] if self._options.rate else None,
            max_latency_ms=self._options.max_latency_ms,
        )
        # A request is a batch of one replica; otherwise a step is one of each.
        self.items_per_step = context.batch_size * (1 if self.sending.scenario.is_served else context.group.size)
        self.is_compiled = context.compile != "none"
        self._is_frozen = self._options.implementation == ("frozen",)
        self._runtime = self._options.runtime[0] if self._options.runtime else TORCH
        self._session: elsewhere.Elsewhere | None = None
        self._is_cast = self._is_frozen or holds_weights(context.precision)
        self._n_varied = 0
        self.step_is_compute = not self._options.include_copy and context.group.is_alone

    @staticmethod
    def why_one_device(options: InferenceOptions) -> str | None:
        """Why these options make no use of replicas on several devices; None if they do."""
        if any(SCENARIOS[name].takes_replicas for name in options.scenario):
            return None
        told = " and ".join(name for name, scenario in SCENARIOS.items() if scenario.takes_replicas)
        return f"replicas share the work of --scenario {told}, not that of {', '.join(options.scenario)}"

    @classmethod
    def check(cls, options: InferenceOptions, model_names: tuple[str, ...]) -> None:
        for name in model_names:
            check_model(name)
        if options.images is not None:
            check_photographs(options.images)
        for name in options.runtime:
            check_installed(name)
        if options.weights is not None:
            models.check_weights(options.weights, model_names)

    def setup(self) -> SetupFacts:
        context = self._context
        if not context.group.is_alone and not self.sending.scenario.takes_replicas:
            raise UnsupportedError("one batch at a time is sent, which leaves the replicas on other devices idle")
        if self._runtime != TORCH:
            elsewhere.check_its_own(self._runtime, context, self._options.implementation[0])
        photographs = load_photographs(self._options.images)
        torch.manual_seed(context.seed)  # random weights, where there are no others, must be the same in each cell
        loaded = models.build_model(context.model, weights_file=self._options.weights)
        if loaded.weights == "random":
            randomised.settle(loaded, context.model)
        self._loaded = loaded
        n_values = 3 * loaded.input_size**2 * context.batch_size
        width = self._held.itemsize
        context.check_fits("the batch", on_host=n_values * torch.float32.itemsize, on_device=n_values * width)
        own = (reference.identity_of(self._options.weights), str(self._options.images))
        self._network = (context.model, loaded.weights, *own, context.seed)
        self._photographs = photographs
        self._host = self._crops(context.batch_size)
        self._reference_module = copy.deepcopy(loaded.module)
        self._takes = context.device
        if self._runtime == TORCH:
            self._prepare(loaded.module)
        else:
            self._open_session(loaded.module)
        self._batch = self._to_device(self._host)
        facts = SetupFacts(
            input_shape=f"3x{loaded.input_size}x{loaded.input_size}",
            input_source=photographs.source,
            weights=loaded.weights,
            head=loaded.head,
            n_images_skipped=photographs.n_skipped,
            input_left_out=photographs.left_out,
            static_bytes=None if self._session else models.static_bytes(self._module),
        )
        return self._session.with_facts(facts) if self._session else facts

    def _prepare(self, module: torch.nn.Module) -> None:
        """Bring the network to the device, for torch to run it."""
        context = self._context
        self._module = module.to(context.device)
        if self._is_frozen:
            freezing.freeze(self._module, self._host[:1].to(context.device), context.precision)
        self._module.to(self._held).to(memory_format=batches.MEMORY_FORMATS[context.memory_format])
        found = network.Quantised(module=self._module)
        if is_quantised(context.precision):
            calibration = lambda n: self._crops(n, context.seed + 1)  # noqa: E731
            found = network.quantised(self._module, self._to_device(self._host), calibration, context)
        self._module, self.weights_flops = found.module, found.weights_flops
        self._forward = found.forward or models.compiled(found.module, context.compile)
        if found.is_fixed or context.compile == AHEAD:
            self.step_varying = None  # type: ignore[assignment, method-assign]

    def _open_session(self, module: torch.nn.Module) -> None:
        """Have another runtime run the network, which takes batches of one size."""
        calibration = lambda n: self._crops(n, self._context.seed + 1)  # noqa: E731
        self._session = elsewhere.Elsewhere(self._runtime, module, self._host, calibration, self._context)
        self._takes, self.product_types = self._session.takes, self._session.types
        self.step_varying = None  # type: ignore[assignment, method-assign]

    def _crops(self, n: int, seed: int | None = None) -> torch.Tensor:
        """So many different crops, as the network takes them; by default with the cell's seed."""
        loaded = self._loaded
        pixels = photograph_batch(self._photographs, n, loaded.input_size, self._context.seed if seed is None else seed)
        return batches.to_model_input(pixels, loaded.mean, loaded.std)

    def _to_device(self, batch: torch.Tensor) -> torch.Tensor:
        moved = self._as_weights(batch.to(self._takes))
        return batches.laid_out(moved, self._context.memory_format)

    def _as_weights(self, batch: torch.Tensor) -> torch.Tensor:
        """A batch in the type of the weights; autocast takes float32."""
        return batch.to(self._held)

    @property
    def _held(self) -> torch.dtype:
        """The type of weights and inputs."""
        if is_quantised(self._context.precision) and self._runtime == TORCH:
            return rest_dtype(self._context.device)
        return compute_dtype(self._context.precision if self._is_cast else "fp32")

    def compute(self, batch: torch.Tensor) -> torch.Tensor:
        """Class scores, items x classes, of a normalised batch on the device."""
        if self._session:
            return self._session(batch)
        return self._run(self._forward, batch)

    def _run(self, forward: Callable[..., Any], batch: torch.Tensor) -> torch.Tensor:
        precision = "fp32" if self._is_cast else self._context.precision
        with torch.inference_mode(), autocast(self._context.device, precision):
            out: torch.Tensor = forward(self._as_weights(batch))
        return out

    def plain_step(self) -> None:
        if self._session:
            with torch.inference_mode():
                self._reference_module(self._host)
        else:
            self._run(self._module, self._batch)

    def least_bytes(self) -> int | None:
        """Unknown: which of the activations a compiled network keeps out of memory is the compiler's secret."""
        return None

    def step(self) -> None:
        self.compute(self._to_device(self._host) if self._options.include_copy else self._batch)

    def step_varying(self) -> None:
        """A step whose batch changes its size each time, for the search of leaks."""
        share = VARYING_SHARES[self._n_varied % len(VARYING_SHARES)]
        self._n_varied += 1
        self.compute(self._batch[: max(1, round(share * len(self._batch)))])

    def host_batch(self) -> torch.Tensor | None:
        """In the cell's memory format, as a copy keeps it: another one would compile the network a second time.

        None where another runtime copies batches to the device by itself.
        """
        if self._takes != self._context.device:
            return None
        return batches.laid_out(self._host, self._context.memory_format)

    def outputs_and_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of as many crops as the context asks for, whatever the batch size, in batches of the shape measured."""
        n = self._context.n_compared
        size = self._context.batch_size
        crops = self._host[:n] if size >= n else self._crops(n)
        outputs = batches.by_batches(lambda index: self.compute(self._to_device(crops[index])), n, size)
        return outputs, self._reference(crops).outputs

    def rounded_reference(self) -> torch.Tensor:
        """What rounding to ten stored bits makes of the first of these answers."""
        return self._reference(self._crops(self._context.n_compared)).rounded

    def _reference(self, crops: torch.Tensor) -> reference.Reference:
        apply_precision("fp32")
        try:
            return reference.reference_of((*self._network, len(crops)), self._reference_module, crops)
        finally:
            apply_precision(self._context.precision)
