"""Which runtimes there are, and what is said where one is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.conftest import prepared
from workloads.base import BadInputError, UnsupportedError
from workloads.inference import Inference, InferenceOptions
from workloads.models.runtimes import table

ROOT = Path(__file__).parents[4]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> str:
    """A runtime of which nothing is installed."""
    row = table.Runtime(told="none", module="none", needs=("surely_absent", "json"), extra="absent")
    monkeypatch.setitem(table.RUNTIMES, "absent", row)
    return "absent"


def test_what_is_not_installed_is_told_with_the_extra_that_has_it(absent: str) -> None:
    line = r"^--runtime absent: surely_absent not installed: pip install 'accelsweep\[absent\]'$"
    with pytest.raises(BadInputError, match=line):
        Inference.check(InferenceOptions(runtime=("torch", absent)), ("efficientnet_lite0",))
    with pytest.raises(UnsupportedError, match=r"accelsweep\[absent\]"):
        prepared("inference", model="efficientnet_lite0", runtime=(absent,))
    Inference.check(InferenceOptions(), ("efficientnet_lite0",))


def test_every_extra_is_one_of_the_distribution() -> None:
    told = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{row.extra} = [" in told for row in table.RUNTIMES.values())
    assert all(name in table.HELP for name in table.NAMES)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"compile": "default"}, "--compile default"), ({"memory_format": "channels_last"}, "--memory-format channels_last"),
     ({"implementation": ("frozen",)}, "--implementation frozen")],
)  # fmt: skip
def test_settings_of_pytorch_are_not_silently_ignored(settings: dict[str, object], told: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{told} is torch's"):
        prepared("inference", model="efficientnet_lite0", runtime=("openvino",), **settings)  # type: ignore[arg-type]
