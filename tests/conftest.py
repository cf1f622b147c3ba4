"""Shared by all tests: GPU tests are skipped without an accelerator, and nothing is written to the checkout."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import re
import shutil
import signal
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
if "ACCELSWEEP_CACHE_DIR" not in os.environ:  # one for all of pytest's processes
    os.environ["ACCELSWEEP_CACHE_DIR"] = tempfile.mkdtemp(prefix="accelsweep-tests-")
    atexit.register(shutil.rmtree, os.environ["ACCELSWEEP_CACHE_DIR"], ignore_errors=True)
# Several tests at a time have more threads than there are cores, which would spin while they wait for one another.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# What is compiled ahead of time calls its kernels by code of which no test asks how fast it is; optimising it takes 2 s.
os.environ.setdefault("AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL", "O0")
# Images for containers ask for no bytecode: then each process of every run rewrites the assertions of all tests once more.
sys.dont_write_bytecode = False
gc.disable()  # until all is collected: what imports make stays, and looking through it took each process two seconds
_ROOT = Path(__file__).parent.parent
_SETTINGS = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# The same deprecations are errors in processes that tests start, Ray's workers among them.
os.environ.setdefault("PYTHONWARNINGS", ",".join(_SETTINGS["tool"]["pytest"]["ini_options"]["filterwarnings"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files with long ones are handed out first, so that no process is left with minutes of them at the end.
    items.sort(key=lambda item: "slow" not in item.keywords)
    marked = [item for item in items if "gpu" in item.keywords]
    if not marked:
        return
    import torch

    if not torch.accelerator.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an accelerator"))


@functools.cache
def _unit(file: str) -> str:
    named = re.search(r'xdist_group\("(\w+)"\)', (_ROOT / file).read_text(encoding="utf-8"))
    return named[1] if named else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each test process whole files, and all those of a group (``xdist_group``) to one.

    So a fixture of a module is made once, and what a file imports is imported once. The groups of pytest-xdist 3.8 itself
    are without effect since pytest 9.2: each process started a Ray of its own.
    """
    from xdist.scheduler import LoadFileScheduling

    class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid.partition("::")[0])

    return WholeFiles(config, log)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    """Let processes that tests start heed signals, also where this one was told to ignore some: nohup, a script's ``&``.

    A sweep leaves ignored what was ignored when it began; what a test wants ignored it says itself.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="module", autouse=True)
def what_is_there_already_is_not_looked_through() -> None:
    """Freeze what earlier tests imported: each cell collects garbage, and would look through all of it each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture
def small_classifier(tmp_path: Path) -> str:
    """A ``--model`` of what image classifiers are made of, whose float64 takes no seconds."""
    (tmp_path / "small.py").write_text("""
from torch import nn

def build():
    layers = [nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, groups=2),
              nn.BatchNorm2d(32), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(32, 10))
""")
    return f"{tmp_path}/small.py:build"
