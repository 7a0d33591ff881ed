"""Every family of published checkpoints, tested with small random models in the real format: ours equal transformers.

From pixels and words to the model's own logits, with its own image processor, tokenizer, padding and temperature.
"""

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.engine import Engine
from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from engines.models.text_tower import TextTower
from engines.models.tower import open_tower
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from tests.tiny_models import TEXTS

PICTURES = ["clip", "laion", "metaclip_2", "siglip", "align"]
PADDING = {"siglip": {"padding": "max_length", "max_length": 64}, "align": {"padding": "max_length", "max_length": 64}}


@pytest.fixture
def directory(family: str, request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"tiny_{family}")
    return path


def theirs(directory: Path) -> Any:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import AutoModel

    return AutoModel.from_pretrained(directory).eval()


def opened(spec: ModelSpec, modality: str, run: RunSettings, engine: str = "torch") -> Engine:
    return open_tower(spec, modality, msgspec.structs.replace(run, engine=engine), build=True)


def words(spec: ModelSpec, run: RunSettings, texts: list[str]) -> Any:
    (text,) = spec.texts.values()
    tower = TextTower(text, msgspec.structs.replace(run, engine="torch"))
    vectors = tower.vectors(texts)
    tower.close()
    return vectors


def tokens_of(family: str, directory: Path, texts: list[str]) -> Any:
    """The inputs that the model's own processor would produce; SigLIP's omits the mask."""
    from transformers import AutoTokenizer

    padding: Any = PADDING.get(family, {"padding": True})
    batch = AutoTokenizer.from_pretrained(directory)(texts, return_tensors="pt", truncation=True, **padding)
    return {"input_ids": batch["input_ids"]} if family == "siglip" else dict(batch)


