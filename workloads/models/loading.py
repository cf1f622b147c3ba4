"""Models by name, the caller's own: built once and copied, with the user's weights where there are any."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workloads.base import AHEAD, BadInputError, UnsupportedError
from workloads.models.heads import with_classes
from workloads.models.sources import LoadedModel, check_model
from workloads.models.state_files import fitted, read_state
from workloads.runtime.ahead import Ahead
from workloads.runtime.memory import parts_of

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 256 * 2**20
"""A larger model is built anew each time, for a copy beside it would be a burden on the host's memory."""
_kept: dict[tuple[str, int | None, bool, bytes], tuple[LoadedModel, torch.Tensor]] = {}
"""The last model by all that decides its weights, the random numbers included, and the generator's state after it."""


def build_model(
    name: str, *, num_classes: int | None = None, pretrained: bool = True, weights_file: Path | None = None
) -> LoadedModel:
    """A model on the CPU in fp32 and evaluation mode, the caller's own: training it leaves no trace in the next one.

    The last model is kept as it was built and copied when it is asked for again, for the cells of a grid mostly differ
    in something else. The generator of random numbers is left as building would have left it.

    Args:
        name: See ``model_names``, or one with the prefix of a source.
        num_classes: Give it a new, random last layer for this many classes.
        pretrained: Ask for weights; where none can be had they are random, and ``weights`` says so.
        weights_file: The user's weights, in which nothing is run; without ``num_classes`` their head's size is taken.

    Raises:
        BadInputError: For an unknown name or unusable weights.
    """
    if weights_file is not None:
        return _build(name, num_classes, pretrained, weights_file)
    key = (name, num_classes, pretrained, torch.random.get_rng_state().numpy().tobytes())
    if key not in _kept:
        _kept.clear()
        loaded = _build(name, num_classes, pretrained, None)
        if static_bytes(loaded.module) > MAX_KEPT_BYTES:
            return loaded
        _kept[key] = loaded, torch.random.get_rng_state()
    kept, generator = _kept[key]
    torch.random.set_rng_state(generator)
    return dataclasses.replace(kept, module=copy.deepcopy(kept.module))


def _build(name: str, num_classes: int | None, pretrained: bool, weights_file: Path | None) -> LoadedModel:
    source = check_model(name)
    if weights_file is None:
        loaded = source.build(name, pretrained, num_classes)
    else:
        loaded = _with_user_weights(source.build(name, False, None), name, weights_file, num_classes)
    loaded.module.eval()
    return loaded


def _with_user_weights(built: LoadedModel, name: str, file: Path, num_classes: int | None) -> LoadedModel:
    """The model with the user's weights: its head is theirs if that is for as many classes as asked for, else new.

    Raises:
        BadInputError: If they do not fit; without a number of classes also if they have no head.
    """
    state = read_state(file, name)
    own = fitted(built.module, state, name, file).n_classes
    if num_classes is None and own is None:
        raise BadInputError(
            f"--weights: {str(file)!r} has no head of {name}, whose answers would be random without one"
        )
    module = with_classes(built.module, num_classes or own)
    found = fitted(module, state, name, file)
    module.load_state_dict(found.state, strict=False)
    told = "loaded" if found.has_head else f"new, for {num_classes} classes"
    if not found.has_head and own is not None:
        told += f" in the place of {own}"
    return dataclasses.replace(built, module=module, weights=file.name, head=told)


def check_weights(file: Path, names: Sequence[str], num_classes: int | None = None) -> None:
    """Check that the user's weights fit every model named, by putting them in; before Ray starts.

    A head that cannot be theirs is told in the log. Imports torchvision, or timm, for their models.

    Raises:
        BadInputError: See ``build_model``.
    """
    for name in names:
        loaded = build_model(name, num_classes=num_classes, weights_file=file)
        if loaded.head not in (None, "loaded"):
            log.warning("the body of %s is loaded from %r, its head is %s", name, file.name, loaded.head)


def static_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers, of quantised ones as they are held."""
    held = (part for tensor in (*module.parameters(), *module.buffers()) for part in parts_of(tensor))
    return sum(part.numel() * part.element_size() for part in held)


def compiled_to_train(module: nn.Module, mode: str) -> Callable[..., Any]:
    """``compiled``; UnsupportedError for ``aot``."""
    if mode == AHEAD:
        raise UnsupportedError("aot: what is trained cannot be compiled ahead of time")
    return compiled(module, mode)


def compiled(module: nn.Module, mode: str) -> Callable[..., Any]:
    """What a cell's steps call: a module itself, or through torch.compile in a mode; ``none`` for neither.

    ``aot`` is compiled ahead of time, for inference alone.
    """
    if mode == AHEAD:
        return Ahead(module)
    return module if mode == "none" else torch.compile(module, mode=mode)
