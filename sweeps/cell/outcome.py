"""Every way a cell can end, told from the exception that ended it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from sweeps.measure.device.errors import is_out_of_memory, is_unsupported
from sweeps.measure.timing.time_limit import TimeLimitError
from sweeps.text import without_paths
from workloads.base import UnsupportedError
from workloads.models.origins.running import own_frame
from workloads.runtime.memory import NeverFitsError
from workloads.runtime.words import in_short, shortened

MAX_MESSAGE = 2_000
N_FRAMES = 6


class WrongResultError(Exception):
    """The cell's answer disagrees with the reference by more than its precision explains."""


class DivergedError(Exception):
    """A training's loss is no longer a finite number: what it goes on to learn and answer means nothing."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a cell ended, as columns of the trials table."""

    status: str
    status_reason: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_frames: str | None = None


def killed(error: str | None, reason: str, *, is_out_of_memory: bool) -> Outcome:
    """How a cell ended whose worker died.

    Args:
        error: What is known about how it died.
        reason: Why there is no result, in few words.
        is_out_of_memory: The worker was killed because its node ran out of memory.
    """
    status, told = ("oom", "killed for memory") if is_out_of_memory else ("crashed", reason)
    message = without_paths(shortened((error or "").strip(), MAX_MESSAGE)) or None
    return Outcome(status=status, status_reason=told, error_message=message)


def outcome_of(error: BaseException) -> Outcome:
    """Map an exception to the status a cell ends with, with type, message and the last frames."""
    status, reason, frame = "error", None, own_frame(error)
    message = shortened(str(error), MAX_MESSAGE)
    if is_out_of_memory(error):
        status, reason = "oom", f"out of memory: {message}" if isinstance(error, NeverFitsError) else "out of memory"
    elif isinstance(error, UnsupportedError) or is_unsupported(error):
        status, reason = "unsupported", ": ".join(filter(None, [frame, in_short(str(error))])) or None
    elif isinstance(error, TimeLimitError):
        status, reason = "timeout", message
    elif isinstance(error, WrongResultError):
        reason = "wrong-result"
    elif isinstance(error, DivergedError):
        reason = f"diverged: {message}"
    elif frame is not None:
        reason = f"{frame}: {in_short(error)}"
    frames = traceback.extract_tb(error.__traceback__)[-N_FRAMES:]
    shown = "\n".join(f"{f.filename}:{f.lineno} in {f.name}: {f.line or ''}" for f in frames)
    return Outcome(
        status=status,
        status_reason=None if reason is None else without_paths(reason),
        error_type=type(error).__name__,
        error_message=without_paths(message),
        error_frames=without_paths(shown) or None,
    )
