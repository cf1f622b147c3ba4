"""The installed command: ``sweeps.run``, once it is sure that the packages found by our names are ours.

Other packages are called ``sweeps`` too, and where both are installed the one that came last owns the files.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAMES = ("analysis", "sweeps", "workloads")


def _in_the_way() -> str | None:
    """What hides one of our packages, in a sentence; None if nothing does. No package is imported for it."""
    for name in NAMES:
        found = importlib.util.find_spec(name)
        folders = list(found.submodule_search_locations or ()) if found else []
        file = found.origin if found and found.origin else next(iter(folders), None)
        if file is None:
            return f"its package {name!r} is not installed; install accelsweep again"
        if (
            not folders
            or found is None
            or not found.origin
            or "accelsweep" not in Path(file).read_text("utf-8", "replace")
        ):
            return (
                f"{file!r} is of another package and in the way of accelsweep's own {name!r}; uninstall that package,"
                " or install accelsweep into an environment of its own"
            )
    return None


def main() -> int:
    """Run the command; 2 with a line on standard error if another package is in the way."""
    hidden = _in_the_way()
    if hidden is not None:
        sys.stderr.write(f"accelsweep: error: {hidden}\n")
        return 2
    import sweeps.run  # which sees to the path first

    return sweeps.run.main()


if __name__ == "__main__":
    sys.exit(main())
