"""The user's weights: every kind of file, prefix and head that people have."""

from __future__ import annotations

import argparse
import io
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workloads.base import BadInputError
from workloads.models.heads import last_layer
from workloads.models.loading import build_model, check_weights
from workloads.models.origins.state_files import fitted, read_state

MODEL = "squeezenet1_1"  # 5 MB, its head a convolution
State = dict[str, Any]


def state_of(n_classes: int | None = None, name: str = MODEL) -> State:
    torch.manual_seed(1)
    return build_model(name, pretrained=False, num_classes=n_classes).module.state_dict()


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


VARIANTS: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model": lambda state: {"model": state, "args": {"lr": 0.1}},
    "model_state_dict": lambda state: {"epoch": 1, "model_state_dict": state},
    "nested": lambda state: {"model": {"state_dict": state}},
    "parallel": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "parallel and compiled": lambda state: {"state_dict": prefixed(state, "module._orig_mod.")},
    "compiled within": lambda state: {name.replace("features.", "features._orig_mod."): v for name, v in state.items()},
    "lightning": lambda state: {"state_dict": {**prefixed(state, "model."), "criterion.weight": torch.ones(3)}},
    "averaged": lambda state: {"n_averaged": torch.tensor(3), **prefixed(state, "module.")},
    "parameters": lambda state: {name: nn.Parameter(value) for name, value in state.items()},
    "under a name of its own": lambda state: {"epoch": 1, "ema_state_dict": state, "optimizer": {"state": {}}},
    "half": lambda state: {name: value.half() for name, value in state.items()},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_checkpoint_is_read(variant: str, tmp_path: Path) -> None:
    state = state_of()
    torch.save(VARIANTS[variant](state), tmp_path / "mine.pt")
    loaded = build_model(MODEL, weights_file=tmp_path / "mine.pt")
    assert (loaded.weights, loaded.head) == ("mine.pt", "loaded")
    for name, value in loaded.module.state_dict().items():
        torch.testing.assert_close(value, state[name], atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("name", ["mine.safetensors", "model.bin"])
def test_safetensors_are_read_by_what_they_are(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(state_of(5), tmp_path / name)
    assert n_classes(tmp_path / name) == 5
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BadInputError, match=r"needs the package safetensors: pip install 'accelsweep\[safetensors\]'"):
        read_state(tmp_path / name, MODEL)


def test_a_tensor_that_two_layers_share_may_be_in_a_file_once(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False))
    tied[1].weight = tied[0].weight  # type: ignore[assignment]
    for kept in ("0.weight", "1.weight"):
        found = fitted(tied, {kept: torch.ones(9, 4)}, "tied", tmp_path)
        assert (set(found.state), found.n_classes, found.has_head) == ({"0.weight", "1.weight"}, 9, True)


def n_classes(file: Path, asked: int | None = None) -> int:
    return len(last_layer(build_model(MODEL, num_classes=asked, weights_file=file).module)[1].weight)


@pytest.mark.parametrize(("of_file", "asked", "n", "head"), [
    (1000, 10, 10, "new, for 10 classes in the place of 1000"), (7, 10, 10, "new, for 10 classes in the place of 7"),
    (10, 10, 10, "loaded"), (10, None, 10, "loaded"), (1000, None, 1000, "loaded"), (1, None, 1, "loaded"),
])  # fmt: skip
def test_the_body_is_loaded_whatever_the_head(
    of_file: int, asked: int | None, n: int, head: str, tmp_path: Path
) -> None:
    state = state_of(of_file)
    torch.save(state, tmp_path / "mine.pt")
    torch.manual_seed(5)
    loaded = build_model(MODEL, num_classes=asked, weights_file=tmp_path / "mine.pt")
    own = loaded.module.state_dict()
    assert (len(own["classifier.1.weight"]), loaded.head) == (n, head)
    assert torch.equal(own["features.0.weight"], state["features.0.weight"])
    assert (own["classifier.1.weight"].shape == state["classifier.1.weight"].shape) == (head == "loaded")
    told = check_weights(tmp_path / "mine.pt", (MODEL,), num_classes=asked)
    assert told == (None if head == "loaded" else f"the body of {MODEL} is loaded from 'mine.pt', its head is {head}")


