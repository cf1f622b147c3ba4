"""Networks of transformers by their own configurations; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.conftest import prepared
from workloads.base import BadInputError
from workloads.models.loading import build_model

transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def test_a_text_encoder_answers_with_all_its_outputs(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
    )
    config.save_pretrained(tmp_path / "tiny")
    workload = prepared("inference", model="hf/./tiny", batch_size=2)
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        "last_hidden_state": (8, 128, 32), "pooler_output": (8, 32)
    }  # fmt: skip
    assert (outputs["pooler_output"] - reference["pooler_output"]).abs().max() < 1e-4


def test_an_image_classifier_is_run_and_trained(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        image_size=48, patch_size=16, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "tiny")
    loaded = build_model("hf/./tiny")
    assert loaded.weights == "hub"
    assert loaded.takes[0].shape == (3, 48, 48)
    workload = prepared("finetune", model="hf/./tiny", batch_size=4, image_size=48)
    workload.step()
    assert 0 <= workload.end_round(0)["accuracy"] <= 1
    workload.teardown()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("hf/nobody/nothing", r"the configuration of 'hf/nobody/nothing' cannot be loaded \(.*need no download: hf/"),
        ("hf/bertt", "hf/bert"),
        ("hf/t5", "neither an image classifier nor a text encoder"),
        ("hf/wav2vec2", "neither an image classifier nor a text encoder"),
    ],
)
def test_what_cannot_be_had_or_run_is_said(name: str, match: str) -> None:
    with pytest.raises(BadInputError, match=match):
        build_model(name)
