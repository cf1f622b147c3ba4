"""A network compiled ahead of time answers as it did, also from its saved artefact in another process."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.workloads.conftest import prepared
from workloads.base import UnsupportedError
from workloads.models.loading import compiled_to_train
from workloads.runtime.ahead import ARTEFACT, Ahead, check_library

LOADED = """
import sys, torch
from workloads.runtime.ahead import Ahead
print(Ahead(None)(torch.ones(2, 8)).sum().item())
"""


def test_an_artefact_is_made_at_the_first_call_and_loaded_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "network.pt2"
    monkeypatch.setenv(ARTEFACT, str(file))
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU()).eval()
    ahead = Ahead(network)
    with torch.inference_mode():
        answer = ahead(torch.ones(2, 8))
        torch.testing.assert_close(answer, network(torch.ones(2, 8)))
    assert file.is_file()
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(float(answer.sum()), rel=1e-5)


def test_what_cannot_be_exported_or_is_no_inference_is_unsupported() -> None:
    class Asks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.sum().item() > 0 else x

    with pytest.raises(UnsupportedError, match=r"^aot: the network cannot be exported: \w+: \w+") as told:
        Ahead(Asks())(torch.ones(2, 3))
    assert "draft_export" not in str(told.value), "advice for who exports it himself"
    with pytest.raises(UnsupportedError, match="what is trained"):
        compiled_to_train(nn.Linear(1, 1), "aot")
    with pytest.raises(UnsupportedError, match="no network to export"):
        prepared("image-processing", pipeline=("resize",), compile="aot")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one C++ library")
def test_code_with_a_cpp_library_of_its_own_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "code.cpp").write_text("#include <locale>\nint f() { return std::locale().name().size(); }")
    for name, options in {"shared": (), "its own": ("-static-libstdc++",)}.items():
        built = tmp_path / f"{name}.so"
        subprocess.run(["g++", "-shared", "-fPIC", *options, tmp_path / "code.cpp", "-o", built], check=True)
        with zipfile.ZipFile(tmp_path / f"{name}.pt2", "w") as artefact:
            artefact.write(built, "network/data/code.wrapper.so")
    check_library(tmp_path / "shared.pt2")
    with pytest.raises(UnsupportedError, match="aot: the C\\+\\+ compiler here links its C\\+\\+ library into"):
        check_library(tmp_path / "its own.pt2")
