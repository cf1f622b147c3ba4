"""Models by name, the caller's own: built once and copied, with the user's weights where there are any."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workloads.base import BadInputError
from workloads.models.sources import LoadedModel, check_model

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
        weights_file: The user's state dictionary, read without unpickling code.

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
    pretrained = pretrained and weights_file is None
    loaded = check_model(name).build(name, pretrained, num_classes)
    if weights_file is not None:
        _load_user_weights(loaded.module, name, weights_file)
        loaded = dataclasses.replace(loaded, weights=weights_file.name)
    loaded.module.eval()
    return loaded


def _load_user_weights(module: nn.Module, name: str, file: Path) -> None:
    """Put the user's weights into a model; nothing in the file is run.

    Raises:
        BadInputError: If the file holds anything but tensors, or those of another model.
    """
    if not os.path.isfile(file):
        raise BadInputError(f"--weights: {str(file)!r} is not a file")
    try:
        module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        reason = "it holds more than tensors, which could run code; save model.state_dict()"
        cause: Exception = error
    except Exception as error:  # torch.load fails in a dozen ways, each the user's file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        cause = error
    raise BadInputError(f"--weights: {str(file)!r} is no state dictionary of {name}: {reason}") from cause


def check_weights(file: Path, names: Sequence[str], num_classes: int | None = None) -> None:
    """Check that the user's weights fit every model named, by putting them in; before Ray starts.

    Raises:
        BadInputError: See ``build_model``.
    """
    for name in names:
        build_model(name, num_classes=num_classes, weights_file=file)


def static_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def compiled(module: nn.Module, mode: str) -> Callable[..., Any]:
    """What a cell's steps call: a module itself, or through torch.compile in a mode; ``none`` for neither."""
    return module if mode == "none" else torch.compile(module, mode=mode)
