"""Image processing: real JPEG photographs through torchvision's transforms on the device, in images per second.

There is no autocast for such operations: precision is the floating type that a pipeline computes in, from
the conversion of its 8-bit input on. ``classification`` works on 8-bit images until its last two operations, as is
usual. ``decode`` has no floating part, no batch and nothing to compile: other values of those axes are unsupported.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workloads.base import BadInputError, CellContext, Defaults, SetupFacts, UnsupportedError
from workloads.images.files import decode_pixels
from workloads.images.jpeg import NoDecoderError, check_decoder, jpeg_decoder
from workloads.images.photographs import Photographs, check_photographs, load_photographs
from workloads.precision import compute_dtype
from workloads.runtime.late import late
from workloads.runtime.words import in_short
from workloads.scenarios import SteadyWork

if TYPE_CHECKING:
    import torch

    from workloads.images import batches
    from workloads.pipelines.taps import Stage
    from workloads.runtime import streams, torch_private
else:
    torch, batches = late("torch"), late("workloads.images.batches")
    streams, torch_private = late("workloads.runtime.streams"), late("workloads.runtime.torch_private")

HEIGHT, WIDTH = 427, 640
"""Every photograph is brought to this size once, before the clock runs, so that they form a batch."""
MAX_COMPARED_ITEMS = 4
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
    kernels, each pixel from the pixels it needs, through torch.compile. torchcodec, torchvision: only for decode, by
    that library; its eager is TorchCodec where that is installed (accelsweep[torchcodec]), otherwise torchvision."""
    images: Path | None = None
    """Folder with your photographs. Default: the two that scikit-learn ships."""


class ImageProcessing(SteadyWork):
    """Decode, augment, resize and filter real photographs on the device."""

    name: ClassVar[str] = "image-processing"
    item: ClassVar[str] = "images"
    Options: ClassVar[type[Any]] = ImageProcessingOptions
    defaults: ClassVar[Defaults] = Defaults(
        batch_size=(1, 8, 32), precision=("fp32",), smoke_batch_size=(4,),
    )  # fmt: skip
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
        self._threads: ThreadPoolExecutor | None = None
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
        photographs = load_photographs(self._options.images)
        n = self._context.batch_size
        decoder = None
        if self._pipeline == "decode":
            decoder = self._set_up_decode(photographs, n)
        else:
            from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

            from workloads.pipelines.composed import PIPELINES, draw_parameters

            n_bytes = 3 * HEIGHT * WIDTH * n
            self._context.check_fits("the batch", on_host=n_bytes, on_device=n_bytes)
            self._composition = PIPELINES[self._pipeline]
            resized = [F.resize(image, [HEIGHT, WIDTH], antialias=True) for image in photographs.images[:n]]
            batch = torch.stack([resized[i % len(resized)] for i in range(n)])
            self._host = batches.laid_out(batch, self._context.memory_format)
            self._batch = self._host.to(self._context.device)
            self._parameters = draw_parameters(HEIGHT, WIDTH, self._context.seed)
            self._function = self._chosen_function()
        return SetupFacts(
            input_shape=f"3x{HEIGHT}x{WIDTH}",
            input_source=photographs.source,
            n_images_skipped=photographs.n_skipped,
            input_left_out=photographs.left_out,
            decoder=decoder,
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
            stages = FUSED[self._pipeline](self._parameters, HEIGHT, WIDTH, device, self._dtype)
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

    def _set_up_decode(self, photographs: Photographs, n: int) -> str:
        """Files to decode, and what decodes them."""
        context = self._context
        if self._implementation not in DECODERS:
            raise UnsupportedError(f"decode: has no {self._implementation} implementation")
        if context.compile != "none":
            raise UnsupportedError("decode: has nothing for torch.compile to compile")
        if context.precision != "fp32":
            raise UnsupportedError(f"decode: has no floating-point part for {context.precision} to change; use fp32")
        if context.memory_format != "contiguous":
            raise UnsupportedError(f"decode: returns single images, which cannot be {context.memory_format}")
        try:
            self._decoder, named = jpeg_decoder(self._implementation)
        except NoDecoderError as error:
            raise UnsupportedError(f"decode: {error}") from error
        n_rounds, n_more = divmod(n, len(photographs.images))
        sizes = [image.numel() for image in photographs.images]
        context.check_fits("the decoded batch", on_device=n_rounds * sum(sizes) + sum(sizes[:n_more]))
        files = [torch.frombuffer(bytearray(jpeg), dtype=torch.uint8) for jpeg in photographs.jpegs]
        self._files = [files[i % len(files)] for i in range(n)]
        if context.device.type == "cpu":
            self._threads = ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="decode")
        try:
            where = self._decode()[0].device.type
        except (RuntimeError, ValueError, TypeError) as error:
            if self._threads is not None:
                raise
            raise UnsupportedError(f"decode: no JPEG decoder on {context.device.type}: {in_short(error)}") from error
        if where != context.device.type:  # torchvision does not say so
            told, name = context.device.type, named.split()[0]
            raise UnsupportedError(f"decode: no JPEG decoder on {told}: {name} decoded on {where}")
        return named

    def _decode(self) -> list[torch.Tensor]:
        device = self._context.device
        if self._threads is not None:
            # One file a thread: the decoder lets go of the interpreter's lock, and a CPU trial owns every core.
            return list(self._threads.map(lambda file: self._decoder([file], device)[0], self._files))
        return self._decoder(self._files, device)

    def _run(self, function: Stage) -> None:
        if self._pipeline == "decode":
            self._decode()
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
        n = min(MAX_COMPARED_ITEMS, self._context.batch_size)
        if self._pipeline == "decode":
            from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

            decoded = torch.stack([F.resize(i.cpu(), [HEIGHT, WIDTH]) for i in self._decode()[:n]])
            pixels = [decode_pixels(file.numpy().tobytes()) for file in self._files[:n]]  # by Pillow
            exact = torch.stack([F.resize(image, [HEIGHT, WIDTH]) for image in pixels])
            return decoded.float(), exact.float()
        with torch.inference_mode():
            outputs = self._function(self._batch)[:n]
            photographs = self._host[:n].contiguous()
            reference = self._composition(photographs, self._parameters, torch.float32)
        return outputs.float().cpu(), reference

    def teardown(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()
        super().teardown()
