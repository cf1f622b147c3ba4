"""THE table of memory allocators that a cell on the CPU may have, and what a process must be started with for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Allocator:
    """One allocator.

    Attributes:
        variables: Environment variables of the process that has it.
        libraries: Names of the libraries, of which the first that is installed is loaded before all others; empty for
            the C library's own.
        package: Where such a library comes from.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    package: str = ""


ALLOCATORS = {
    DEFAULT: Allocator(),
    # glibc's malloc (mallopt(3)): no block is mapped on its own, and nothing under 16 GiB is handed back.
    "kept": Allocator(variables={"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"}),
    "jemalloc": Allocator(libraries=("jemalloc",), package="libjemalloc2"),
    "tcmalloc": Allocator(libraries=("tcmalloc", "tcmalloc_minimal"), package="libtcmalloc-minimal4"),
}
KEEP_MEMORY = " ".join(f"{name}={value}" for name, value in ALLOCATORS["kept"].variables.items())
