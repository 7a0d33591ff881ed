import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.building.export import export
from engines.engine import Port
from engines.networks import text
from engines.networks.text import MiniText, TextShape, load_text, pack_weights, tokenize, unpack_weights

BUNDLED = Path(text.__file__).parents[1] / "bundled" / "percept-mini"
INPUTS = (Port("ids", "int64", "B L"), Port("mask", "int64", "B L"))
OUTPUTS = (Port("vectors", "float32", "B 384"),)
WORDS = ["dog barking", "a photo of a very small brown dog", "rain"]


@pytest.fixture(scope="module")
def bundled():
    return load_text(BUNDLED)


def vectors(bundled, texts: list[str]) -> np.ndarray:
    tower, tokenizer = bundled
    ids, mask = tokenize(tokenizer, texts)
    with torch.inference_mode():
        return tower(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()


def test_vectors_have_unit_length_and_similar_meanings_are_close(bundled) -> None:
    dog, puppy, rain = vectors(bundled, ["a dog", "a puppy", "heavy rain"])
    np.testing.assert_allclose(np.linalg.norm([dog, puppy, rain], axis=1), 1, atol=1e-5)
    assert dog @ puppy > 0.6 > 0.4 > dog @ rain


def test_padding_does_not_change_a_vector(bundled) -> None:
    together = vectors(bundled, WORDS)
    for word, vector in zip(WORDS, together, strict=True):
        np.testing.assert_allclose(vectors(bundled, [word])[0], vector, atol=1e-5)


@pytest.mark.parametrize("word", ["", "狗在叫", "naïve café", "🐕", "word " * 2000])
def test_any_text_has_a_vector(bundled, word: str) -> None:
    assert np.isfinite(vectors(bundled, [word, "rain"])).all()


def test_the_exported_tower_computes_the_same_vectors_at_any_batch_and_length(bundled, tmp_path: Path) -> None:
    tower, tokenizer = bundled
    export(tower, INPUTS, OUTPUTS, tmp_path / "text.onnx")
    engine = OnnxRuntimeEngine(tmp_path / "text.onnx", INPUTS, OUTPUTS)
    engine.open()
    for texts in (["rain"], WORDS, ["word " * 2000, *WORDS * 2]):
        ids, mask = tokenize(tokenizer, texts)
        np.testing.assert_allclose(
            engine.run({"ids": ids, "mask": mask})["vectors"], vectors(bundled, texts), atol=1e-4
        )


def test_the_weights_file_has_at_most_15_megabytes() -> None:
    assert (BUNDLED / "text.safetensors").stat().st_size <= 15_000_000


def test_packing_unpacked_weights_restores_the_same_bytes() -> None:
    stored = load_file(BUNDLED / "text.safetensors")
    scales = {
        name.removesuffix(".scale"): torch.from_numpy(value).float()
        for name, value in stored.items()
        if name.endswith(".scale")
    }
    again = pack_weights({name: torch.from_numpy(value) for name, value in unpack_weights(stored).items()}, scales)
    assert again.keys() == stored.keys()
    assert all(np.array_equal(again[name], stored[name]) for name in stored)


def test_packing_rounds_most_weights_by_at_most_half_a_step() -> None:
    torch.manual_seed(0)
    state = MiniText(TextShape(vocabulary=40, width=48, hidden=96, heads=4, layers=1)).state_dict()
    packed = pack_weights(state)
    name = "layers.0.widen.weight"
    error = np.abs(unpack_weights(packed)[name] - state[name].numpy())
    largest = np.abs(state[name].numpy()).max(1, keepdims=True)
    assert (error <= 0.5001 * packed[f"{name}.scale"].astype(np.float32)).mean() > 0.9
    assert (error <= 0.7 * largest).all()


def test_loading_the_tower_does_not_import_transformers() -> None:
    code = (
        "import sys; from pathlib import Path; from engines.networks.text import load_text; "
        f"load_text(Path({str(BUNDLED)!r})); assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(text.__file__).parents[2])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"text\.safetensors: missing"):
        load_text(tmp_path)
