"""A Ray that several sweeps of one process share."""

from __future__ import annotations

from typing import Any

from sweeps.launch.ray_start import RayStart


class SharedRay(RayStart):
    """Stands for a sweep's own start of Ray: it is up, and stays so."""

    def __enter__(self) -> RayStart:
        return self

    def __exit__(self, *_: object) -> None: ...

    def wait(self) -> None: ...

    def leave(self) -> None: ...


def share(patch: Any) -> None:
    """Let the sweeps of this process run on the Ray that is up, by ``patch.setattr``."""
    patch.setattr("sweeps.launch.ray_start.RayStart", SharedRay)
