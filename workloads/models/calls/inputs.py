"""Arguments of a network for some items: tensors with the items first, in whatever structure the network takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from workloads.base import UnsupportedError
from workloads.images.batches import FORMATS, laid_out


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Stands where a tensor of the items goes.

    Attributes:
        number: Of the tensor.
        is_list: The network takes a list with a tensor for each item, as detectors do.
    """

    number: int
    is_list: bool = False


def changed(tree: Any, change: Callable[[Any], Any]) -> Any:
    """A structure of lists, tuples and mappings with each of its leaves changed; anything else is a leaf."""
    if isinstance(tree, Mapping):
        parts = {name: changed(value, change) for name, value in tree.items()}
        return parts if type(tree) is dict else type(tree)(**parts)
    if isinstance(tree, (list, tuple)):
        values = [changed(value, change) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return change(tree)


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """What a network is called with.

    Attributes:
        tensors: Of the items, which come first in each.
        args: What the network takes, with a ``Slot`` in the place of each tensor.
        kwargs: What it takes by name, likewise.
    """

    tensors: tuple[torch.Tensor, ...]
    args: tuple[Any, ...] = (Slot(number=0),)
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Inputs | torch.Tensor) -> Inputs:
        """Inputs as they are; a tensor as the only argument."""
        return inputs if isinstance(inputs, cls) else cls(tensors=(inputs,))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.tensors[0])

    @property
    def n_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def call(self, network: Callable[..., Any]) -> Any:
        """The network's answer."""
        if len(self.tensors) == 1 and not self.kwargs and self.args == (_FIRST,):
            return network(self.tensors[0])  # nothing is to be looked for in a step that is measured
        return network(*changed(self.args, self._filled), **changed(dict(self.kwargs), self._filled))

    def _filled(self, leaf: Any) -> Any:
        if not isinstance(leaf, Slot):
            return leaf
        tensor = self.tensors[leaf.number]
        return list(tensor.unbind()) if leaf.is_list else tensor

    def with_tensors(self, tensors: Sequence[torch.Tensor]) -> Inputs:
        """Of other items."""
        return dataclasses.replace(self, tensors=tuple(tensors))

    def __getitem__(self, which: slice | torch.Tensor) -> Inputs:
        """Some of the items."""
        return self.with_tensors([tensor[which] for tensor in self.tensors])

    def split(self, n: int) -> Iterator[Inputs]:
        """The items in parts of ``n``, the last of fewer."""
        for start in range(0, len(self), n):
            yield self[start : start + n]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Inputs:
        """On a device, and floating-point tensors in a type; also those that are the same for all items."""
        if device is None and all(t.dtype == dtype or not t.is_floating_point() for t in self.tensors):
            return self  # nothing is to be looked for in a step that is measured

        def moved(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            return leaf.to(device=device, dtype=dtype if leaf.is_floating_point() else None)

        return Inputs(
            tensors=tuple(moved(tensor) for tensor in self.tensors), args=changed(self.args, moved),
            kwargs=changed(dict(self.kwargs), moved),
        )  # fmt: skip

    def laid_out(self, memory_format: str) -> Inputs:
        """With images and volumes in a memory format."""
        return self.with_tensors([laid_out(tensor, memory_format) for tensor in self.tensors])


_FIRST = Slot(number=0)
_CASTS = {
    torch.float32: "float", torch.float64: "double", torch.float16: "half", torch.bfloat16: "bfloat16",
}  # fmt: skip


def only_tensor(inputs: Inputs) -> torch.Tensor:
    """The one tensor that a network takes, by its place.

    Raises:
        UnsupportedError: It takes more, which are not quantised here.
    """
    if len(inputs.tensors) > 1 or inputs.kwargs or inputs.args != (_FIRST,):
        raise UnsupportedError(
            "a convolutional network is quantised that takes one tensor; this one takes more, or takes it by name"
        )
    return inputs.tensors[0]


def cast(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """A module with its weights in a floating type, in place; ``nn.Module.to`` would cut complex ones to real."""
    made: torch.nn.Module = getattr(module, _CASTS[dtype])()
    return made


def put_in(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], *, is_whole: bool = False) -> None:
    """Give a module some of its weights by name, in place; RuntimeError if they are to be all of them and are not."""
    state = module.state_dict()  # which knows of what versions its parts are; some, as MNASNet, take nothing without
    state.clear()
    state.update(weights)
    module.load_state_dict(state, strict=is_whole)


def lay_out(module: torch.nn.Module, memory_format: str) -> None:
    """Bring a module's weights into a memory format, in place."""
    if memory_format == "contiguous":
        module.to(memory_format=torch.contiguous_format)
        return
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim in FORMATS[memory_format] and not tensor.is_quantized:
            tensor.data = laid_out(tensor.data, memory_format)