def scene(height: int, width: int) -> Any:
    """Edges, gradients and noise: uint8 "2 H W 3"."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = np.stack([x / width * 255, ((x // 7 + y // 5) % 2) * 255, 127 + 90 * np.sin(x * y / 900)], -1)
    noise = np.random.default_rng(0).normal(0, 12, (2, height, width, 3))
    return np.clip(np.stack([planes, planes[::-1]]) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("family", "engine"),
    [*((family, "torch") for family in PICTURES), *((family, "onnxruntime") for family in ("clip", "siglip", "align"))],
)
def test_logits_equal_those_of_the_model(family: str, directory: Path, engine: str, run: RunSettings) -> None:
    import torch

    spec, model = read_model(str(directory)), theirs(directory)
    assert spec.image is not None
    size = spec.image.size_px
    pictures = np.random.default_rng(0).standard_normal((5, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        out = model(pixel_values=torch.from_numpy(pictures), **tokens_of(family, directory, TEXTS))
    got = opened(spec, "image", run, engine).run({"pictures": pictures})["tokens"]
    got /= np.linalg.norm(got, axis=1, keepdims=True)
    np.testing.assert_allclose(got, out.image_embeds.numpy(), atol=1e-4)
    vectors = words(spec, run, TEXTS)
    np.testing.assert_allclose(vectors, out.text_embeds.numpy(), atol=1e-4)
    bias = model.logit_bias.item() if family == "siglip" else 0.0
    wanted = (out.logits_per_image.numpy() - bias) * spec.image.temperature
    np.testing.assert_allclose(got @ vectors.T, wanted, atol=1e-4)
    assert vectors.std(axis=0).max() > 3e-4
    assert family != "siglip" or bias < -1
    assert got.std(axis=0).max() > 1e-3


@pytest.mark.parametrize("size", [(96, 170), (170, 96), (50, 50)])
@pytest.mark.parametrize("family", PICTURES)
def test_pictures_equal_those_of_the_image_processor(family: str, directory: Path, size: tuple[int, int]) -> None:
    from PIL import Image
    from transformers import AutoImageProcessor

    from stages.pictures import frame_pictures

    tower = read_model(str(directory)).image
    assert tower is not None
    frames = scene(*size)
    processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
    wanted = processor([Image.fromarray(frame) for frame in frames], return_tensors="np")["pixel_values"]
    ours = frame_pictures(frames, tower)
    assert ours.shape == wanted.shape
    apart = np.abs(ours - wanted) * np.reshape(tower.std, (1, 3, 1, 1)) * 255
    # Pillow 12 resizes upright pictures vertically first, torch always horizontally; overshoot is clipped afterwards
    upright = family == "siglip" and size[0] > size[1]
    assert np.quantile(apart, 0.5 if upright else 1) <= 3.01
    assert apart.mean() < 1


@pytest.mark.parametrize("family", PICTURES)
def test_a_word_does_not_depend_on_padding(family: str, directory: Path, run: RunSettings) -> None:
    spec = read_model(str(directory))
    many = words(spec, run, [TEXTS[0], " ".join(TEXTS)])
    np.testing.assert_allclose(many[0], words(spec, run, TEXTS[:1])[0], atol=1e-5)
    assert np.abs(many[0] - many[1]).max() > 1e-3


def test_temperatures_are_read_from_the_weights(tiny_laion: Path, tiny_align: Path, tiny_clap_fused: Path) -> None:
    laion, align, clap = (read_model(str(path)) for path in (tiny_laion, tiny_align, tiny_clap_fused))
    assert laion.image
    assert align.image
    assert clap.audio
    assert laion.image.temperature == pytest.approx(math.exp(-4.0))
    assert align.image.temperature == pytest.approx(0.07)
    assert clap.audio.temperature == pytest.approx(0.07)


def test_align_uses_the_centre_of_a_larger_square(tiny_align: Path) -> None:
    image = read_model(str(tiny_align)).image
    assert image is not None
    assert (image.fit, image.resized_px, image.size_px, image.resample) == ("stretch", 72, 64, "bilinear")
    assert (image.mean, image.std) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"include_top": True},
        {"do_normalize": True, "rescale_factor": 1 / 255, "rescale_offset": False},
        {"do_normalize": True, "include_top": True},
        {"do_center_crop": False},
    ],
)
def test_aligns_processor_settings_are_supported(settings: dict[str, Any], tiny_align: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_align, tmp_path / "model")
    path = tmp_path / "model" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    test_pictures_equal_those_of_the_image_processor("align", tmp_path / "model", (96, 170))


def test_siglip_for_any_shape_is_refused_and_a_fixed_one_suggested(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip2"}))
    with pytest.raises(ModelError, match="google/siglip2-base-patch16-224"):
        read_model(str(tmp_path))


def test_the_bias_of_siglip_cancels_against_the_background(tiny_siglip: Path) -> None:
    import torch

    from stages.words.scoring import log_odds

    image, model = read_model(str(tiny_siglip)).image, theirs(tiny_siglip)
    assert image is not None
    with torch.inference_mode():
        out = model(pixel_values=torch.randn(1, 3, 32, 32), **tokens_of("siglip", tiny_siglip, TEXTS))
    cosines = (out.image_embeds @ out.text_embeds.T).numpy()
    ours = log_odds(cosines[:, :1], cosines[:, 1:], np.ones((1, 2)), image.temperature, image.bias)
    logits = out.logits_per_image.numpy()[0]
    np.testing.assert_allclose(ours[0, 0], logits[0] - np.log(np.exp(logits[1:]).sum()), atol=1e-4)


def test_missing_weights_are_not_initialised_randomly(tiny_clip: Path, tmp_path: Path, run: RunSettings) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_clip, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    save_file({name: each for name, each in weights.items() if "visual_projection" not in name}, path, {"format": "pt"})
    with pytest.raises(
        ModelError, match=r"1 of the weights of CLIPModel are missing, such as visual_projection\.weight"
    ):
        opened(read_model(str(tmp_path / "model")), "image", run)


def test_siglip_reads_text_without_sentencepiece(
    tiny_siglip: Path, tmp_path: Path, run: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_siglip, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "SiglipTokenizer"}))
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    wanted = words(read_model(str(tiny_siglip)), run, TEXTS)
    styled = [f"  {text.title()}!" for text in TEXTS]
    np.testing.assert_allclose(words(read_model(str(tmp_path / "model")), run, styled), wanted, atol=1e-6)
    (tmp_path / "model" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="pip install sentencepiece"):
        words(read_model(str(tmp_path / "model")), run, TEXTS)


def sounds(*seconds: float) -> list[Any]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, round(length * 48_000)).astype(np.float32) for length in seconds]


class FixedChoice:
    """Replaces `numpy.random.choice`, so that transformers chooses the same three segments as we do."""

    def __init__(self, bins: int) -> None:
        self.begins = iter((0, (bins - 1001) // 2, bins - 1001))

    def __call__(self, third: Any) -> Any:
        begin = next(self.begins)
        assert begin in third
        return begin


@pytest.mark.parametrize("engine", ["torch", pytest.param("onnxruntime", marks=pytest.mark.minutes)])
def test_fused_sound_equals_transformers_from_the_samples_on(
    tiny_clap_fused: Path, engine: str, run: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import ClapFeatureExtractor

    from engines.networks.clap_mel import ClapMel

    spec, model = read_model(str(tiny_clap_fused)), theirs(tiny_clap_fused)
    assert spec.audio is not None
    assert spec.audio.mel is not None
    front_end, extractor = ClapMel(spec.audio.mel), ClapFeatureExtractor.from_pretrained(tiny_clap_fused)
    tower = opened(spec, "audio", run, engine)
    for samples in sounds(2.3, 10.004, 23.0):
        longer = len(samples) >= 480_480
        monkeypatch.setattr(np.random, "choice", FixedChoice(len(samples) // 480 + 1))
        features = extractor(samples, sampling_rate=48_000, return_tensors="pt")["input_features"]
        log_mel = front_end(torch.from_numpy(samples)).numpy()
        np.testing.assert_allclose(log_mel.reshape(1, 4, 1001, 64), features.numpy(), atol=5e-3)
        with torch.inference_mode():
            audio = model.get_audio_features(input_features=features, is_longer=torch.tensor([[longer]]))
        got = tower.run({"log_mel": log_mel})["tokens"]
        np.testing.assert_allclose(got / np.linalg.norm(got), audio.pooler_output.numpy(), atol=1e-4)


def test_short_and_long_sounds_can_share_a_batch(tiny_clap_fused: Path, run: RunSettings) -> None:
    import torch

    from engines.networks.clap_mel import ClapMel

    spec = read_model(str(tiny_clap_fused))
    assert spec.audio is not None
    assert spec.audio.mel is not None
    front_end, tower = ClapMel(spec.audio.mel), opened(spec, "audio", run)
    mels = [front_end(torch.from_numpy(samples)).numpy() for samples in sounds(3, 14)]
    together = tower.run({"log_mel": np.concatenate(mels)})["tokens"]
    apart = np.concatenate([tower.run({"log_mel": mel})["tokens"] for mel in mels])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_sound_longer_than_ten_seconds_is_fully_covered_without_randomness(tiny_clap: Path) -> None:
    import torch
    from transformers import ClapFeatureExtractor

    from engines.networks.clap_mel import ClapMel

    mel = read_model(str(tiny_clap)).audio
    assert mel is not None
    assert mel.mel is not None
    (samples,) = sounds(23.0)
    patches = ClapMel(mel.mel)(torch.from_numpy(samples)).numpy()
    assert patches.shape == (3, 1001, 64)
    extractor = ClapFeatureExtractor.from_pretrained(tiny_clap)
    for patch, begin in zip(patches, (0, 312_000, 624_000), strict=True):
        wanted = extractor(samples[begin : begin + 480_000], sampling_rate=48_000)["input_features"][0][0]
        np.testing.assert_allclose(patch, wanted, atol=5e-3)


def test_a_sound_model_with_an_unsuitable_front_end_is_refused(tiny_clap: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_clap, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["audio_config"]["enable_fusion"] = True
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"truncation 'rand_trunc'.*expected 'fusion'"):
        read_model(str(tmp_path / "model"))
