from pathlib import Path

import numpy as np
import pytest
import torch

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.engine import Port
from engines.networks.log_mel import LogMel
from engines.networks.sound import CLASSES, ConceptSound, load_sound
from tests.engines.exported import exported_once

BUNDLED = Path(__file__).parents[3] / "engines" / "bundled" / "percept-mini"


@pytest.fixture
def network() -> ConceptSound:
    torch.manual_seed(3)
    network = ConceptSound(dimensions=16).eval()
    network.concepts.normal_()
    return network


def test_tokens_are_the_scores_times_surprise_times_concepts(network: ConceptSound) -> None:
    network.surprise.uniform_(0, 5)
    patches = torch.randn(3, 96, 64)
    scores = 1 / (1 + np.exp(-network.logits(patches).detach().double().numpy()))
    expected = (scores * network.surprise.numpy()) @ network.concepts.double().numpy()
    np.testing.assert_allclose(network(patches).detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_class_without_surprise_adds_nothing(network: ConceptSound) -> None:
    network.surprise[7] = 0
    scores = torch.zeros(1, CLASSES)
    scores[0, 7] = 1
    assert network.read_out(scores).abs().max() == 0


def test_patches_of_a_batch_are_independent(network: ConceptSound) -> None:
    patches = torch.randn(4, 96, 64)
    torch.testing.assert_close(network(patches)[2:3], network(patches[2:3]), atol=1e-5, rtol=1e-5)


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"sound\.safetensors: not found.*python -m recipes\.percept_mini\.train_sound"
    ):
        load_sound(tmp_path)


def test_the_bundled_tower_is_small_and_complete() -> None:
    assert (BUNDLED / "sound.safetensors").stat().st_size < 10_000_000
    assert len((BUNDLED / "sound_classes.txt").read_text().splitlines()) == CLASSES
    network = load_sound(BUNDLED)
    assert not network.training
    assert all(p.dtype == torch.float32 for p in network.parameters())
    torch.testing.assert_close(network.concepts.mean(0), torch.zeros(384), atol=1e-3, rtol=0)
    assert (network.concepts.norm(dim=-1) > 0.1).all()


def test_silence_yields_a_short_token_and_a_steady_tone_is_a_telephone() -> None:
    network = load_sound(BUNDLED)
    names = (BUNDLED / "sound_classes.txt").read_text().splitlines()
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(15_600) / 16_000)
    with torch.inference_mode():
        scores = network.logits(LogMel()(tone)).sigmoid()[0]
        silent = network.logits(LogMel()(torch.zeros(15_600))).sigmoid()[0]
    assert {names[i] for i in scores.topk(5).indices} & {"Telephone", "Dial tone", "Busy signal", "Sine wave", "Alarm"}
    assert names[int(silent.argmax())] == "Silence"
    assert network.read_out(silent[None]).norm() < 0.1 * network.read_out(scores[None]).norm()


def test_the_exported_network_computes_the_same_for_any_number_of_patches() -> None:
    network, ports = load_sound(BUNDLED), (Port("log_mel", "float32", "B 96 64"), Port("tokens", "float32", "B 384"))
    engine = OnnxRuntimeEngine(exported_once("concept_sound"), ports[:1], ports[1:])
    engine.open()
    for count in (1, 3, 10):
        patches = torch.randn(count, 96, 64, generator=torch.Generator().manual_seed(count)) * 2 - 2
        tokens = engine.run({"log_mel": patches.numpy()})["tokens"]
        np.testing.assert_allclose(tokens, network(patches).detach().numpy(), atol=1e-4, rtol=1e-4)
    engine.close()
