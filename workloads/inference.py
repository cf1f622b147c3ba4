"""Inference: a trained network on batches of real photographs, in latency and images per second."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from workloads.base import AHEAD, CellContext, Defaults, SetupFacts, UnsupportedError
from workloads.images.photographs import check_photographs
from workloads.models.calls.taken import parse_inputs
from workloads.models.checks.asked import check_models
from workloads.models.checks.options import InferenceOptions
from workloads.models.runtimes.table import TORCH, check_installed
from workloads.models.sources import DEFAULT_MODEL
from workloads.precision import apply_precision, autocast, compute_dtype, holds_weights, is_quantised, rest_dtype
from workloads.runtime.late import late
from workloads.scenarios import SCENARIOS, Scenario, Sending, SteadyWork

if TYPE_CHECKING:
    import torch

    from workloads.base import Batch, Outputs
    from workloads.models import freezing, reference
    from workloads.models import loading as models
    from workloads.models.calls import answers, behaviour
    from workloads.models.calls import inputs as calls
    from workloads.models.quantising import network
    from workloads.models.runtimes import elsewhere
    from workloads.runtime import without_compiler

else:
    torch, calls = late("torch"), late("workloads.models.calls.inputs")
    answers, behaviour = late("workloads.models.calls.answers"), late("workloads.models.calls.behaviour")
    network = late("workloads.models.quantising.network")
    freezing, reference = late("workloads.models.freezing"), late("workloads.models.reference")
    models = late("workloads.models.loading")
    elsewhere = late("workloads.models.runtimes.elsewhere")
    without_compiler = late("workloads.runtime.without_compiler")

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
        is_lowered = is_quantised(context.precision) and self._runtime == TORCH
        # Weights and inputs are held in one type, and there is no autocast.
        self._is_cast = self._is_frozen or is_lowered or holds_weights(context.precision)
        within = compute_dtype(context.precision if self._is_cast else "fp32")
        self._held = rest_dtype(context.device) if is_lowered else within
        self._n_varied = 0
        self.incomparable: str | None = None
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
        if options.images is not None:
            check_photographs(options.images)
        for name in options.runtime:
            check_installed(name)
        check_models(model_names, options.weights, options.input)

    def setup(self) -> SetupFacts:
        context, options = self._context, self._options
        if not context.group.is_alone and not self.sending.scenario.takes_replicas:
            raise UnsupportedError("one batch at a time is sent, which leaves the replicas on other devices idle")
        if self._runtime != TORCH:
            elsewhere.check_its_own(self._runtime, context, options.implementation[0])
        without_compiler.import_torchvision()
        loaded, self._make = models.model_and_inputs(
            context.model, asked=parse_inputs(options.input), images=options.images, seed=context.seed,
            weights_file=options.weights,
        )  # fmt: skip
        self._loaded, make = loaded, self._make
        self.incomparable = behaviour.VARIES if loaded.varies else None
        if loaded.is_quantised and (context.precision != "fp32" or context.device.type != "cpu" or self._is_cast):
            raise UnsupportedError(f"{context.model} computes in 8 bits on the CPU: ask for cpu, fp32 and eager")
        n_bytes = make.bytes_of(context.batch_size)
        context.check_fits(
            "the batch", on_host=n_bytes, on_device=n_bytes * self._held.itemsize // torch.float32.itemsize
        )
        own = (models.identity_of(options.weights), str(options.images), make.shape, loaded.code)
        self._network = (context.model, loaded.weights, *own, context.seed)
        self._host = make(context.batch_size)
        self._reference_module = copy.deepcopy(loaded.module)
        self._takes = context.device
        if self._runtime == TORCH:
            self._prepare(loaded.module)
        else:
            self._open_session(loaded.module)
        self._batch = self._to_device(self._host)
        facts = SetupFacts(
            item=None if make.is_image else "items", input_shape=make.shape, input_source=make.source,
            input_is_synthetic=make.is_synthetic, weights=loaded.weights, head=loaded.head, code_commit=loaded.commit,
            n_images_skipped=make.photographs.n_skipped, input_left_out=make.photographs.left_out,
            static_bytes=None if self._session else models.static_bytes(self._module),
        )  # fmt: skip
        return self._session.with_facts(facts) if self._session else facts

    def _prepare(self, module: torch.nn.Module) -> None:
        """Bring the network to the device, for torch to run it."""
        context = self._context
        self._module = module.to(context.device)
        if self._is_frozen:
            freezing.freeze(self._module, self._host[:1].to(context.device), context.precision)
        calls.cast(self._module, self._held)
        calls.lay_out(self._module, context.memory_format)
        found = network.Quantised(module=self._module)
        if is_quantised(context.precision):
            later = dataclasses.replace(self._make, seed=context.seed + 1)
            found = network.quantised(self._module, self._to_device(self._host), later, context)
        self._module, self.weights_flops = found.module, found.weights_flops
        self._forward = found.forward or models.compiled(found.module, context.compile)
        if found.is_fixed or context.compile == AHEAD:
            self.step_varying = None  # type: ignore[assignment, method-assign]

    def _open_session(self, module: torch.nn.Module) -> None:
        """Have another runtime run the network, which takes batches of one size."""
        calibration = dataclasses.replace(self._make, seed=self._context.seed + 1)
        self._session = elsewhere.Elsewhere(self._runtime, module, self._host, calibration, self._context)
        self._takes, self.product_types = self._session.takes, self._session.types
        self.step_varying = None  # type: ignore[assignment, method-assign]

    def _to_device(self, batch: calls.Inputs) -> calls.Inputs:
        return self._as_weights(batch.to(self._takes)).laid_out(self._context.memory_format)

    def _as_weights(self, batch: calls.Inputs) -> calls.Inputs:
        """A batch in the type of the weights; autocast takes float32."""
        return batch.to(dtype=self._held) if self._is_cast else batch

    def compute(self, batch: Batch) -> Any:
        """The network's answer to a batch on the device, as ``host_batch`` has it."""
        return self._answer(self._batch.with_tensors(batch if isinstance(batch, tuple) else (batch,)))

    def _answer(self, batch: calls.Inputs) -> Any:
        return self._session(batch) if self._session else self._run(self._forward, batch)

    def _run(self, forward: Callable[..., Any], batch: calls.Inputs) -> Any:
        precision = "fp32" if self._is_cast else self._context.precision
        with torch.inference_mode(), autocast(self._context.device, precision):
            return self._as_weights(batch).call(forward)

    def plain_step(self) -> None:
        if self._session:
            with torch.inference_mode():
                self._host.call(self._reference_module)
        else:
            self._run(self._module, self._batch)

    def least_bytes(self) -> int | None:
        """Unknown: which of the activations a compiled network keeps out of memory is the compiler's secret."""
        return None

    def step(self) -> None:
        self._answer(self._to_device(self._host) if self._options.include_copy else self._batch)

    def step_varying(self) -> None:
        """A step whose batch changes its size each time, for the search of leaks."""
        share = VARYING_SHARES[self._n_varied % len(VARYING_SHARES)]
        self._n_varied += 1
        self._answer(self._batch[: max(1, round(share * len(self._batch)))])

    def host_batch(self) -> Batch | None:
        """In the cell's memory format, as a copy keeps it: another one would compile the network a second time.

        None where another runtime copies batches to the device by itself.
        """
        if self._takes != self._context.device:
            return None
        tensors = self._host.laid_out(self._context.memory_format).tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @functools.cached_property
    def _compared(self) -> calls.Inputs:
        """Items whose answers are compared."""
        n = self._context.n_compared
        return self._host[:n] if self._context.batch_size >= n else self._make(n)

    def outputs_and_reference(self) -> tuple[Outputs, Outputs]:
        """Of as many items as the context asks for, whatever the batch size, in batches of the shape measured."""
        items, size = self._compared, self._context.batch_size
        expected = self._reference(items)
        n = min((len(output) for output in expected.outputs.values()), default=0)
        ours = answers.by_batches(
            lambda i: self._answer(self._to_device(items[i])), expected.layout, n, size, self._context.compared_s
        )
        return ours, answers.plain(expected.outputs)

    def rounded_reference(self) -> Outputs:
        """What rounding to ten stored bits makes of the first of these answers."""
        return answers.plain(self._reference(self._compared).rounded)

    def _reference(self, items: calls.Inputs) -> reference.Reference:
        apply_precision("fp32")
        try:
            network = (*self._network, len(items))
            return reference.reference_of(network, self._reference_module, items, self._loaded.code)
        finally:
            apply_precision(self._context.precision)
