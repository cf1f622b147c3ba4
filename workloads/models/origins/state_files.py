"""The user's weights as a file: read without running anything in it, and made to fit the model by name and shape."""

from __future__ import annotations

import importlib.util
import os
import pickle
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workloads.base import BadInputError
from workloads.models.heads import head_layers
from workloads.runtime.lookalikes import lookalike
from workloads.runtime.words import in_short

State = Mapping[str, torch.Tensor]
_INNER = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "ema")
"""What training scripts call the weights within a checkpoint; the first that is there is taken."""
_COMPILED = "_orig_mod."
_COUNTERS = ("num_batches_tracked", "n_averaged")
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.", "aux_classifier.")
"""Heads that help a training and answer nothing: models are built without them."""


_NOT_SAVED = "it is no file that torch.save wrote"


class _UnusableError(Exception):
    """Why a file holds no weights, to be said after ``is`` or as a sentence of its own."""


def _loaded(file: Path) -> Any:
    """What a file holds, nothing in it run.

    Raises:
        _UnusableError: With the reason.
    """
    with file.open("rb") as opened:
        head = opened.read(9)
    if file.suffix == ".safetensors" or (
        head[8:] == b"{" and int.from_bytes(head[:8], "little") < os.path.getsize(file)
    ):
        if importlib.util.find_spec("safetensors") is None:
            raise _UnusableError("it needs the package safetensors: pip install 'accelsweep[safetensors]'")
        from safetensors.torch import load_file

        return load_file(file)
    try:
        with warnings.catch_warnings(action="ignore"):  # it warns of what it refuses next
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        names = _more(file)
        raise _UnusableError(f"it holds more than tensors ({names}), which could run code; save model.state_dict()"
                             if names else f"{_NOT_SAVED}, or it holds more than tensors") from error  # fmt: skip


def _more(file: Path) -> str:
    """Names of what beside tensors a file would make, as far as torch tells them."""
    try:
        return _some(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file)))
    except Exception:  # it is told what it is already
        return ""


def _tensors(content: Mapping[Any, Any]) -> dict[Any, torch.Tensor]:
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _state_of(content: Any) -> dict[str, torch.Tensor]:
    """The weights within what a file holds."""
    for _ in range(3):  # {"model": {"state_dict": ...}} is the deepest that was met
        if not isinstance(content, Mapping) or any(isinstance(value, torch.Tensor) for value in content.values()):
            break
        inner = [content[name] for name in _INNER if isinstance(content.get(name), Mapping)]
        others = [value for value in content.values() if isinstance(value, Mapping) and _tensors(value)]
        content = inner[0] if inner else others[0] if len(others) == 1 else None
    tensors = _tensors(content) if isinstance(content, Mapping) else {}
    if not tensors:
        raise _UnusableError("it holds no weights by name; save model.state_dict()")
    return {str(name).replace(_COMPILED, ""): value for name, value in tensors.items()}


