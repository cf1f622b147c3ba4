"""The first steps of a training, on its device in its precision, and the same in float64 on the CPU."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from workloads.base import CellContext
from workloads.images.batches import laid_out
from workloads.models.calls.answers import class_scores
from workloads.models.calls.behaviour import VARIES, Behaviour
from workloads.models.calls.inputs import Inputs, cast
from workloads.models.rounding import Rounding
from workloads.models.training.optimizer import adamw
from workloads.models.training.steps import N_STEPS, Steps, steps_of
from workloads.precision import PRECISIONS, autocast, held_dtype
from workloads.runtime.without_compiler import flop_counter

N_ITEMS = 8
FLOP_OF_ALL = 16e9
"""Forward, of all items: a larger network is given fewer of them, two at least."""
WHOLE_BITS = 23
"""Stored bits of float32."""
HIGHEST_SCALE = 2.0**16
_SAME_RANDOM = "the compiled step draws random numbers that the reference cannot reproduce"


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """A training's first steps beside the reference's; without them the reason.

    Attributes:
        n_items: Different items of the batch.
        own: On the device, in the precision.
        reference: In float64 on the CPU.
        rounded: In float32 on the CPU, with operations rounded to the precision's bits; one step. Gradients jump where
            a rectifier's input changes its sign, so their error is not proportional to the unit roundoff.
        reason: Why there are none.
    """

    n_items: int
    own: Steps | None = None
    reference: Steps | None = None
    rounded: Steps | None = None
    reason: str | None = None


def n_items_of(module: nn.Module, image: torch.Tensor, batch_size: int, *, is_compiled: bool) -> int:
    """How many items each process compares, told from the network's work; a compiled step has its batch full of them.

    Args:
        module: In evaluation mode.
        image: One item of its input, 1 x channels x height x width.
        batch_size: Of the cell.
        is_compiled: The step goes through torch.compile, which knows one batch size.
    """
    with torch.no_grad(), flop_counter() as flops:
        module(image)
    most = max(2, min(N_ITEMS, int(FLOP_OF_ALL / max(1, flops.get_total_flops()))))
    if not is_compiled:
        return most
    return next(n for n in range(min(most, batch_size), 0, -1) if batch_size % n == 0)


@contextlib.contextmanager
def without_chance(module: nn.Module, *, norms_train: bool) -> Iterator[None]:
    """In evaluation mode, but for batch normalisation where it is to train: nothing is dropped at random."""
    before = {layer: layer.training for layer in module.modules()}
    for layer in module.modules():
        layer.training = norms_train and before[layer] and isinstance(layer, _BatchNorm)
    try:
        yield
    finally:
        for layer, is_training in before.items():
            layer.training = is_training


def draws_random_numbers(module: nn.Module, inputs: torch.Tensor) -> bool:
    """Whether a forward pass on the CPU, in the mode that the module is in, draws any."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.random.get_rng_state()
        module(inputs)
        return not torch.equal(before, torch.random.get_rng_state())


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained, and how.

    Attributes:
        module: On its device, in the mode to train in.
        forward: What a step calls: the module, or that compiled.
        trained: The parameters that are trained.
        context: The cell.
        rate: Learning rate of the first steps.
        whole: A copy on the CPU, where the module is cut into shares.
        n_classes: Of the labels, by which scores are found among several outputs.
    """

    module: nn.Module
    forward: Callable[..., Any]
    trained: list[nn.Parameter]
    context: CellContext
    rate: float
    whole: nn.Module | None = None
    n_classes: int | None = None

    @property
    def copied(self) -> nn.Module:
        """A copy of the module, its parameters whole, on the CPU, in the modes in which the module is."""
        copied = copy.deepcopy(self.module if self.whole is None else self.whole).cpu()
        modes = {name: layer.training for name, layer in self.module.named_modules()}
        for name, layer in copied.named_modules():
            layer.training = modes[name]
        return copied

    def scores_of(self, network: Callable[..., Any], items: torch.Tensor) -> torch.Tensor:
        """Class scores of what a network answers."""
        return class_scores(network(items.clone()), self.n_classes)  # a network may change what it is given


def _on_the_cpu(
    training: Training, inputs: torch.Tensor, labels: torch.Tensor, kind: torch.dtype, *, n_steps: int = 1,
    bits: int = WHOLE_BITS,
) -> Steps:  # fmt: skip
    """The steps of a copy of the module as it stands, on the CPU in a type, rounded to fewer bits if so asked.

    On all items of all processes, which it normalises as each of these does its own.
    """
    copied = cast(training.copied, kind)
    n_parts = training.context.group.size

    def forward(items: torch.Tensor) -> torch.Tensor:
        return torch.cat([training.scores_of(copied, part) for part in items.chunk(n_parts)])

    known = dict(copied.named_parameters())
    trained = [known[name] for name, p in training.module.named_parameters() if p.requires_grad]
    batch = inputs.to(kind), labels
    if bits == WHOLE_BITS:
        return steps_of(forward, trained, batch, adamw(trained, training.rate), n_steps=n_steps)
    with Rounding(bits):
        return steps_of(forward, trained, batch, adamw(trained, training.rate), n_steps=n_steps)


def _on_the_device(training: Training, batch: tuple[torch.Tensor, torch.Tensor], *, n_steps: int) -> Steps:
    """The steps of the training itself, in its precision, on this process's share of the items."""
    device, precision, group = training.context.device, training.context.precision, training.context.group
    return steps_of(
        functools.partial(training.scores_of, training.forward), training.trained, batch,
        adamw(training.trained, training.rate), lambda: autocast(device, precision),
        scale=HIGHEST_SCALE if PRECISIONS[precision].scales_gradients else 1.0, n_steps=n_steps, group=group,
    )  # fmt: skip


