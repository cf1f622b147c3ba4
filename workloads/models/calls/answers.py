"""What a network answers, whatever its structure: its floating-point tensors by name, with the items first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workloads.images.batches import batches_in_turn

MAX_VALUES = 2**16
"""Values of one item in one output that are compared; of more, as of segmentations, every so many-th."""
Answers = dict[str, torch.Tensor]
"""Outputs by name, such as ``logits`` or ``boxes.0``; a network that answers with one tensor has one without a name."""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a structure is made of, by name; nothing of a leaf."""
    if isinstance(value, Mapping):
        yield from ((str(name), part) for name, part in value.items())
    elif hasattr(value, "_fields"):
        yield from zip(value._fields, value, strict=True)
    elif isinstance(value, (list, tuple)):
        yield from ((str(i), part) for i, part in enumerate(value))
    elif dataclasses.is_dataclass(value):
        yield from ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
    elif hasattr(value, "__dict__") and not isinstance(value, (torch.nn.Module, type)) and not callable(value):
        yield from vars(value).items()


def _named(value: Any, name: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor within a value by name, in order; what holds itself is gone through once."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif id(value) not in above:
        for part_name, part in _parts(value):
            yield from _named(part, f"{name}.{part_name}" if name else part_name, (*above, id(value)))


def tensors_of(answer: Any) -> Iterator[torch.Tensor]:
    """Every tensor of an answer, in order."""
    return (tensor for _, tensor in _named(answer))


def all_leaves(answer: Any) -> Answers:
    """The tensors of an answer by name; complex ones as pairs of numbers, sparse ones as dense ones."""
    found: Answers = {}
    for name, tensor in _named(answer):
        if tensor.is_nested:  # items of several shapes
            continue
        dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
        dense = dense.dequantize() if dense.is_quantized else dense
        found[name] = torch.view_as_real(dense) if dense.is_complex() else dense
    return found


def leaves(answer: Any) -> Answers:
    """The floating-point ones among ``all_leaves``, which are compared."""
    return {name: tensor for name, tensor in all_leaves(answer).items() if tensor.is_floating_point()}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where in a network's answers the items are.

    Attributes:
        dims: In which dimension each output has the items.
        is_listed: The answer is a list with one for each item.
        left_out: Outputs of which none can be told: a mean over the batch, or what is chosen by value.
    """

    dims: Mapping[str, int]
    is_listed: bool = False
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, first: tuple[Any, int], second: tuple[Any, int]) -> Layout:
        """Told from two answers to different numbers of items.

        Args:
            first: An answer, and to how many items.
            second: Another.
        """
        both = (first, second)
        is_listed = all(isinstance(answer, (list, tuple)) and len(answer) == n for answer, n in both)
        (ours, theirs), (n, m) = [_leaves(answer, is_listed) for answer, _ in both], (first[1], second[1])
        found: dict[str, int] = {}
        for name in (name for name in ours if name in theirs):
            sizes = ours[name].shape, theirs[name].shape
            apart = (
                [i for i in range(len(sizes[0])) if sizes[0][i] != sizes[1][i]]
                if len(sizes[0]) == len(sizes[1])
                else []
            )
            if len(apart) == 1 and (sizes[0][apart[0]], sizes[1][apart[0]]) == (n, m) and 0 not in sizes[0]:
                found[name] = apart[0]
        left_out = [name for name in {**ours, **theirs} if name not in found]
        return cls(dims=found, is_listed=is_listed, left_out=tuple(left_out))

    def items_first(self, answer: Any) -> Answers:
        """The outputs of an answer that are known here, with the items first; of large ones a part of the values."""
        found = _leaves(answer, self.is_listed)
        return {name: _sampled(found[name].movedim(dim, 0)) for name, dim in self.dims.items() if name in found}


def _leaves(answer: Any, is_listed: bool) -> Answers:
    """``leaves``; of a list with an answer for each item those that all have in one shape, stacked."""
    if not is_listed:
        return leaves(answer)
    first, *others = [leaves(part) for part in answer]
    alike = [name for name in first if all(name in one and one[name].shape == first[name].shape for one in others)]
    return {name: torch.stack([first[name], *(one[name] for one in others)]) for name in alike}


def _sampled(output: torch.Tensor) -> torch.Tensor:
    """Items x values x 1 of a large output, evenly chosen; the first is NaN if any value is not finite."""
    flat = output.reshape(len(output), -1)
    if flat.shape[1] <= MAX_VALUES:
        return output
    chosen = flat[:, :: -(-flat.shape[1] // MAX_VALUES)].clone()
    chosen[~flat.isfinite().all(1), 0] = torch.nan
    return chosen.unsqueeze(2)


def plain(outputs: Answers) -> torch.Tensor | Answers:
    """The tensor that a network answers with, or several outputs by name."""
    return outputs[""] if list(outputs) == [""] else outputs


def joined(parts: list[Answers]) -> Answers:
    """Answers to parts of the items as one, of what all of them have in one shape."""
    names = [name for name in (parts[0] if parts else ()) if all(name in part for part in parts)]
    alike = [name for name in names if len({part[name].shape[1:] for part in parts}) == 1]
    return {name: torch.cat([part[name] for part in parts]) for name in alike}


def by_batches(
    answer: Callable[[torch.Tensor], Any], layout: Layout, n: int, size: int, most_s: float
) -> torch.Tensor | Answers:
    """Answers to n items, had in batches of one size, or to the first of them where they take long.

    Args:
        answer: Gives what a network answers to the items of these indices.
        layout: Where the items are in its answers.
        n: Items.
        size: Of each batch.
        most_s: As of ``batches_in_turn``.

    Returns:
        float32 on the CPU, items first; several outputs by name.
    """
    parts = []
    for index, n_new in batches_in_turn(n, size, most_s):
        found = layout.items_first(answer(index))
        parts.append({name: output[:n_new].float().cpu() for name, output in found.items()})
    return plain(joined(parts))


def class_scores(answer: Any, n_classes: int | None = None) -> torch.Tensor:
    """``scores_of`` an answer that has some.

    Raises:
        TypeError: If it has none.
    """
    if isinstance(answer, torch.Tensor):  # nothing is to be looked for in a step that is measured
        return answer
    found = scores_of(answer, n_classes)
    if found is None:
        raise TypeError(f"the network answers with {type(answer).__name__}, in which no output is items x {n_classes}")
    return found


def scores_of(answer: Any, n_classes: int | None = None) -> torch.Tensor | None:
    """The class scores of a classifier's answer: the tensor itself, its ``logits``, or the first that fits.

    Args:
        answer: Whatever the network gives.
        n_classes: How many classes there are, where that is known.

    Returns:
        Items x classes; None where no output is.
    """
    if isinstance(answer, torch.Tensor):
        return answer
    found = leaves(answer)
    fitting = {k: v for k, v in found.items() if v.ndim == 2 and n_classes in (None, v.shape[1])}
    return fitting.get("logits", next(iter(fitting.values()), None))
