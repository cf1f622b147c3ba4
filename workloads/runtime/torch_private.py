"""Torch's private names, which but ``without_compiler`` no other file knows; each may go with any release.

What goes with it is said here. Looked up where they are used, and guarded: a version that lacks one loses that alone.
"""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from workloads.runtime.without_compiler import import_operators

__all__ = ["compile_ahead", "compile_options", "forget_compiled", "frozen_weights",
           "has_compiled", "is_overload", "lacks_compiler", "lacks_triton", "leaves_of", "load_ahead",
           "operator_database", "own_compile_caches", "tree_map", "watching_graphs", "with_overloads"]  # fmt: skip


def tree_map(change: Callable[[Any], Any], tree: Any) -> Any:
    """A structure with each of its leaves changed.

    Without torch's own: only of lists, tuples and dictionaries; anything else counts as a leaf.
    """
    try:
        from torch.utils._pytree import tree_map as theirs
    except ImportError:
        if isinstance(tree, Mapping):
            return {name: tree_map(change, value) for name, value in tree.items()}
        if not isinstance(tree, (list, tuple)):
            return change(tree)
        parts = [tree_map(change, value) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return theirs(change, tree)


def leaves_of(tree: Any) -> list[Any]:
    """The leaves of a structure in order; as ``tree_map`` finds them."""
    try:
        from torch.utils._pytree import tree_leaves
    except ImportError:
        found: list[Any] = []
        tree_map(found.append, tree)
        return found
    return tree_leaves(tree)


def lacks_triton() -> bool:
    """Whether torch.compile lacks Triton for the accelerators here; False where torch does not say."""
    try:
        from torch.utils._triton import has_triton
    except ImportError:
        return False
    return not has_triton()


def lacks_compiler(device_type: str) -> bool:
    """Whether torch.compile has no backend for a device; False where torch does not say. Imports what compiles."""
    try:
        from torch._inductor.codegen.common import get_scheduling_for_device, init_backend_registration

        init_backend_registration()
        return get_scheduling_for_device(device_type) is None
    except (ImportError, AttributeError):
        return False


def has_compiled() -> bool:
    """Whether torch.compile has worked in this process since its last reset; if that cannot be told, yes.

    Others import its modules too, and a reset in a process that never compiled imports the rest: 5 s on a GPU.
    """
    frames = getattr(sys.modules.get("torch._dynamo"), "convert_frame", None)
    return "torch._dynamo" in sys.modules and getattr(frames, "FRAME_COUNTER", 1) > 0


def compile_options(mode: str) -> dict[str, Any] | None:
    """The options of torch.compile that its mode stands for; None where torch does not say: take the mode itself."""
    try:
        import torch._inductor  # seconds; only where something is compiled

        options: dict[str, Any] = torch._inductor.list_mode_options(mode)
    except (ImportError, AttributeError):
        return None
    return options


@contextlib.contextmanager
def own_compile_caches(folder: Path, device_type: str) -> Iterator[None]:
    """Everything that torch.compile keeps is kept in a new folder under this one, and gone afterwards.

    Caches shared between machines are kept apart by a tag of their keys. Which vector instructions the compiler has,
    which is the machine's and takes seconds to try, is known before. Without torch's own names: as far as they go.
    """
    with contextlib.suppress(ImportError, AttributeError):
        if device_type == "cpu":
            from torch._inductor.cpu_vec_isa import pick_vec_isa

            pick_vec_isa()
    with contextlib.ExitStack() as held:
        try:
            from torch.compiler import config

            if hasattr(config, "cache_key_tag"):
                held.enter_context(config.patch(cache_key_tag=uuid.uuid4().hex))  # type: ignore[attr-defined]
        except (ImportError, AttributeError):
            pass
        try:
            import torch._inductor.compile_fx  # noqa: F401 (here, so that the first step is not charged with it)
            from torch._inductor import utils

            fresh = getattr(utils, "fresh_cache", None) or utils.fresh_inductor_cache
            held.enter_context(fresh(dir=str(folder)))
        except (ImportError, AttributeError):
            pass
        yield


def forget_compiled() -> None:
    """Leave of what was compiled only what is on disk; without torch's own names, a little more."""
    torch.compiler.reset()
    try:
        from torch._inductor.utils import clear_caches
    except ImportError:
        return
    clear_caches()


@contextlib.contextmanager
def watching_graphs(look: Callable[[Any], object]) -> Iterator[None]:
    """Show each graph of operations that torch.compile makes kernels of; without torch's own names, none.

    What a cache serves is not shown.
    """
    try:
        from torch._inductor import config
        from torch._inductor.custom_graph_pass import CustomGraphPass
    except ImportError:
        yield
        return

    class Look(CustomGraphPass):
        def __call__(self, graph: Any) -> None:
            with contextlib.suppress(Exception):  # looking must not cost the compilation
                look(graph)

        def uuid(self) -> str:
            return "accelsweep looks and changes nothing"

    before = config.post_grad_custom_post_pass
    config.post_grad_custom_post_pass = Look()
    try:
        yield
    finally:
        config.post_grad_custom_post_pass = before


def frozen_weights() -> contextlib.AbstractContextManager[Any]:
    """Let torch.compile take weights for constants, as a packed one must be; without the name: as it is.

    Dynamo asks the setting itself, whatever the options of a compilation say.
    """
    try:
        from torch._inductor import config

        patched: contextlib.AbstractContextManager[Any] = config.patch(freezing=True)
    except (ImportError, AttributeError):
        return contextlib.nullcontext()
    return patched


def compile_ahead(exported: Any, file: Path) -> None:
    """Compile an exported program into an artefact; NotImplementedError where torch cannot."""
    try:
        from torch._inductor import aoti_compile_and_package
    except ImportError as error:
        raise NotImplementedError(f"torch {torch.__version__} compiles nothing ahead of time") from error
    aoti_compile_and_package(exported, package_path=str(file))


def load_ahead(file: Path) -> Any:
    """What an artefact of ``compile_ahead`` computes, to be called as the network."""
    from torch._inductor import aoti_load_package

    return aoti_load_package(str(file))


@contextlib.contextmanager
def with_overloads() -> Iterator[None]:
    """Have graphs call the overload where a function is asked for that has one alone, as torchao's passes do.

    Inductor takes overloads alone since torch 2.14. Without the names: as it is.
    """
    original = torch.fx.Graph.call_function
    packet = getattr(torch._ops, "OpOverloadPacket", ())

    def call(graph: Any, function: Any, *arguments: Any, **named: Any) -> Any:
        chosen = getattr(function, "default", function) if isinstance(function, packet) else function
        return original(graph, chosen, *arguments, **named)

    torch.fx.Graph.call_function = call  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        torch.fx.Graph.call_function = original  # type: ignore[method-assign]


def is_overload(function: Any) -> bool:
    """Whether a function is one of ``torch.ops``; without the classes, told by the name of its type."""
    try:
        return isinstance(function, (torch._ops.OpOverload, torch._ops.OpOverloadPacket))
    except AttributeError:
        return type(function).__name__ in {"OpOverload", "OpOverloadPacket"}


def operator_database() -> Any:
    """The module with ``op_db``, the samples of PyTorch's own tests.

    Raises:
        ImportError: If this torch has none; ``op-coverage`` then leaves out the source ``database``, and says so.
    """
    try:
        database = import_operators()
    except AttributeError as error:
        raise ImportError(str(error)) from error
    finally:
        # Importing it freezes torch.backends' flags for the whole process, which has precisions to set still.
        flags = getattr(torch.backends, "flags_frozen", None)
        if flags is not None:
            flags.__globals__["__allow_nonbracketed_mutation_flag"] = True
    return database