def test_a_head_built_otherwise_or_missing_is_new_in_training_and_refused_in_inference(tmp_path: Path) -> None:
    state = state_of(name="resnet18")
    body = {name: value for name, value in state.items() if not name.startswith("fc.")}
    for file, more in (("none.pt", {}), ("other.pt", {"fc.1.weight": torch.ones(7, 512), "fc.1.bias": torch.ones(7)})):
        torch.save({**body, **more}, tmp_path / file)
        loaded = build_model("resnet18", num_classes=4, weights_file=tmp_path / file)
        assert loaded.head == "new, for 4 classes"
        assert torch.equal(loaded.module.state_dict()["conv1.weight"], state["conv1.weight"])
        with pytest.raises(BadInputError, match="has no head of resnet18"):
            build_model("resnet18", weights_file=tmp_path / file)


def test_auxiliary_heads_of_a_file_are_left_out(tmp_path: Path) -> None:
    import torchvision

    torch.save(torchvision.models.googlenet(init_weights=False, aux_logits=True).state_dict(), tmp_path / "g.pt")
    assert build_model("googlenet", weights_file=tmp_path / "g.pt").head == "loaded"


@pytest.mark.parametrize("other", ["resnet50", "mobilenet_v3_small"])
def test_weights_of_another_architecture_are_told_with_what_differs(other: str, tmp_path: Path) -> None:
    torch.save(state_of(name="resnet18"), tmp_path / "r.pt")
    with pytest.raises(BadInputError) as said:
        build_model(other, weights_file=tmp_path / "r.pt")
    assert "is of another architecture: " in str(said.value)
    assert f"tensors of {other} are in it; it lacks " in str(said.value)
    assert len(str(said.value)) < 400
    assert "\n" not in str(said.value)


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def zip_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "content")
    return buffer.getvalue()


def tar_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("model.pth")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer; `git lfs pull`"),
        (b"<!DOCTYPE html>\n<html>404</html>", "is an HTML page"), (b"", "is empty"), (b'{"error": "gated"}', "is JSON text"),
        (saved({"a": torch.ones(99)})[:-100], "it is truncated or damaged"), (b"some words", "not a state dictionary"),
        (tar_of(b"weights"), "is a tar archive; unpack it"), ("<html>".encode("utf-16"), "is an HTML page"),
        (zip_of("word/document.xml"), "it is no file that torch.save wrote"),
        (b"AccessDenied", "it is no file that torch.save wrote, or it holds more than tensors"),
        (saved([1, 2]), "it holds no weights by name"), (saved({"epoch": 3}), "it holds no weights by name"),
        (saved({"model": {"a": torch.ones(2)}, "args": argparse.Namespace(x=1)}),
         r"it holds more than tensors \(argparse.Namespace\), which could run code"),
        (saved(nn.Linear(2, 2)), r"it holds more than tensors \(.*Linear.*\), which could run code"),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_weights_is_told_for_what_it_is(content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=rf"^--weights: '.*weights.pt' .*{told}") as said:
        check_weights(file, (MODEL,))
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(("made", "told"), [
    (lambda t: t * float("nan"), "with NaN"), (lambda t: t + float("inf"), "with infinities"),
    (lambda t: t.int(), "of whole or complex numbers"), (lambda t: t.to(torch.complex64), "of whole or complex numbers"),
    (lambda t: t.to("meta"), "without values, as on the meta device"), (lambda t: t.to_sparse(), "sparse"),
    (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantised"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*quantiz.*")
def test_weights_that_nothing_can_be_computed_with_are_refused(
    made: Callable[[torch.Tensor], torch.Tensor], told: str
) -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    module.register_buffer("mask", torch.full((2,), -torch.inf))
    state = {name: tensor for name, tensor in module.state_dict().items() if name != "1.num_batches_tracked"}
    assert fitted(module, state, "mine", Path("w.pt")).has_head
    assert fitted(module, {**state, "0.bias": state["0.bias"].to(torch.float8_e4m3fn)}, "mine", Path("w.pt")).has_head
    with pytest.raises(BadInputError, match=f"'w.pt' holds no weights that mine can compute with: 0.weight {told}$"):
        fitted(module, {**state, "0.weight": made(state["0.weight"])}, "mine", Path("w.pt"))


def test_a_torchscript_archive_is_told(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # torch deprecates making them; people have them all the same
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "s.pt")
    with pytest.raises(BadInputError, match="it is a TorchScript archive"):
        read_state(tmp_path / "s.pt", MODEL)
