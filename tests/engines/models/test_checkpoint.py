"""Model directories are found and read, and their towers equal transformers' own forward."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.models.checkpoint import center_of, find_model, read_model
from engines.models.model import ModelSpec
from engines.models.text_tower import TextTower
from engines.models.tower import improve_tower, open_tower, tower_key
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from tests.tiny_models import TEXTS, write_mov_like, write_preprocessor


def text_vectors(spec: ModelSpec, space: str, prompts: list[str], run: RunSettings) -> Any:
    tower = TextTower(spec.texts[space], run)
    vectors = tower.vectors(prompts)
    tower.close()
    return vectors


def theirs(directory: Path) -> Any:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import AutoModel

    return AutoModel.from_pretrained(directory).eval()


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_sound_and_text_equal_transformers_from_the_samples_on(tiny_clap: Path, engine: str, run: RunSettings) -> None:
    import torch
    from transformers import AutoTokenizer, ClapFeatureExtractor

    from engines.networks.clap_mel import ClapMel

    run = msgspec.structs.replace(run, engine=engine)
    spec = read_model(str(tiny_clap))
    assert spec.audio is not None
    assert spec.audio.mel is not None
    front_end, extractor = ClapMel(spec.audio.mel), ClapFeatureExtractor.from_pretrained(tiny_clap)
    tower, model = open_tower(spec, "audio", run, build=True), theirs(tiny_clap)
    for seconds in (2.3, 10.0):
        samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * 48_000)).astype(np.float32)
        features = extractor(samples, sampling_rate=48_000, return_tensors="pt")["input_features"]
        log_mel = front_end(torch.from_numpy(samples)).numpy()
        np.testing.assert_allclose(log_mel, features[:, 0].numpy(), atol=2e-3)
        with torch.inference_mode():
            wanted = model.get_audio_features(input_features=features).pooler_output.numpy()
        got = tower.run({"log_mel": log_mel})["tokens"]
        np.testing.assert_allclose(got / np.linalg.norm(got), wanted, atol=1e-4)
    batch = AutoTokenizer.from_pretrained(tiny_clap)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        words = model.get_text_features(batch["input_ids"], batch["attention_mask"]).pooler_output.numpy()
    np.testing.assert_allclose(text_vectors(spec, "clap", TEXTS, run), words, atol=1e-4)


def test_a_sound_model_is_combined_with_a_picture_model(tiny_clip: Path, tiny_clap: Path) -> None:
    spec = read_model(str(tiny_clip), str(tiny_clap))
    assert spec.audio is not None
    assert spec.audio.mel is not None
    assert (spec.audio.mel.sample_rate_hz, spec.audio.mel.context_s, spec.audio.mel.patch_bins) == (48_000, 10.0, 1001)
    assert {text.network for text in spec.texts.values()} == {"clip_text", "clap_text"}


def test_a_picture_model_as_audio_model_is_refused(tiny_clip: Path) -> None:
    with pytest.raises(ModelError, match="has no audio tower"):
        read_model("percept-mini", str(tiny_clip))


def test_a_long_prompt_is_truncated_to_the_towers_length(tiny_clip: Path, run: RunSettings) -> None:
    spec = read_model(str(tiny_clip))
    vectors = text_vectors(spec, "clip", ["word " * 2000, "a dog"], run)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)


def test_vectors_do_not_depend_on_other_prompts(tiny_clip: Path, run: RunSettings) -> None:
    spec = read_model(str(tiny_clip))
    many = text_vectors(spec, "clip", [*TEXTS, "a much longer text than all of the others here"] * 20, run)
    alone = text_vectors(spec, "clip", [TEXTS[1]], run)
    np.testing.assert_allclose(many[1], alone[0], atol=1e-5)
    np.testing.assert_allclose(many[-3], alone[0], atol=1e-5)


def test_a_clip_directory_is_read(tiny_clip: Path) -> None:
    spec = read_model(str(tiny_clip))
    assert spec.image is not None
    assert (spec.name, spec.image.size_px, spec.image.fit, spec.image.resample) == ("tiny-clip", 32, "crop", "bicubic")
    assert spec.image.temperature == pytest.approx(math.exp(-2.6592), rel=1e-3)
    assert (spec.motion, spec.audio) == (None, None)


def test_a_siglip_directory_is_read(tiny_siglip: Path) -> None:
    spec = read_model(str(tiny_siglip))
    assert spec.image is not None
    assert (spec.image.fit, spec.image.mean, spec.texts["siglip"].pad_to_max) == ("stretch", (0.5, 0.5, 0.5), True)
    assert spec.texts["siglip"].max_tokens == 64


def test_the_bundled_model_is_read_by_its_name() -> None:
    spec = read_model("percept-mini")
    assert spec.id.startswith("percept-mini@")
    assert set(spec.towers()) >= {"image", "audio"}
    assert Path(spec.directory).is_dir()


def test_a_second_model_provides_the_sound_tower(tiny_clip: Path) -> None:
    spec = read_model(str(tiny_clip), "percept-mini")
    assert spec.image is not None
    assert spec.audio is not None
    assert (spec.image.space, spec.texts[spec.audio.space].network) == ("clip", "mini_text")


def test_towers_of_the_same_files_share_a_key(tiny_clip: Path, tmp_path: Path) -> None:
    spec = read_model(str(write_mov_like(tmp_path, tiny_clip)))
    assert tower_key(spec, "image") == tower_key(spec, "motion") == tower_key(spec, "audio")
    mini = read_model("percept-mini")
    assert tower_key(mini, "image") != tower_key(mini, "audio")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("no-such-model", "no such directory"),
        ("./nowhere/at/all", "no such directory"),
        (__file__, "is a file"),
        ("percept-mini@1", "is not part of this release, which has version"),
        ("no-such-model@1", "no such directory"),
    ],
)
def test_a_missing_model_is_reported(name: str, part: str) -> None:
    with pytest.raises(ModelError, match=part):
        find_model(name)


def test_the_bundled_model_can_be_asked_for_by_its_version() -> None:
    assert read_model(read_model("percept-mini").id) == read_model("percept-mini")


def test_a_hub_id_that_cannot_be_fetched_is_reported_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="Download it once on a connected machine"):
        find_model("some-body/some-model")


def test_a_cached_copy_with_weights_is_used_without_the_hub(
    tiny_clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    copy = tmp_path / "models--some-body--some-model"
    (copy / "refs").mkdir(parents=True)
    (copy / "refs" / "main").write_text("0" * 40)
    shutil.copytree(tiny_clip, copy / "snapshots" / ("0" * 40))
    assert read_model("some-body/some-model").name == "some-body/some-model"
    (copy / "snapshots" / ("0" * 40) / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not in the local cache and HF_HUB_OFFLINE is set"):
        read_model("some-body/some-model")


def test_weights_in_shards_are_read(tiny_clip: Path, tmp_path: Path, run: RunSettings) -> None:
    shutil.copytree(tiny_clip, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    theirs(tiny_clip).save_pretrained(tmp_path / "model", max_shard_size="50KB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    spec = read_model(str(tmp_path / "model"))
    assert spec.image is not None
    assert spec.image.temperature == pytest.approx(math.exp(-2.6592), rel=1e-3)
    tower = open_tower(spec, "image", msgspec.structs.replace(run, engine="torch"))
    assert tower.run({"pictures": np.zeros((1, 3, 32, 32), np.float32)})["tokens"].shape == (1, 16)


def test_an_unknown_model_type_is_named_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "telepathy"}))
    with pytest.raises(ModelError, match="'telepathy'; expected one of align, clap, clip, metaclip_2, siglip"):
        read_model(str(tmp_path))


def test_a_pickled_checkpoint_is_refused_with_a_command_that_converts_it(tiny_clip: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    shutil.copytree(tiny_clip, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled weights can run any code") as refused:
        read_model(str(tmp_path / "model"))
    command = str(refused.value).partition("python -c")[2]
    subprocess.run(["sh", "-c", f"{sys.executable} -c {command}"], timeout=60, check=True)
    spec = read_model(str(tmp_path / "model"))
    assert spec.image is not None


def test_a_crop_smaller_than_the_resized_side_is_read(tiny_clip: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_clip, tmp_path / "model")
    write_preprocessor(tmp_path / "model", size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32})
    image = read_model(str(tmp_path / "model")).image
    assert image is not None
    assert (image.fit, image.resized_px, image.size_px) == ("crop", 40, 32)


def test_a_wrong_key_in_model_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(
        'name = "x"\n[texts]\n[image]\nnetwork = "clip_vision"\nspace = "a"\nsizepx = 3\n'
    )
    with pytest.raises(ModelError, match="sizepx"):
        read_model(str(tmp_path))


def test_a_missing_text_space_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text('name = "x"\n[texts]\n[image]\nnetwork = "clip_vision"\nspace = "a"\n')
    with pytest.raises(ModelError, match="image reads text space 'a'"):
        read_model(str(tmp_path))


def test_an_unknown_engine_is_named(tiny_clip: Path, run: RunSettings) -> None:
    with pytest.raises(ModelError, match="--engine abacus"):
        open_tower(read_model(str(tiny_clip)), "image", msgspec.structs.replace(run, engine="abacus"))


def test_a_tower_that_the_model_lacks_is_named(tiny_clip: Path, run: RunSettings) -> None:
    with pytest.raises(ModelError, match="no audio tower"):
        open_tower(read_model(str(tiny_clip)), "audio", run)


def test_an_engine_that_was_not_prepared_is_not_built_on_opening(tiny_clip: Path, tmp_path: Path) -> None:
    run = RunSettings(engine="onnxruntime", cache_directory=str(tmp_path))
    with pytest.raises(ModelError, match="not built yet"):
        open_tower(read_model(str(tiny_clip)), "image", run)


def test_auto_uses_torch_without_a_warning_until_another_engine_is_built(
    tiny_clip: Path, cache_without_engines: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunSettings(cache_directory=str(cache_without_engines))
    spec = read_model(str(tiny_clip))
    engine = open_tower(spec, "image", run)
    assert engine.name == "torch-fp32"
    assert engine.passed_over[-1].endswith("onnxruntime-fp32 are not built yet")
    assert "onnxruntime-fp32: not built yet; a run builds what it needs" in engine.reason
    assert not caplog.text
    assert improve_tower(spec, "image", run, lambda text: None)
    assert open_tower(spec, "image", run).name != "torch-fp32"
    assert not improve_tower(spec, "image", run, lambda text: None)


def test_preparing_twice_builds_once(tiny_clip: Path, cache_without_engines: Path) -> None:
    run, reported = RunSettings(engine="onnxruntime", cache_directory=str(cache_without_engines)), list[str]()
    spec = read_model(str(tiny_clip))
    improve_tower(spec, "image", run, reported.append)
    improve_tower(spec, "image", run, reported.append)
    assert len([text for text in reported if text.startswith("building")]) == 1
    assert open_tower(spec, "image", run).name == "onnxruntime-fp32"


def test_reading_a_model_imports_no_network_library() -> None:
    code = (
        "import sys; from engines.models.checkpoint import read_model; read_model('percept-mini'); "
        "print([name for name in ('torch', 'transformers', 'onnxruntime', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_center_is_named(tmp_path: Path) -> None:
    spec = read_model("percept-mini")
    assert spec.image is not None
    lost = msgspec.structs.replace(spec.image, directory=str(tmp_path), center="gone.safetensors:center")
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        center_of(spec, lost)
    assert center_of(spec, msgspec.structs.replace(spec.image, center="")) is None
