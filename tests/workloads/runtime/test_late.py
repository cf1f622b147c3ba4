"""Modules that are imported when they are first used."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["inference", "finetune", "image-processing"])
def test_a_command_line_is_read_without_torch(name: str) -> None:
    code = (
        "import sys; from sweeps.commands import main; main([sys.argv[1], '--batch-size', 'x']);"
        " print([m for m in ('torch', 'torchvision', 'ray', 'pandas', 'sklearn', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert "--batch-size: 'x' is not a positive whole number" in done.stderr


def test_what_is_timed_waits_for_what_is_imported_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.3)")
    (tmp_path / "not_to_import.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    begin_importing(["not_to_import", "no.such.module"], ["slow_to_import"])
    wait_for_imports()
    assert {"slow_to_import", "not_to_import"} & set(sys.modules) == {"slow_to_import"}
    wait_for_imports()  # of nothing
