"""Image processing: real JPEG photographs through torchvision's transforms on the device, in images per second.

There is no autocast for such operations: precision is the floating type that a pipeline computes in, from
the conversion of its 8-bit input on. ``classification`` works on 8-bit images until its last two operations, as is
usual. ``decode`` has no floating part, no batch and nothing to compile: other values of those axes are unsupported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workloads.base import AHEAD, BadInputError, CellContext, Defaults, SetupFacts, UnsupportedError
from workloads.images.jpeg import NoDecoderError, check_decoder
from workloads.images.photographs import check_photographs, load_photographs
from workloads.precision import compute_dtype, holds_weights, is_quantised
from workloads.runtime.late import late
from workloads.scenarios import SteadyWork

if TYPE_CHECKING:
    import torch

    from workloads.images import batches
    from workloads.pipelines import compared, decoding
    from workloads.pipelines.taps import Stage
    from workloads.runtime import streams, torch_private, without_compiler
else:
    torch, batches = late("torch"), late("workloads.images.batches")
    compared, decoding = late("workloads.pipelines.compared"), late("workloads.pipelines.decoding")
    streams, torch_private = late("workloads.runtime.streams"), late("workloads.runtime.torch_private")
    without_compiler = late("workloads.runtime.without_compiler")

RELATIVE_TOLERANCES = {"classification": 0.06, "decode": 0.05}
"""Bounds on the largest difference over the largest value for pipelines that compute on 8-bit images.

