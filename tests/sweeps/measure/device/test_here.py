"""Which devices there are, as told without importing torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.measure.device import here
from sweeps.measure.device.device import available_devices, n_devices
from workloads.base import BadInputError

ASK = "import sys; from sweeps.measure.device.here import devices_here; print(devices_here(), 'torch' in sys.modules)"


def forget() -> None:
    here._begin.cache_clear()
    here.devices_here.cache_clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget()
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # of this process, as of a driver
    yield
    forget()  # what a test pretended is no other test's answer


def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "_has_no_accelerator", lambda: False)


def test_torch_says_it_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch)
    here.begin_asking()
    told = here.devices_here()
    assert "torch" not in sys.modules
    monkeypatch.undo()
    assert told == {name: n_devices(name) for name in available_devices()}


def test_a_driver_imports_no_torch_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("} False\n")


def test_a_torch_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: no such file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked(monkeypatch)
    with pytest.raises(BadInputError, match=r"torch cannot list the devices: ImportError: libtorch\.so"):
        here.devices_here()


@pytest.mark.parametrize(
    ("version", "has_driver", "known"),
    [
        ("cuda = None\nhip = None\nxpu = None", True, True),
        ("cuda: Optional[str] = '13.0'\nhip = None\nxpu = None", False, True),
        ("cuda: Optional[str] = '13.0'\nhip = None\nxpu = None", True, False),
        ("cuda = None\nhip = '6.4'\nxpu = None", False, False),
        ("cuda = None\nhip = None\nxpu = '2026'", False, False),
        ("cuda = None", False, False),
        ("def", False, False),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is asked")
def test_nobody_is_asked_where_torch_can_have_no_accelerator(
    version: str, has_driver: bool, known: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "version.py").write_text(version)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(here, "_can_load", lambda _: has_driver)
    monkeypatch.setattr(here, "entry_points", lambda group: ())
    assert here.known_at_once() == ({"cpu": 1} if known else None)
    monkeypatch.setattr(here, "entry_points", lambda group: ("a package's own",))
    assert here.known_at_once() is None
