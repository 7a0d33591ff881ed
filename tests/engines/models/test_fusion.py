"""The fusion head as engines: exported with free batch and token counts, gated, and listed with the networks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from msgspec.structs import replace

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.backends.on_torch import TorchEngine
from engines.backends.table import Candidate
from engines.building import choice
from engines.building.building import ensure_export, order_of
from engines.cache import store
from engines.engine import Port
from engines.gate.gate import gate
from engines.gate.golden import golden
from engines.models.checkpoint import read_model
from engines.models.fusion import exchanges, fused_modalities, improve_exchange, open_exchange
from engines.models.model import FusionSpec
from engines.models.network import network
from engines.networks.fusion import save_fusion
from engines.networks.fusion_shape import MAX_TOKENS
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from tests.fusion_heads import add_head, make_head
from tests.tiny_models import write_mov_like

DIMS = {"image": 16, "motion": 16, "audio": 16}
PORTS = (
    (Port("image", "float32", "B T 16"), Port("audio", "float32", "B M 12")),
    (Port("image_change", "float32", "B 16"), Port("audio_change", "float32", "B 12")),
)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a head whose modalities have tokens of different lengths."""
    directory = tmp_path_factory.mktemp("head")
    save_fusion(make_head(0.5, image=16, audio=12), directory)
    return directory


@pytest.fixture(scope="module")
def exported(uneven: Path, cache_directory: Path) -> Path:
    run = RunSettings(cache_directory=str(cache_directory))
    order = order_of("mov_fusion_audio", str(uneven), Candidate("onnxruntime", "fp32", "cpu"), run)
    made = ensure_export(order, "fp32", lambda text: None)
    assert made is not None
    return made


def with_head(directory: Path, gate: float = 0.5, **dims: int) -> Path:
    """A model with a head; its towers are only named, never opened."""
    directory.mkdir(exist_ok=True)
    return add_head(write_mov_like(directory, directory), make_head(gate, **(dims or DIMS)))


def test_ports_follow_from_the_sizes_of_the_head(uneven: Path) -> None:
    assert network("mov_fusion_audio").ports(uneven) == PORTS
    with pytest.raises(ModelError, match="the fusion head has image, audio; expected motion among them"):
        network("mov_fusion_motion").ports(uneven)


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (1, 8, 3), (5, 1, 7), (3, 7, 1), (16, 16, 2), (2, MAX_TOKENS, MAX_TOKENS)]
)
def test_the_exported_file_accepts_any_batch_and_number_of_tokens(
    exported: Path, uneven: Path, sizes: tuple[int, int, int]
) -> None:
    batch, pictures, sounds = sizes
    random = np.random.default_rng(sum(sizes))
    feeds = {
        "image": random.normal(0, 0.3, (batch, pictures, 16)).astype(np.float32),
        "audio": random.normal(0, 3, (batch, sounds, 12)).astype(np.float32),
    }
    engine = OnnxRuntimeEngine(exported, *PORTS)
    engine.open()
    with torch.inference_mode():
        wanted = network("mov_fusion_audio").load(uneven)(*map(torch.from_numpy, feeds.values()))
    for got, each in zip(engine.run(feeds).values(), wanted, strict=True):
        np.testing.assert_allclose(got, each.numpy(), atol=1e-6)


def test_it_uses_only_operators_that_every_engine_supports(exported: Path) -> None:
    used = {node.op_type for node in onnx.load(exported).graph.node}
    assert "Softmax" in used
    assert "Attention" not in used


def test_an_exchange_is_built_gated_and_listed(uneven: Path, exported: Path, tmp_path: Path) -> None:
    spec = read_model(str(write_mov_like(tmp_path, tmp_path)))
    spec = replace(spec, fusion=FusionSpec(directory=str(uneven)))
    wanted = RunSettings(engine="onnxruntime", cache_directory=str(exported.parents[2]))
    with pytest.raises(ModelError, match="not built yet"):
        open_exchange(spec, "audio", wanted)
    reported: list[str] = []
    improve_exchange(spec, "audio", wanted, reported.append)
    assert any("building mov_fusion_audio for onnxruntime-fp32" in line for line in reported)
    engine = open_exchange(spec, "audio", wanted)
    assert engine.name == "onnxruntime-fp32"
    engine.close()
    entry = next(each for each in store.entries(wanted.cache_directory) if each.network == "mov_fusion_audio")
    assert (entry.failed, entry.useless) == (False, "")
    assert entry.gate is not None
    assert entry.gate.label_set == "directions"


def test_networks_of_a_model_include_its_exchanges(tmp_path: Path) -> None:
    model = with_head(tmp_path)
    spec = read_model(str(model))
    heads = [(towers, tower.network) for towers, tower in choice.networks(spec)][1:]
    assert heads == [(("image with motion",), "mov_fusion_motion"), (("image with audio",), "mov_fusion_audio")]
    assert [towers for towers, _ in choice.networks(spec, ["image", "audio"])][1:] == [("image with audio",)]
    assert ("mov_fusion_motion", str(model / "fusion")) in store.networks_of(str(model))


def test_an_untrained_head_has_no_engine(tmp_path: Path) -> None:
    spec = read_model(str(with_head(tmp_path, gate=0.0)))
    assert fused_modalities(spec) == ("image", "motion", "audio")
    assert exchanges(spec) == ()
    assert len(choice.networks(spec)) == 1


def test_a_model_without_a_head_has_no_exchange(tmp_path: Path) -> None:
    spec = read_model(str(write_mov_like(tmp_path, tmp_path)))
    assert fused_modalities(spec) == exchanges(spec) == ()
    with pytest.raises(ModelError, match="has no fusion head"):
        open_exchange(spec, "motion", RunSettings())


def test_a_head_does_not_use_the_audio_tower_of_another_model(tmp_path: Path) -> None:
    """It was trained with the first model's tower; tokens of the same length may have another meaning."""
    model = with_head(tmp_path / "a")
    spec = read_model(str(model), str(write_mov_like(tmp_path, tmp_path)))
    assert fused_modalities(spec) == ("image", "motion")
    assert exchanges(spec) == ("motion",)


def test_an_unknown_kind_of_head_is_named(tmp_path: Path) -> None:
    model = with_head(tmp_path)
    with (model / "model.toml").open("a") as file:
        file.write('network = "magic"\n')
    with pytest.raises(ModelError, match=r"unknown network 'magic_motion'; known are .*mov_fusion_motion"):
        improve_exchange(read_model(str(model)), "motion", RunSettings(), lambda text: None)


def test_a_side_with_a_closed_gate_passes(uneven: Path) -> None:
    """Its change is zero in the reference and in every correct engine."""
    head = make_head(0.5, image=16, audio=12)
    head.exchange("audio").other.gate.zero_()
    engine = TorchEngine(lambda: head.exchange("audio"), *PORTS)
    engine.open()
    report = gate(engine, engine, golden(PORTS[0], 4), 2)
    assert report.passed, report.text
    assert not engine.run(golden(PORTS[0], 4))["audio_change"].any()


def test_a_side_that_should_not_change_but_does_fails_the_gate(uneven: Path) -> None:
    head = make_head(0.5, image=16, audio=12)
    head.exchange("audio").other.gate.zero_()
    reference = TorchEngine(lambda: head.exchange("audio"), *PORTS)
    candidate = TorchEngine(lambda: make_head(0.5, image=16, audio=12).exchange("audio"), *PORTS)
    reference.open()
    candidate.open()
    report = gate(reference, candidate, golden(PORTS[0], 4), 2)
    assert not report.passed
    assert {each.output for each in report.figures if each.cosine == 0} == {"audio_change"}