classification rounds to 8 bits after each of five operations, and devices round halves and sum the contrast's mean
differently: up to 8 of 255 levels, 0.16 after normalisation, are within it (5 were seen between an H200 and the
CPU). JPEG decoders may differ by some levels too (ITU-T T.83 allows it).
"""
Implementation = Literal["eager", "compiled", "fused", "torchcodec", "torchvision"]
DECODERS = ("eager", "torchcodec", "torchvision")
PipelineName = Literal["decode", "classification", "resize", "gaussian-blur", "geometric", "sobel"]


@dataclass(frozen=True, kw_only=True)
class ImageProcessingOptions:
    pipeline: tuple[PipelineName, ...] = ("decode", "classification", "resize", "gaussian-blur", "geometric", "sobel")
    """Axis: what is done to each batch. decode: JPEG bytes to pixels; classification: crop to 224, flip, colour
    jitter, to float, normalise; resize: antialiased to 224; gaussian-blur: 9 x 9; geometric: affine and perspective;
    sobel: gradient by conv2d."""
    implementation: tuple[Implementation, ...] = ("eager",)
    """Axis. eager: as torchvision composes it; compiled: the same through torch.compile; fused: rewritten as a few
    kernels that compute each pixel from the pixels it needs, through torch.compile. torchcodec, torchvision: decode
    only, with that library; eager decodes with TorchCodec if installed (accelsweep[torchcodec]), otherwise
    torchvision."""
    images: Path | None = None
    """Folder with your photographs. Default: the two that scikit-learn ships."""


class ImageProcessing(SteadyWork):
    """Decode, augment, resize and filter real photographs on the device."""

    name: ClassVar[str] = "image-processing"
    item: ClassVar[str] = "images"
    Options: ClassVar[type[Any]] = ImageProcessingOptions
    defaults: ClassVar[Defaults] = Defaults(batch_size=(1, 8, 32), precision=("fp32",), smoke_batch_size=(4,))
    step_is_compute: ClassVar[bool] = True
    """A step copies nothing: its time is that of ``compute``."""

    def __init__(self, context: CellContext) -> None:
        self._context = context
        self._options: ImageProcessingOptions = context.options or ImageProcessingOptions()
        self.items_per_step = context.batch_size
        self._pipeline = self._options.pipeline[0]
        self._function: Stage = self._composed
        self._dtype = compute_dtype(context.precision)
        self._implementation: str = self._options.implementation[0]
        self.is_compiled = context.compile != "none" or self._implementation in {"compiled", "fused"}
        self._decoding: decoding.Decoding | None = None
        self.relative_tolerance = RELATIVE_TOLERANCES.get(self._pipeline)

    @classmethod
    def check(cls, options: ImageProcessingOptions, model_names: tuple[str, ...]) -> None:
        for name in options.implementation:
            try:
                check_decoder(name)
            except NoDecoderError as error:
                raise BadInputError(f"--implementation: {name!r}: {error}") from error
        if options.images is not None:
            check_photographs(options.images)

    def setup(self) -> SetupFacts:
        if holds_weights(precision := self._context.precision) or is_quantised(precision):
            raise UnsupportedError(f"{precision}: image processing has no weights; bf16 and fp16 compute in their type")
        if self._context.compile == AHEAD:
            raise UnsupportedError("aot: a pipeline is no network to export; --compile default compiles it")
        without_compiler.import_torchvision()
        photographs = load_photographs(self._options.images)
        n = self._context.batch_size
        height, width = compared.HEIGHT, compared.WIDTH
        if self._pipeline == "decode":
            if self._implementation not in DECODERS:
                raise UnsupportedError(f"decode: has no {self._implementation} implementation")
            self._decoding = decoding.Decoding(self._context, photographs, self._implementation)
        else:
            from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

            from workloads.pipelines.composed import PIPELINES, draw_parameters

            n_bytes = 3 * height * width * n
            self._context.check_fits("the batch", on_host=n_bytes, on_device=n_bytes)
            self._composition = PIPELINES[self._pipeline]
            resized = [F.resize(image, [height, width], antialias=True) for image in photographs.images[:n]]
            batch = torch.stack([resized[i % len(resized)] for i in range(n)])
            self._host = batches.laid_out(batch, self._context.memory_format)
            self._batch = self._host.to(self._context.device)
            self._parameters = draw_parameters(height, width, self._context.seed)
            self._function = self._chosen_function()
        return SetupFacts(
            input_shape=f"3x{height}x{width}",
            input_source=photographs.source,
            n_images_skipped=photographs.n_skipped,
            input_left_out=photographs.left_out,
            decoder=None if self._decoding is None else self._decoding.named,
        )

    def _composed(self, batch: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self._composition(batch, self._parameters, self._dtype)
        return out

    def _eager(self, batch: torch.Tensor) -> torch.Tensor:
        with streams.others_copies(self._context.device):
            return self._composed(batch)

    def _chosen_function(self) -> Stage:
        """The pipeline on a batch, in the implementation asked for."""
        if self._implementation in DECODERS[1:]:
            raise UnsupportedError(f"{self._pipeline}: does not decode, which is all that {self._implementation} does")
        if not self.is_compiled:
            return self._eager
        stages: list[Stage] = [self._composed]
        is_fused = self._implementation == "fused"
        if is_fused:
            from workloads.pipelines.fused import FUSED

            device = self._context.device
            stages = FUSED[self._pipeline](self._parameters, compared.HEIGHT, compared.WIDTH, device, self._dtype)
        mode = "default" if self._context.compile == "none" else self._context.compile
        # The fused pipelines index by construction within the image, so their kernels need not check it.
        options = torch_private.compile_options(mode)
        options = None if options is None else {**options, "assert_indirect_indexing": not is_fused}
        is_captured = options is None or bool(options.get("triton.cudagraphs"))
        how: dict[str, Any] = {"mode": mode} if options is None else {"options": options}
        # One shape is ever seen, and a graph of fixed shapes is the faster one.
        first, *rest = (torch.compile(stage, **how, dynamic=False) for stage in stages)

        def run(batch: torch.Tensor) -> torch.Tensor:
            if is_captured:  # what a stage gave may else be overwritten before the next one has read it
                torch.compiler.cudagraph_mark_step_begin()
            out = first(batch)
            for stage in rest:
                out = stage(*out)
            result: torch.Tensor = out
            return result

        return run if rest else first

    def _run(self, function: Stage) -> None:
        if self._decoding is not None:
            self._decoding.decode()
        else:
            with torch.inference_mode():
                function(self._batch)

    def host_batch(self) -> torch.Tensor | None:
        """The 8-bit photographs, items x 3 x height x width; None for decoding, whose input the host reads."""
        return None if self._pipeline == "decode" else self._host

    def compute(self, batch: torch.Tensor) -> torch.Tensor:
        """What the pipeline makes of such a batch on the device."""
        with torch.inference_mode():
            out: torch.Tensor = self._function(batch)
        return out

    def step(self) -> None:
        self._run(self._function)

    def plain_step(self) -> None:
        """The step without torch.compile, as torchvision composes it, to count its operations."""
        self._run(self._eager)

    def least_bytes(self) -> int | None:
        if self._pipeline == "decode":
            return None
        with torch.inference_mode():
            return int(self._batch.nbytes + self._function(self._batch).nbytes)

    def outputs_and_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of as many different photographs as the context asks for, whatever the batch size."""
        if self._decoding is not None:
            return self._decoding.outputs_and_reference()
        context = self._context
        of_what = (self._options.images, context.n_compared, context.seed)
        images = compared.compared_images(*of_what)

        def answers(index: torch.Tensor) -> torch.Tensor:
            batch = batches.laid_out(images[index], context.memory_format).to(context.device)
            return compared.sampled(self.compute(batch), index)

        outputs = batches.by_batches(answers, context.n_compared, context.batch_size, context.compared_s)
        return outputs, compared.reference_values(self._pipeline, images, context.seed, of_what)

    def teardown(self) -> None:
        if self._decoding is not None:
            self._decoding.close()
        super().teardown()
