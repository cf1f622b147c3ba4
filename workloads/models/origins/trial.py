"""A network tried before a sweep begins: built and called once in a process of its own, so that a mistake is one line.

Others' code may hang, end its process or open a device, none of which may happen to what leads a sweep. As a module,
``python -m workloads.models.origins.trial`` is that process: a question on standard input, an answer on the other.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from workloads.base import BadInputError
from workloads.models.origins.own_code import Code, code_of, give, is_own
from workloads.runtime.late import wait_for_imports
from workloads.runtime.words import in_short

TIMEOUT_S = 600.0
"""A network that takes longer for one item is left to the sweep, whose cells have a limit of their own."""
_ROOT = Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be tried.

    Attributes:
        name: The model.
        asked: Words of ``--input``.
        weights: File of the user's weights.
        image_size: Height and width of images to train on; None for inference.
        n_classes: Classes to train for.
    """

    name: str
    asked: tuple[str, ...] = ()
    weights: str | None = None
    image_size: int | None = None
    n_classes: int | None = None


def try_out(question: Question) -> str | None:
    """Build a network and call it for one item, or train it on two.

    Returns:
        What the user should know of it though it works; None for nothing.

    Raises:
        BadInputError: If it does not work, with the last line of the user's own code that ran.
    """
    code = json.dumps(dataclasses.asdict(code_of(question.name))) if is_own(question.name) else ""
    weights = Path(question.weights or "")
    return _answer(question, code, weights.stat().st_mtime_ns if weights.is_file() else None)


@functools.lru_cache(maxsize=32)
def _answer(question: Question, code: str, _weights_of: int | None) -> str | None:
    """The answer of a new process, as ``try_out``; one that works, of which a command asks twice, is tried once."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "workloads.models.origins.trial"],  # -P: not first what lies where the user is
            input=json.dumps({**dataclasses.asdict(question), "code": code}), capture_output=True, text=True,
            errors="replace", timeout=TIMEOUT_S, check=False, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{question.name}: one item takes over {TIMEOUT_S:g} s on the CPU"
    *_, last = done.stdout.splitlines() or [""]
    if done.returncode == 0 and last.startswith("{"):
        answer: dict[str, str | None] = json.loads(last)
        if answer.get("refusal"):
            raise BadInputError(answer["refusal"])
        return answer.get("warning")
    *_, said = done.stderr.strip().splitlines() or [""]
    how = f"{_end(done.returncode)}{': ' if said else ''}{in_short(said)}"
    raise BadInputError(f"--model: {question.name!r} ends its process ({how})")


def _end(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


def tried(question: Question) -> dict[str, Any]:
    """The answer, in the process that runs the code."""
    from workloads.models.origins.running import told

    try:
        wait_for_imports("workloads.models.loading")
        if question.image_size is not None:
            return {"warning": _trained(question)}
        return {"warning": _called(question)}
    except BadInputError as error:
        return {"refusal": str(error)}
    except _NoAnswerError as error:
        return {"refusal": f"--model: {question.name!r} does not work: {told(error.error)}{_hint(question)}"}
    except Exception as error:
        return {"refusal": f"--model: {question.name!r} does not work: {told(error)}{_by_module(question.name, error)}"}


class _NoAnswerError(Exception):
    """The network was built, and does not answer what it was called with."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _trained(question: Question) -> str | None:
    from workloads.models.checks.preflight import check_trainable
    from workloads.models.loading import check_weights

    assert question.image_size is not None
    assert question.n_classes is not None
    check_trainable(question.name, question.image_size, question.n_classes)
    if question.weights is not None:
        return check_weights(Path(question.weights), [question.name], num_classes=question.n_classes)
    return None


def _called(question: Question) -> str | None:
    import torch

    from workloads.models.calls.taken import parse_inputs
    from workloads.models.loading import head_told, model_and_inputs

    weights = None if question.weights is None else Path(question.weights)
    loaded, make = model_and_inputs(question.name, asked=parse_inputs(question.asked), weights_file=weights)
    items = make(1)
    try:
        with torch.inference_mode():
            items.call(loaded.module)
    except Exception as error:
        raise _NoAnswerError(error) from error
    return head_told(loaded, question.name, weights)


def _by_module(name: str, error: Exception) -> str:
    """How a file is named so that it finds a module which lies where the user is, where it lacks one."""
    file, _, attribute = name.rpartition(".py:")
    missing = ((isinstance(error, ModuleNotFoundError) and error.name) or ".").split(".")[0]
    if not (missing and file and (Path(missing).is_dir() or Path(f"{missing}.py").is_file())):
        return ""
    parts = Path(file).parts
    is_below = all(part.isidentifier() for part in parts)
    return f"; --model {'.'.join(parts)}:{attribute} finds what lies in this folder" if is_below else ""


def _hint(question: Question) -> str:
    """What else may be given for ``--input``, where a shape was given with the place of the items."""
    if not any(word.split(":")[-1].startswith("1x") for word in question.asked):
        return "" if question.asked else "; --input says what it takes of one item, such as 1x28x28"
    other = tuple(":".join([*word.split(":")[:-1], word.split(":")[-1].removeprefix("1x")]) for word in question.asked)
    answer = tried(dataclasses.replace(question, asked=other))
    works = "" if answer.get("refusal") else f", and works with --input {' '.join(other)}"
    return f"; --input has the shape of one item, without the batch{works}"


def _main() -> None:
    told = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the code prints is no answer
    code = told.pop("code")
    if code:
        give(Code(**json.loads(code)))
    answer = tried(Question(**{**told, "asked": tuple(told["asked"])}))
    answers.write("\n" + json.dumps(answer) + "\n")
    answers.flush()
    os._exit(0)  # whatever threads the code has started


if __name__ == "__main__":
    _main()
