"""The machine: a Mac's names and cores as ``sysctl`` tells them, here by one that is made up."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.measure.device import host
from sweeps.measure.device.host import cpu_governor, cpu_name, default_threads, huge_pages, system_name, threads_told

M3_PRO = {"machdep.cpu.brand_string": "Apple M3 Pro", "hw.perflevel0.physicalcpu": "6", "kern.osversion": "25C56"}


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Mac, as far as these functions look: a ``sysctl`` that answers as an M3 Pro's does, and Python's words for it."""
    cases = "\n".join(f"{name}) echo '{value}';;" for name, value in M3_PRO.items())
    program = tmp_path / "sysctl"
    program.write_text(f'#!/bin/sh\ntest "$1" = -n || exit 1\ncase "$2" in\n{cases}\n*) exit 1;;\nesac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "mac_ver", lambda: ("26.2", ("", "", ""), "arm64"))
    monkeypatch.setattr(host, "open", _no_such_file, raising=False)  # there is no /proc
    host._sysctl.cache_clear()
    yield
    host._sysctl.cache_clear()


def _no_such_file(*_: object, **__: object) -> None:
    raise FileNotFoundError


@pytest.mark.usefixtures("mac")
def test_a_mac_is_told_by_its_chip_its_point_release_and_its_build() -> None:
    assert cpu_name() == "Apple M3 Pro"
    assert system_name().startswith("macOS 26.2 (25C56), ")


@pytest.mark.usefixtures("mac")
def test_only_fast_cores_compute_and_never_more_than_a_trial_was_given() -> None:
    assert default_threads(12) == 6
    assert default_threads(4) == 4
    assert default_threads(0) == 1


@pytest.mark.parametrize("answer", [None, "", "0", "many"])
def test_a_chip_that_tells_no_fast_cores_computes_on_all(answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_sysctl", lambda _: answer)
    assert default_threads(12) == 12


def test_elsewhere_every_cpu_that_was_given_computes_and_the_system_is_told_as_python_knows_it() -> None:
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    assert default_threads(3) == 3
    assert system_name() == f"{platform.system()} {platform.release()} {platform.machine()}"


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "3"}, ("OMP_NUM_THREADS", 3)),
        ({"OMP_NUM_THREADS": " 4,2 ", "MKL_NUM_THREADS": "9"}, ("OMP_NUM_THREADS", 4)),
        ({"OMP_NUM_THREADS": "all", "MKL_NUM_THREADS": "2"}, ("MKL_NUM_THREADS", 2)),
        ({"OMP_NUM_THREADS": "0"}, None),
        ({"OMP_NUM_THREADS": "-1", "MKL_NUM_THREADS": ""}, None),
        ({"OMP_NUM_THREADS": "9" * 30}, None),
    ],
)
def test_what_the_environment_says_of_threads(variables: dict[str, str], told: tuple[str, int] | None) -> None:
    assert threads_told(variables) == told


def test_governor_and_huge_pages_are_those_of_linux_and_unknown_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_SYSTEM", tmp_path)
    assert (cpu_governor(), huge_pages()) == (None, None)
    for i, name in enumerate(("powersave", "performance", "powersave")):
        folder = tmp_path / f"devices/system/cpu/cpu{i}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{name}\n")
    (tmp_path / "kernel/mm/transparent_hugepage").mkdir(parents=True)
    (tmp_path / "kernel/mm/transparent_hugepage/enabled").write_text("always [madvise] never\n")
    assert (cpu_governor(), huge_pages()) == ("performance, powersave", "madvise")
