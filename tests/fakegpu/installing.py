"""Makes the device known to torch; torch calls this itself at the end of its import."""

from __future__ import annotations

import atexit
import os
from types import ModuleType

import torch

from tests.fakegpu import DEFAULT_BYTES, MEMORY, NAME
from tests.fakegpu.build import built, operators_of_mps
from tests.fakegpu.module import module_of
from tests.fakegpu.repairs import repair


def install() -> ModuleType:
    """Make the device known to torch; ``torch.fakegpu`` afterwards."""
    if hasattr(torch, NAME):
        return getattr(torch, NAME)
    c = built()
    c.set_recommended(int(os.environ.get(MEMORY, DEFAULT_BYTES)))
    torch.utils.rename_privateuse1_backend(NAME)
    module = module_of(c)
    torch._register_device_module(NAME, module)
    torch.utils.generate_methods_for_privateuse1_backend(unsupported_dtype=None)
    c.set_operators(operators_of_mps())
    c.keep_memory()
    if not c.is_discrete():
        repair(c, NAME)
    atexit.register(c.drain)
    return module
