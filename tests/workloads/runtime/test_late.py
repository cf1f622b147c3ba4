"""Modules that are imported when they are first used."""

from __future__ import annotations

import gc
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workloads.runtime.late import begin_importing, late, wait_for_imports


def test_a_stand_in_is_the_module_from_its_first_use_on() -> None:
    code = (
        "import sys; from workloads.runtime.late import late; m = late('colorsys'); a = 'colorsys' in sys.modules;"
        " print(a, m.rgb_to_hsv is __import__('colorsys').rgb_to_hsv)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False True\n"
    )


def test_what_a_module_lacks_its_stand_in_lacks() -> None:
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = late("colorsys").no_such_function


COMMANDS = [
    *([name, "--batch-size", "x"] for name in ("inference", "finetune", "image-processing")),
    ["inference", "--model", "resnt18", "--device", "cpu"], ["inference", "--model", "resnet18", "--device", "cpu", "--dry-run"],
    ["list"], ["schema"], ["merge", "a", "b"], ["can-run"],
]  # fmt: skip
NONE_OF = """
import contextlib, io, json, sys
from sweeps.commands import main
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(arguments)
    heavy = {"torch", "torchvision", "ray", "pandas", "sklearn", "scipy", "matplotlib", "optuna"} & set(sys.modules)
    assert not heavy, f"{arguments} imports {heavy}"
"""


def test_what_computes_nothing_is_said_without_what_takes_seconds_to_import(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NONE_OF, json.dumps(COMMANDS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--batch-size: 'x' is not a positive whole number") == 3
    assert "--model: 'resnt18' is unknown; similar names: resnet18" in done.stderr


def test_what_is_timed_waits_for_what_is_imported_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.3)")
    (tmp_path / "not_to_import.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    begin_importing(["not_to_import", "no.such.module"], ["slow_to_import"])
    assert not gc.isenabled(), "what is imported is looked through by nobody"
    wait_for_imports()
    assert gc.isenabled()
    assert {"slow_to_import", "not_to_import"} & set(sys.modules) == {"slow_to_import"}
    wait_for_imports()  # of nothing


def test_what_is_needed_is_imported_without_garbage_looked_for_or_source_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needed_now.py").write_text(
        "import gc, inspect, sys\nfound = gc.isenabled(), inspect.getframeinfo(sys._getframe())[1::2]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "needed_now", raising=False)
    wait_for_imports("needed_now")
    assert sys.modules["needed_now"].found == (False, (2, None)), "where it is, and not what it says"
    assert gc.isenabled()
    assert inspect.getframeinfo(sys._getframe()).code_context
    with pytest.raises(ModuleNotFoundError):
        wait_for_imports("no.such.module")
    assert gc.isenabled()
