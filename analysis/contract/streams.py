"""Standard output and errors that outlive whoever reads them."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Outliving(io.FileIO):
    """A stream whose reader may go away: what nobody can read any more is left out, and all after a first error."""

    _has_failed = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not self._has_failed and not isinstance(error, BrokenPipeError):
                self._has_failed = True  # said once, and not by Python again as it ends
                raise
            return len(data)


def outlive_readers() -> None:
    """Let ``| head``, a pipe that breaks and a closed stream end no command, and no sign that cannot be shown either.

    Python itself ends in a traceback there, also in the middle of a sweep. What stands for a stream in its place, as
    notebooks have it, is left as it is.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as Python runs
        elif isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            raw = _Outliving(stream.fileno(), "w", closefd=False)
            outliving = io.TextIOWrapper(
                raw if stream.write_through else io.BufferedWriter(raw),
                encoding=stream.encoding, errors="backslashreplace",
                line_buffering=stream.line_buffering, write_through=stream.write_through,
            )  # fmt: skip
            setattr(sys, name, outliving)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
