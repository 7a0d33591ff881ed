"""What is read of directories of OWL-ViT and OWLv2, and which are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from engines.models.network import network
from engines.models.owl import KINDS, read_owl
from pipeline.errors import ModelError
from tests.tiny_models import OWL_SIDE_PX, make_tiny_clip, make_tiny_owl


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_tiny_owl(tmp_path / "owl")


def change(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize("kind", KINDS)
def test_facts_are_read_without_weights(kind: str, tmp_path: Path) -> None:
    owl = read_owl(make_tiny_owl(tmp_path / kind, kind))
    assert (owl.kind, owl.image.network, owl.text.network) == (kind, f"{kind}_vision", f"{kind}_text")
    assert (owl.image.size_px, owl.image.resample) == (OWL_SIDE_PX[kind], "bicubic" if kind == "owlvit" else "bilinear")
    assert (owl.text.dim, owl.text.max_tokens, owl.texts.id) == (32, 16, owl.texts.id)
    patches = (OWL_SIDE_PX[kind] // 16) ** 2
    inputs, outputs = network(owl.image.network).ports(owl.directory)
    assert [(port.name, port.dims) for port in (*inputs, *outputs)] == [
        ("pictures", f"B 3 {OWL_SIDE_PX[kind]} {OWL_SIDE_PX[kind]}"),
        ("vectors", f"B {patches} 32"),
        ("shifts", f"B {patches}"),
        ("boxes", f"B {patches} 4"),
    ]


def test_published_settings_are_the_defaults(directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "owlvit"}')
    (directory / "preprocessor_config.json").write_text('{"size": [768, 768]}')
    owl = read_owl(directory)
    assert (owl.image.size_px, owl.text.dim, owl.image.mean[0]) == (768, 512, 0.48145466)
    change(directory / "config.json", model_type="owlv2", vision_config={"image_size": 960})
    (directory / "preprocessor_config.json").write_text('{"size": {"height": 960, "width": 960}, "resample": 2}')
    inputs, outputs = network(read_owl(directory).image.network).ports(directory)
    assert (inputs[0].dims, outputs[0].dims) == ("B 3 960 960", "B 3600 512")


def test_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"config\.json: model_type is 'clip'; expected a detector, 'owlvit' or 'owlv2"
    ):
        read_owl(make_tiny_clip(tmp_path / "clip"))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["config.json"], r"config\.json: missing; expected a model directory"),
        (["model.safetensors"], r"owl: no weights; expected model\.safetensors"),
        (["preprocessor_config.json"], r"preprocessor_config\.json: missing"),
        (["vocab.json"], r"owl: no tokenizer; expected tokenizer\.json, or vocab\.json and merges\.txt"),
    ],
)
def test_a_missing_file_is_named(directory: Path, files: list[str], told: str) -> None:
    for name in files:
        (directory / name).unlink()
    with pytest.raises(ModelError, match=told):
        read_owl(directory)


def test_pickled_weights_are_refused(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickled weights can run any code"):
        read_owl(directory)


def test_sizes_that_do_not_fit_are_refused(directory: Path) -> None:
    change(directory / "preprocessor_config.json", size={"height": 64, "width": 64})
    with pytest.raises(ModelError, match=r"pictures are resized to .*64.*, and the network reads 96 x 96"):
        read_owl(directory)
    change(directory / "config.json", projection_dim=16)
    with pytest.raises(
        ModelError, match=r"projection_dim is 16, and text_config\.hidden_size is 32; expected the same"
    ):
        read_owl(directory)


def test_missing_weights_are_an_error_and_not_random(directory: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    del weights["box_head.dense0.weight"]
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 of the weights of OwlViTForObjectDetection are missing, such as box_head"):
        network("owlvit_vision").load(directory)
