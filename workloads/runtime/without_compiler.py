"""What torch does by way of its compiler, in processes that compile nothing: its import takes 2 s of a core.

Beside ``torch_private`` the one file that knows torch's private names. Without any of them the compiler is imported.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from workloads.runtime.late import wait_for_imports

__all__ = ["AdamW", "TorchDispatchMode", "flop_counter", "import_operators", "import_torchvision"]
_COMPILER, _TRANSFORMS = "torch._dynamo", "torchvision.transforms.v2"


def _hide_late(seen: Any) -> None:
    """Hide a function from the compiler once that is there; what torch put around it imports it at the first call."""
    function = getattr(seen, "__wrapped__", None)
    if function is None or hasattr(function, "__dynamo_disable"):
        return

    def call(*arguments: Any, **named: Any) -> Any:
        if _COMPILER not in sys.modules:
            return function(*arguments, **named)
        del function.__dynamo_disable
        return seen(*arguments, **named)

    function.__dynamo_disable = call


for _name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
    _hide_late(getattr(torch.optim.Optimizer, _name, None))
_their_step: Callable[..., Any] = inspect.unwrap(torch.optim.AdamW.step)


class AdamW(torch.optim.AdamW):
    """Torch's own, whose step imports the compiler to tell it where a graph ends; here one that is there is told."""

    def step(self, closure: Any = None) -> Any:
        """Make one step; see ``torch.optim.AdamW.step``."""
        if _COMPILER in sys.modules:
            return super().step(closure)
        with torch.no_grad():
            return _their_step(self, closure)


def _seeing_eight_bits(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Let a mode see the product that torch's ``out_dtype`` makes, as torchao asks for int8 ones on a GPU.

    To a mode that refuses it torchao answers with a product in fp32, and torch's count of FLOPs with nothing at all.
    """

    def call(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, torch._ops.OpOverload):
            return dispatch(self, func, types, args, kwargs)
        if args[:2] == (torch.ops.aten.mm.default, torch.int32) and {a.dtype for a in args[2:]} == {torch.int8}:
            return dispatch(self, torch.ops.aten._int_mm.default, types, args[2:], {})
        raise NotImplementedError(f"{func} is no operation that can be watched")

    return call


if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode
else:
    try:
        from torch.utils._python_dispatch import TorchDispatchMode as _TheirMode

        class TorchDispatchMode(_TheirMode):
            """Torch's own, which does not import the compiler and sees int8 products."""

            supports_higher_order_operators = True

            def __init_subclass__(cls, **named: Any) -> None:
                cls.__torch_dispatch__ = _seeing_eight_bits(cls.__torch_dispatch__)
                super().__init_subclass__(**named)
                _hide_late(cls.__torch_dispatch__)
    except ImportError:

        class TorchDispatchMode:
            """Stands in where there is none: bytes of a step and dispatched operations are unknown, null in the tables.

            ``accelsweep can-run`` says that it cannot record a model.
            """

            def __enter__(self) -> TorchDispatchMode:
                raise NotImplementedError(f"torch {torch.__version__} does not let its operations be watched")

            def __exit__(self, *_: object) -> None:
                return None


class _Passing(TorchDispatchMode):
    """Changes nothing but what ``_seeing_eight_bits`` does."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _no_symbols_for_what_holds() -> Iterator[None]:
    """Of sizes that are numbers torch asserts, too, what may be a symbol: where it is true, without importing SymPy."""
    original: Any = getattr(torch, "_check_with", None)

    def check(error: Any, condition: Any, message: Any) -> None:
        if condition is not True:
            original(error, condition, message)

    if original is not None:
        torch._check_with = check  # type: ignore[assignment]
    try:
        yield
    finally:
        if original is not None:
            torch._check_with = original


@contextlib.contextmanager
def flop_counter(**options: Any) -> Iterator[Any]:
    """Torch's ``FlopCounterMode``, which prints nothing."""
    from torch.utils import flop_counter as theirs

    _hide_late(getattr(getattr(theirs, "_FlopCounterMode", None), "__torch_dispatch__", None))
    with _no_symbols_for_what_holds(), theirs.FlopCounterMode(display=False, **options) as counted, _Passing():
        yield counted


@contextlib.contextmanager
def _compiler_asked_late() -> Iterator[None]:
    """In the place of the compiler stands, for a while, what asks it when it is needed."""
    package, utils = ModuleType(_COMPILER), ModuleType(f"{_COMPILER}.utils")

    def is_compile_supported(device_type: str) -> Any:
        return importlib.import_module(utils.__name__).is_compile_supported(device_type)

    def disable(function: Any, recursive: bool = True, **_: Any) -> Any:
        hidden = torch._disable_dynamo(function, recursive)  # type: ignore[attr-defined]
        _hide_late(hidden)
        return hidden

    package.__path__ = []
    vars(package)["utils"], vars(utils)["is_compile_supported"] = utils, is_compile_supported
    put = {module.__name__: module for module in (package, utils)}
    original = torch.compiler.disable
    sys.modules.update(put)
    torch.compiler.disable = disable  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compiler.disable = original
        for name, module in put.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def import_torchvision() -> Any:
    """Torchvision, imported without the compiler, of which it takes two functions for what no workload here computes.

    Not beside another thread that uses the compiler.
    """
    if "torchvision" not in sys.modules and _COMPILER not in sys.modules:
        with contextlib.suppress(ImportError, AttributeError, TypeError), _compiler_asked_late():
            importlib.import_module(_TRANSFORMS)
    importlib.import_module(_TRANSFORMS)
    return importlib.import_module("torchvision")


@contextlib.contextmanager
def _compiler_and_scipy_absent() -> Iterator[None]:
    """Of the compiler torch's operator database takes a list of devices, and of SciPy what its tests compare with."""
    from torch.testing._internal import common_utils

    package, utils = ModuleType("torch._inductor"), ModuleType("torch._inductor.utils")
    package.__path__ = []
    vars(package)["utils"], vars(utils)["GPU_TYPES"] = utils, []
    put = {module.__name__: module for module in (package, utils)}
    has_scipy = common_utils.TEST_SCIPY
    sys.modules.update(put)
    common_utils.TEST_SCIPY = False
    try:
        yield
    finally:
        common_utils.TEST_SCIPY = has_scipy
        for name in put:
            del sys.modules[name]


def import_operators() -> Any:
    """Import torch's operator database: with the same operators and samples two of its three seconds are saved.

    Not beside another thread that uses the compiler.
    """
    name = "torch.testing._internal.common_methods_invocations"
    if name not in sys.modules and "torch._inductor" not in sys.modules:
        with contextlib.suppress(ImportError, AttributeError), _compiler_and_scipy_absent():
            wait_for_imports(name)
    from torch.testing._internal import common_methods_invocations

    return common_methods_invocations
