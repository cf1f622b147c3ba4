"""Several commands in one process of their own, one after another on one Ray, whose start takes longer than most of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
import contextlib, io, json, sys
import pytest
from sweeps.commands import main
from sweeps.launch.ray_session import ray_session
from sweeps.launch.ray_start import RayOptions, RayStart
from tests.sweeps.shared_ray import share

ended = []
with RayStart(RayOptions()) as start, ray_session(start):
    share(pytest.MonkeyPatch())
    for arguments in json.loads(sys.argv[1]):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(arguments)
        ended.append({"code": code, "said": said.getvalue()})
print(json.dumps(ended))
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The exit code of a command and all that it printed."""

    code: int
    said: str


def run_several(
    folder: Path, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]
) -> dict[str, Ended]:
    """Run commands in ``folder``, each with its own name as its ``--output``; how each of them ended."""
    asked = [[*command, "--output", name] for name, command in commands.items()]
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout + process.stderr
    ended = json.loads(process.stdout.splitlines()[-1])
    return {name: Ended(**values) for name, values in zip(commands, ended, strict=True)}