def read_state(file: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights of a file by name: a state dictionary, or a checkpoint that has one in it; PyTorch's or safetensors.

    Raises:
        BadInputError: With what the file is instead.
    """
    if not os.path.isfile(file):
        raise BadInputError(f"--weights: {str(file)!r} is not a file")
    reason: str | None = None
    try:
        what = lookalike(file)
        if what is not None:
            raise BadInputError(f"--weights: {str(file)!r} is {what}")
        return _state_of(_loaded(file))
    except (MemoryError, BadInputError):
        raise
    except _UnusableError as error:
        reason, cause = str(error), error.__cause__
    except Exception as error:  # torch.load fails in a dozen ways, each the user's file
        reason, cause = _told(error), error
    raise BadInputError(f"--weights: {str(file)!r} is not a state dictionary of {name}: {reason}") from cause


def _told(error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript archive; save model.state_dict()"
    if "hasRecord" in text or "not in a subdirectory" in text or isinstance(error, (IndexError, KeyError)):
        return _NOT_SAVED
    if "central directory" in text or "unexpected EOF" in text or isinstance(error, EOFError):
        return f"it is truncated or damaged ({in_short(error, 120)})"
    return in_short(error)


def _without_prefix(state: State, own: Iterable[str]) -> dict[str, torch.Tensor]:
    """Weights by the model's own names, where all of them have one prefix more, as ``module.`` of parallel training.

    What lies beside the prefix belongs to something else than the model.
    """
    names = set(own)
    prefixes = {""} | {name.removesuffix(own) for own in names for name in state if name.endswith(f".{own}")}
    best = max(sorted(prefixes), key=lambda prefix: sum(prefix + name in state for name in names))
    return {name.removeprefix(best): value for name, value in state.items() if name.startswith(best)}


def _with_tied(there: dict[str, torch.Tensor], own: State) -> dict[str, torch.Tensor]:
    """Weights with those that a file leaves out as they are another's too; safetensors keep such a tensor once."""
    twins: dict[tuple[int, torch.Size], list[str]] = {}
    for name, tensor in own.items():
        if tensor.numel() and tensor.data_ptr():
            twins.setdefault((tensor.data_ptr(), tensor.shape), []).append(name)
    known = {name: there[twin] for names in twins.values() for twin in names if twin in there for name in names}
    return known | there


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Weights that a model takes.

    Attributes:
        state: By the model's own names; without the head if that is of another size.
        n_classes: Of the file's head; None if it has none that could be told.
        has_head: The head is among them.
    """

    state: dict[str, torch.Tensor]
    n_classes: int | None
    has_head: bool


def _heads_of(module: nn.Module) -> list[str]:
    """Names of a network's heads; none where it has none."""
    try:
        return list(head_layers(module))
    except BadInputError:
        return []


def fitted(module: nn.Module, state: State, name: str, file: Path) -> Fitted:
    """Weights as a model takes them: all of its body, and its head where that is of the model's size.

    Raises:
        BadInputError: If they are another architecture's, with what differs.
    """
    own = module.state_dict()
    heads = _heads_of(module)
    of_head = {key for key in own if key.startswith(tuple(f"{head}." for head in heads))}
    there = _with_tied(_without_prefix(state, own), own)
    there = {k: v for k, v in there.items() if k in own or not (k.startswith(_AUXILIARY) or k.endswith(_COUNTERS))}
    missing = {key for key in own if key not in there and not key.endswith(_COUNTERS)}
    # A head that the user has built otherwise lies where the model's own does: ``fc.1.weight`` for ``fc.weight``.
    strange = {key for key in there if key not in own and key.split(".")[0] not in {h.split(".")[0] for h in heads}}
    other = {key for key in there if key in own and there[key].shape != own[key].shape}
    in_head = {key for key in other & of_head if there[key].shape[1:] == own[key].shape[1:]}
    if useless := _useless(module, there):
        raise BadInputError(f"--weights: {str(file)!r} holds no weights that {name} can compute with: {useless}")
    if missing - of_head or strange or other - in_head:
        misfit = _misfit(name, own, there, missing - of_head, strange, other - in_head)
        raise BadInputError(f"--weights: {str(file)!r} is of another architecture: {misfit}")
    weight = there.get(f"{heads[-1]}.weight") if heads else None
    is_whole = not (missing & of_head) and not in_head
    return Fitted(
        state={k: v for k, v in there.items() if k in own and (is_whole or k not in of_head)},
        n_classes=None if weight is None else len(weight),
        has_head=is_whole,
    )


def _useless(module: nn.Module, there: State) -> str:
    """What is wrong with the values of a model's weights in a file, with the first of them; empty for nothing."""
    parameters, own = dict(module.named_parameters()), module.state_dict()
    kinds = {
        "without values, as on the meta device": lambda _, there: there.is_meta,
        "quantised": lambda _, there: there.is_quantized,
        "sparse": lambda _, there: there.layout != torch.strided,
        "of whole or complex numbers": lambda own, there: own.is_floating_point() and not there.is_floating_point(),
        "with NaN": lambda own, there: own.is_floating_point() and bool(_wide(there).isnan().any()),
        "with infinities": lambda _, there: not bool(_wide(there).isfinite().all()),  # which masks hold, no parameters
    }
    for kind, is_so in kinds.items():
        of = parameters if kind == "with infinities" else own
        names = sorted(name for name, tensor in there.items() if name in of and is_so(of[name], tensor))
        if names:
            return f"{_some(names)} {kind}"
    return ""


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    """In a type that torch computes with, as it does not with numbers of 8 bits."""
    return tensor.float() if tensor.element_size() == 1 else tensor


def _misfit(name: str, own: State, there: State, missing: set[str], strange: set[str], other: set[str]) -> str:
    n_fitting = len(set(own) & set(there)) - len(other)
    said = [f"{n_fitting} of the {len(own)} tensors of {name} are in it"]
    said += [f"it lacks {_some(sorted(missing))}"] if missing else []
    said += [f"it has {_some(sorted(strange))}"] if strange else []
    shapes = [f"{key} as {_shape(there[key])} where {name} has {_shape(own[key])}" for key in sorted(other)]
    said += [f"it has {_some(shapes)}"] if shapes else []
    return "; ".join(said)


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
