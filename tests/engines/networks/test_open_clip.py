"""Checkpoints in open_clip format: read without open_clip, and equal to its own forward if it is installed."""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.models.checkpoint import read_model
from engines.models.text_tower import TextTower
from engines.models.tower import open_tower
from engines.networks import open_clip_format
from pipeline.errors import ModelError
from pipeline.stage import RunSettings

TEXTS = ["a photo of a dog", "rain on a tin roof", "people talking"]
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "resize_mode": "shortest"},
}


def write_config(directory: Path, **prepared: Any) -> Path:
    directory.mkdir(exist_ok=True)
    config = {**CONFIG, "preprocess_cfg": {**CONFIG["preprocess_cfg"], **prepared}}
    (directory / "open_clip_config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates an installed open_clip."""
    monkeypatch.setattr(open_clip_format, "find_spec", lambda name: name)


@pytest.fixture
def with_scale(tmp_path: Path) -> Path:
    from safetensors.numpy import save_file

    directory = write_config(tmp_path / "model")
    save_file({"logit_scale": np.array(4.0, np.float32)}, directory / "open_clip_model.safetensors")
    return directory


@pytest.mark.usefixtures("installed")
def test_a_directory_is_read(with_scale: Path) -> None:
    spec = read_model(str(with_scale))
    assert spec.image is not None
    assert (spec.image.network, spec.image.size_px, spec.image.fit, spec.image.resample) == (
        "open_clip_vision", 32, "crop", "bicubic",
    )  # fmt: skip
    assert (spec.image.mean, spec.image.std) == ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    assert spec.image.temperature == pytest.approx(math.exp(-4))
    text = spec.texts["open_clip"]
    assert (text.dim, text.max_tokens) == (16, 20)


@pytest.mark.usefixtures("installed")
def test_squash_is_read_as_stretch_and_padding_is_refused(with_scale: Path) -> None:
    write_config(with_scale, resize_mode="squash", interpolation="bilinear")
    image = read_model(str(with_scale)).image
    assert image is not None
    assert (image.fit, image.resample) == ("stretch", "bilinear")
    write_config(with_scale, resize_mode="longest")
    with pytest.raises(ModelError, match="resize_mode 'longest'"):
        read_model(str(with_scale))


def test_without_open_clip_the_install_command_is_reported(with_scale: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip_format, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="Run: pip install open_clip_torch"):
        read_model(str(with_scale))


@pytest.mark.usefixtures("installed")
def test_a_pickled_checkpoint_is_refused_with_a_command_that_converts_it(tmp_path: Path) -> None:
    import torch

    directory = write_config(tmp_path / "model")
    torch.save({"logit_scale": torch.tensor(4.0)}, directory / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelError, match=r"expected open_clip_model\.safetensors") as refused:
        read_model(str(directory))
    command = str(refused.value).partition("python -c")[2]
    subprocess.run(["sh", "-c", f"{sys.executable} -c {command}"], timeout=60, check=True)
    assert read_model(str(directory)).image is not None


@pytest.mark.usefixtures("installed")
def test_transformers_format_is_used_if_a_directory_has_both(with_scale: Path, tmp_path: Path) -> None:
    from tests.tiny_models import make_tiny_clip

    both = make_tiny_clip(tmp_path / "both")
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        (both / name).write_bytes((with_scale / name).read_bytes())
    assert set(read_model(str(both)).texts) == {"clip"}
    (both / "model.safetensors").unlink()
    assert set(read_model(str(both)).texts) == {"open_clip"}


needs_open_clip = pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip_torch is not installed")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    import open_clip
    import torch
    from safetensors.torch import save_file

    directory = write_config(tmp_path / "tiny")
    torch.manual_seed(0)
    model = open_clip.CLIP(**CONFIG["model_cfg"])
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()},
              directory / "open_clip_model.safetensors")  # fmt: skip
    return directory


@needs_open_clip
@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_logits_equal_those_of_open_clip(tiny: Path, engine: str, tmp_path: Path) -> None:
    import open_clip
    import torch

    model = open_clip.create_model_from_pretrained(f"local-dir:{tiny}", return_transform=False).eval()
    spec = read_model(str(tiny))
    assert spec.image is not None
    run = RunSettings(engine=engine, cache_directory=str(tmp_path / "cache"))
    pictures = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    got = open_tower(spec, "image", run, build=True).run({"pictures": pictures})["tokens"]
    tower = TextTower(spec.texts["open_clip"], msgspec.structs.replace(run, engine="torch"))
    vectors = tower.vectors(TEXTS)
    tower.close()
    with torch.inference_mode():
        ids = open_clip.get_tokenizer(f"local-dir:{tiny}")(TEXTS)
        wanted, _ = model.get_logits(torch.from_numpy(pictures), ids)
    cosines = got @ vectors.T / np.linalg.norm(got, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, wanted.numpy() * spec.image.temperature, atol=1e-4)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


@needs_open_clip
@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_pictures_equal_those_of_its_transform(tiny: Path, mode: str) -> None:
    import open_clip
    from PIL import Image

    from stages.pictures import frame_pictures

    write_config(tiny, resize_mode=mode)
    tower = read_model(str(tiny)).image
    assert tower is not None
    _, transform = open_clip.create_model_from_pretrained(f"local-dir:{tiny}")
    frame = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)
    apart = frame_pictures(frame[None], tower)[0] - transform(Image.fromarray(frame)).numpy()
    assert np.abs(apart * np.reshape(tower.std, (3, 1, 1)) * 255).max() <= 3.01