def _why_not(copied: nn.Module, inputs: torch.Tensor, *, is_compiled: bool, is_training: bool) -> str | None:
    """Why a network's steps on the CPU would tell nothing of its steps elsewhere, if they would not.

    Args:
        copied: A copy of it in float32 on the CPU, in evaluation mode.
        inputs: Items that it takes, two at least.
        is_compiled: Its step is compiled, and so has one mode.
        is_training: That mode is the one for training.
    """
    if Behaviour.of(copied, Inputs.of(inputs[:2])).varies:
        return VARIES
    if is_compiled and draws_random_numbers(copied.train(is_training), inputs.clone()):
        return _SAME_RANDOM
    return None


def _own_batch(context: CellContext, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """This process's share on its device; a compiled step, which knows one batch size, is given its items in turn."""
    mine, its_labels = context.group.share(inputs), context.group.share(labels)
    n = len(its_labels)
    filled = torch.arange(n if context.compile == "none" else context.batch_size) % n
    mine = mine[filled].to(context.device, held_dtype(context.precision))
    return laid_out(mine, context.memory_format), its_labels[filled].to(context.device)


def compared(training: Training, inputs: torch.Tensor, labels: torch.Tensor) -> FirstSteps:
    """The first steps of a training beside those of the reference; its weights are changed.

    Args:
        training: About to begin.
        inputs: Items that its network takes, in float32 on the CPU; as many of them as its work allows are used.
        labels: Theirs, int64, on the CPU.
    """
    module, context = training.module, training.context
    is_compiled, group = context.compile != "none", context.group
    copied = training.copied.float().eval()
    n = n_items_of(copied, inputs[:1].clone(), context.batch_size, is_compiled=is_compiled)
    n = min(n, len(labels) // group.size)
    n_all = n * group.size
    inputs, labels = inputs[:n_all], labels[:n_all]
    if (reason := _why_not(copied, inputs, is_compiled=is_compiled, is_training=module.training)) is not None:
        return FirstSteps(n_items=n_all, reason=reason)
    batch = _own_batch(context, inputs, labels)

    def mode(*, norms_train: bool) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if is_compiled else without_chance(module, norms_train=norms_train)

    # Gradients through statistics of so few items amplify rounding a thousandfold, so they are those at the statistics
    # that the network came with; but a compiled step has one mode. Without statistics both are the same steps.
    is_apart = not is_compiled and any(isinstance(layer, _BatchNorm) and layer.training for layer in module.modules())
    exact = rounded = gradient = None
    with mode(norms_train=False):
        if group.rank == 0:
            bits = PRECISIONS[context.precision].stored_bits
            rounded = _on_the_cpu(training, inputs, labels, torch.float32, bits=bits)
        if is_apart:
            exact = None if group.rank else _on_the_cpu(training, inputs, labels, torch.float64)
            gradient = _on_the_device(training, batch, n_steps=1).gradient
    with mode(norms_train=True):
        if group.rank == 0:
            trained = _on_the_cpu(training, inputs, labels, torch.float64, n_steps=N_STEPS)
            exact = trained if exact is None else dataclasses.replace(exact, losses=trained.losses)
        steps = _on_the_device(training, batch, n_steps=N_STEPS)
    return FirstSteps(
        n_items=n_all, reference=exact, rounded=rounded,
        own=steps if gradient is None else dataclasses.replace(steps, gradient=gradient),
    )  # fmt: skip
