"""What an exception means: out of memory, not supported, or a failure like any other. Told from type and text.

torch has one exception class for running out of device memory and none for "this backend cannot do that", so
the texts of its backends are listed here. They were read in torch's source and in reports of its users; those of
Apple and Intel GPUs were not raised on such a machine.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

_OUT_OF_MEMORY_TEXTS = (
    "out of memory",  # CUDA, ROCm, "MPS backend out of memory"
    "can't allocate memory", "cannot allocate memory", "not enough memory",  # DefaultCPUAllocator
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
    "out_of_memory", "out_of_device_memory", "out_of_host_memory",  # CUDA driver, Level Zero
    "failed to allocate",
    "invalid buffer size:",  # Metal: one tensor over what the device can hold, "Invalid buffer size: 9.75 GiB"
)  # fmt: skip
_UNSUPPORTED_TEXTS = (
    "not implemented for", "not currently implemented for", "not yet implemented for", "isn't implemented for",
    "is not supported on", "not supported for", "not supported by", "not yet supported", "currently supported by the",
    "unsupported dtype", "unsupported data type", "does not support", "doesn't support",
    "dtypes not supported", "no kernel image is available", "could not run '", "not available for device",
    "could not create a primitive descriptor",  # oneDNN, of an LSTM in fp16 on the CPU
    # torch.compile on a machine without what it compiles with.
    "no working c++ compiler found", "cannot find a working triton", "failed to find c compiler",
    "too old to be supported by the triton",
)  # fmt: skip
_A_BUG_ALL_THE_SAME = ('is missing the required "forward" function',)
"""Raised as NotImplementedError, though what is missing is the user's own code."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from, as torch.compile wraps what a kernel raised."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _says(error: BaseException, texts: tuple[str, ...]) -> bool:
    message = str(error).lower()
    return any(text in message for text in texts)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from, says that host or device memory ran out."""
    import torch  # not in the driver, which only records what workers say

    return any(
        isinstance(link, (MemoryError, torch.OutOfMemoryError))
        or (isinstance(link, OSError) and link.errno == errno.ENOMEM)
        or (isinstance(link, RuntimeError) and _says(link, _OUT_OF_MEMORY_TEXTS))
        for link in _chain(error)
    )


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception says that the device or an installed library cannot do this at all.

    Conservative: running out of memory is not that, nor is an abstract method that a user forgot to write.
    """
    if is_out_of_memory(error):
        return False
    return any(
        (isinstance(link, NotImplementedError) and bool(str(link)) and not _says(link, _A_BUG_ALL_THE_SAME))
        or (isinstance(link, (RuntimeError, TypeError)) and _says(link, _UNSUPPORTED_TEXTS))
        for link in _chain(error)
        if not _says(link, _A_BUG_ALL_THE_SAME)
    )
