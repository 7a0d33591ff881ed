"""Features: what a tower has before its projection, beside the same tokens, from engines of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from engines.backends.on_torch import TorchEngine
from engines.backends.table import Candidate, backend
from engines.building.building import check, engine_facts, ensure, export_facts, order_of, reference_of
from engines.cache.cache import key_of
from engines.gate.golden import golden
from engines.models.checkpoint import BUNDLED, read_model
from engines.models.network import NETWORKS, network, with_features
from engines.models.tower import features_size, open_tower
from engines.networks.motion import load_motion
from engines.networks.picture import load_picture
from engines.networks.sound import load_sound
from pipeline.errors import ModelError
from pipeline.stage import RunSettings

MINI = BUNDLED / "percept-mini"
KEYS = {"concept_picture": 1280, "concept_sound": 1024, "concept_motion": 128}
FAMILIES = {
    "tiny_clip": ("clip_vision", 32),
    "tiny_laion": ("clip_vision", 48),
    "tiny_metaclip_2": ("metaclip_2_vision", 32),
    "tiny_clap": ("clap_audio", 16),
    "tiny_clap_fused": ("clap_fused_audio", 16),
}


def feeds_of(key: str, directory: Path, count: int = 3) -> torch.Tensor:
    loader = network(key)
    (feed,) = golden(loader.ports(directory)[0], count, loader.level).values()
    return torch.from_numpy(feed)


def read_by(layer: nn.Module, module: nn.Module, given: torch.Tensor) -> torch.Tensor:
    """What a layer of a network reads."""
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        module(given)
    hook.remove()
    return seen[-1]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_tokens_are_those_of_the_tower_alone(key: str) -> None:
    given = feeds_of(key, MINI)
    with torch.inference_mode():
        tokens, features = network(f"{key}+features").load(MINI)(given)
        torch.testing.assert_close(tokens, network(key).load(MINI)(given), atol=1e-5, rtol=1e-5)
    assert features.shape == (len(given), KEYS[key])
    assert features.std(0).max() > 1e-3


def test_features_of_pictures_are_the_quarters_at_unit_length_averaged() -> None:
    tower, given = load_picture(MINI), feeds_of("concept_picture", MINI)
    with torch.inference_mode():
        field = tower.network.features(given)
        quarters = [field[:, :, top : top + 4, left : left + 4].mean((2, 3)) for top in (0, 3) for left in (0, 3)]
        wanted = sum(each / each.norm(dim=-1, keepdim=True) for each in quarters) / 4
        _, features = network("concept_picture+features").load(MINI)(given)
    torch.testing.assert_close(features, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("key", "load"), [("concept_sound", load_sound), ("concept_motion", load_motion)])
def test_features_of_sound_and_motion_are_what_the_classifier_reads(key: str, load: Callable[[Path], Any]) -> None:
    tower, given = load(MINI), feeds_of(key, MINI)
    with torch.inference_mode():
        _, features = network(f"{key}+features").load(MINI)(given)
    torch.testing.assert_close(features, read_by(tower.classify, tower, given))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_features_of_a_checkpoint_are_its_pooled_output_before_the_projection(
    family: str, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(family)
    key, size = FAMILIES[family]
    tower, given = network(key).load(directory), feeds_of(key, directory)
    with torch.inference_mode():
        tokens, features = network(f"{key}+features").load(directory)(given)
        torch.testing.assert_close(tokens, tower(given), atol=1e-5, rtol=1e-5)
    assert features.shape == (len(given), size)
    torch.testing.assert_close(features, read_by(tower.projection, tower, given))  # type: ignore[arg-type]


def test_features_of_clip_are_those_of_transformers(tiny_laion: Path) -> None:
    from transformers import AutoModel

    given = feeds_of("clip_vision", tiny_laion)
    with torch.inference_mode():
        wanted = AutoModel.from_pretrained(tiny_laion).eval().vision_model(pixel_values=given).pooler_output
        _, features = network("clip_vision+features").load(tiny_laion)(given)
    torch.testing.assert_close(features, wanted, atol=1e-5, rtol=1e-5)


def test_a_picture_size_goes_with_features(tiny_clip: Path) -> None:
    wide = network("clip_vision@16x72+features")
    (pictures,), outputs = wide.ports(tiny_clip)
    assert (pictures.dims, [port.dims for port in outputs]) == ("B 3 16 72", ["B 16", "B 32"])
    with torch.inference_mode():
        tokens, features = wide.load(tiny_clip)(torch.zeros(2, 3, 16, 72))
    assert (tokens.shape, features.shape) == ((2, 16), (2, 32))


@pytest.mark.parametrize("key", ["siglip_vision", "align_vision"])
def test_a_tower_without_a_projection_needs_no_other_engine(key: str) -> None:
    assert with_features(key) == key


def test_tokens_of_a_tower_without_a_projection_are_its_features(tiny_siglip: Path, run: RunSettings) -> None:
    spec = read_model(str(tiny_siglip))
    engine = open_tower(spec, "image", msgspec.structs.replace(run, engine="torch"), features=True)
    assert [port.name for port in engine.outputs] == ["tokens"]
    assert features_size(spec, "image") == 32


@pytest.mark.parametrize("key", ["open_clip_vision", "clip_text", "raft_small", "open_clip_vision+features"])
def test_networks_without_features_are_told_with_those_that_have_them(key: str) -> None:
    with pytest.raises(ModelError, match=r"clap_audio, clap_fused_audio, clip_vision, concept_motion, concept_picture"):
        with_features(key)


def test_a_tower_without_features_is_refused_with_what_to_do(tiny_clip: Path) -> None:
    spec = read_model(str(tiny_clip))
    assert spec.image is not None
    other = msgspec.structs.replace(spec, image=msgspec.structs.replace(spec.image, network="open_clip_vision"))
    with pytest.raises(ModelError, match=r"--features: the image tower of .* Omit --features, or leave image out"):
        features_size(other, "image")


def test_engines_of_plain_runs_are_those_without_features(run: RunSettings) -> None:
    """What a fingerprint is made of: neither the code of features nor their name is in those of plain towers."""
    plain = {key: network(key).fingerprint(MINI) for key in KEYS}
    assert {key: set(facts) for key, facts in plain.items()} == {
        "concept_picture": {
            "loader", "package", "concepts.safetensors", "efficientnet-lite0-57934424.pth", "picture.py"
        },
        "concept_sound": {"loader", "package", "sound.safetensors", "sound.py"},
        "concept_motion": {"loader", "package", "motion.safetensors", "motion.py"},
    }  # fmt: skip
    for key, facts in plain.items():
        more = network(f"{key}+features").fingerprint(MINI)
        assert {name: more[name] for name in facts} == facts
        assert set(more) - set(facts) == {"wrapper", "features.py"}
    orders = [
        order_of(key, str(MINI), Candidate("onnxruntime", "fp32", "cpu"), run)
        for key in ("concept_sound", "concept_sound+features")
    ]
    assert [port.name for port in orders[0].outputs] == ["tokens"]
    keys = {key_of(engine_facts(order, backend("onnxruntime"))) for order in orders}
    assert len(keys | {key_of(export_facts(order, "fp32")) for order in orders}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("key", ["concept_sound+features", "concept_motion+features"])
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_gate_compares_both_outputs(key: str, name: str, run: RunSettings) -> None:
    chosen = backend(name)
    if chosen.missing("cpu"):
        pytest.skip(chosen.missing("cpu"))
    precision = chosen.precisions("cpu")[0]
    order = order_of(key, str(MINI), Candidate(name, precision, "cpu"), run)
    record = ensure(order, chosen, lambda text: None)
    assert record.gate.passed, record.gate.text
    assert {figures.output for figures in record.gate.figures} == {"tokens", "features"}
    assert record.network == key


def test_an_engine_whose_features_are_wrong_fails_its_gate(run: RunSettings) -> None:
    class Wrong(nn.Module):
        def __init__(self, right: nn.Module) -> None:
            super().__init__()
            self.right = right

        def forward(self, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            tokens, features = self.right(given)
            return tokens, features.roll(1, dims=1)

    order = order_of("concept_motion+features", str(MINI), Candidate("torch", "fp32", "cpu"), run)
    wrong = TorchEngine(lambda: Wrong(order.load()), order.inputs, order.outputs)
    assert check(order, reference_of(order)).passed
    outcome = check(order, wrong)
    assert not outcome.passed
    assert all(fault.startswith("features at batch") for fault in outcome.faults)


def test_every_network_that_gives_features_says_how_many() -> None:
    """Those of checkpoints are read from configurations, which other tests have."""
    for key, size in KEYS.items():
        _, outputs = network(with_features(key)).ports(MINI)
        assert outputs[-1].dims == f"B {size}"
        assert NETWORKS[key].ports(MINI)[1] == outputs[:1], "the plain network is as it was"
