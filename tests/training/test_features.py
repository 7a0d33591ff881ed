"""Features of labelled media, with the bundled model on the bundled sample."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.stage import RunSettings
from stages.encode import pool
from stages.words.word import BUNDLED_MODEL
from tests.conftest import ROOT
from training import encoder as encoder_module
from training.data.example import Example
from training.feature_cache import TRIES, FeatureCache
from training.features import ClipPart, Features, load, save

SAMPLE = str(BUNDLED_MODEL.parent / "sample.mp4")
DOG, SHEEP = Example(SAMPLE, "dog", 0.0, 2.0), Example(SAMPLE, "sheep", 4.0, 8.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def quiet(message: str) -> None:
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


def settings(root: Path, **more: object) -> RunSettings:
    given: dict[str, object] = {"modalities": ("image", "audio"), **more}
    return RunSettings(cache_directory=str(root / "engines"), engine="torch", threads=2, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def broken(root: Path) -> Example:
    path = root / "broken.mp4"
    path.write_bytes(b"no video at all")
    return Example(str(path), "dog")


@pytest.fixture(scope="module")
def cache(root: Path, broken: Example) -> FeatureCache:
    """Filled with two parts of the sample and a file that cannot be read."""
    cache = FeatureCache(root / "cache", settings(root))
    ticks: list[tuple[int, int, int]] = []
    cache.fill([DOG, broken, SHEEP, DOG], quiet, lambda *counts: ticks.append(counts))
    assert ticks == [(1, 3, 0), (2, 3, 1), (3, 3, 1)]
    return cache


def test_an_example_keeps_tokens_and_signals_of_each_clip(cache: FeatureCache) -> None:
    features = cache.get(SHEEP)
    assert features is not None
    assert [(part.start_s, part.end_s) for part in features.clips] == [(4.0, 6.0), (6.0, 8.0)]
    assert {"image", "audio"} <= set(features.tokens)
    for name, tokens in features.tokens.items():
        assert sum(part.counts[name] for part in features.clips) == len(tokens)
        assert tokens.dtype == np.float32
        np.testing.assert_array_equal(features.embeddings[name], pool(tokens))
    each = [part.signals["audio"]["loudness_dbfs"] for part in features.clips]
    assert features.signals["audio"]["loudness_dbfs"] == pytest.approx(np.mean(each))


def test_clips_that_are_split_and_joined_again_are_the_same(cache: FeatureCache) -> None:
    features = cache.get(SHEEP)
    assert features is not None
    joined = Features.of_clips(features.by_clip())
    assert joined.clips == features.clips
    for name, tokens in features.tokens.items():
        np.testing.assert_array_equal(joined.tokens[name], tokens)


def test_a_file_that_cannot_be_read_costs_only_itself(cache: FeatureCache, broken: Example) -> None:
    assert cache.get(broken) is None
    assert "broken.mp4: Invalid data found" in cache.failures[cache.key(broken)]


def test_cached_features_are_not_computed_again(
    root: Path, cache: FeatureCache, broken: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "Encoder", None)
    again = FeatureCache(root / "cache", settings(root))
    again.fill([DOG, broken, SHEEP], quiet)
    assert again.get(DOG) is not None
    assert again.failures == cache.failures
    assert "torch" in again.facts()["engine"]


def test_other_clips_and_towers_have_other_folders(root: Path, cache: FeatureCache) -> None:
    others = [
        settings(root, clip_ns=4_000_000_000),
        settings(root, modalities=("image",)),
        settings(root, precision="bf16"),
    ]
    folders = {FeatureCache(root / "cache", other).folder for other in others} | {cache.folder}
    assert len(folders) == 4


def test_a_changed_file_is_read_again(root: Path, cache: FeatureCache, broken: Example) -> None:
    key = cache.key(broken)
    Path(broken.path).write_bytes(b"no video at all, and longer")
    assert FeatureCache(root / "cache", settings(root)).key(broken) != key
    Path(broken.path).unlink()
    gone = FeatureCache(root / "cache", settings(root))
    assert gone.get(broken) is None
    assert "No such file" in gone.failures[gone.key(broken)]


def test_tokens_on_disk_are_within_half_precision(tmp_path: Path) -> None:
    tokens = {"image": np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)}
    part = ClipPart(0.0, 2.0, {"image": 5}, {"image": {"contrast": 0.5}})
    save(Features(tokens, {"image": {"contrast": 0.5}}, (part,)), tmp_path / "a.safetensors")
    found = load(tmp_path / "a.safetensors")
    np.testing.assert_allclose(found.tokens["image"], tokens["image"], rtol=1e-3, atol=1e-6)
    assert (found.signals, found.clips) == ({"image": {"contrast": 0.5}}, (part,))
    large = {"image": np.full((1, 2), 1e6, np.float32)}
    save(Features(large, {}), tmp_path / "b.safetensors")
    assert load(tmp_path / "b.safetensors").tokens["image"].tolist() == [[1e6, 1e6]]


class Fatal:
    """An encoder that crashes on one file without a message, as a faulty decoder would."""

    def __init__(self, run: RunSettings, report: object) -> None:
        pass

    def describe(self) -> dict[str, str]:
        return {}

    def example(self, example: Example) -> Features:
        if example.label == "fatal":
            os._exit(77)
        return Features({"image": np.ones((1, 2), np.float32)}, {})

    def close(self) -> None:
        pass


def test_a_file_that_crashes_the_process_is_skipped_after_a_few_tries(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp4").write_text(name)
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.training import test_features as t; from training import feature_cache\n"
        f"feature_cache.Encoder = t.Fatal; root = Path({str(tmp_path)!r})\n"
        "examples = [t.Example(str(root / 'a.mp4'), 'fatal'), t.Example(str(root / 'b.mp4'), 'fine')]\n"
        "cache = t.FeatureCache(root / 'cache', t.settings(root)); cache.fill(examples, print)\n"
        "assert cache.get(examples[1]) is not None; print(*cache.failures.values())"
    )
    command = [sys.executable, "-c", script]
    done = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60) for _ in range(TRIES + 1)]
    assert [each.returncode for each in done] == [77] * TRIES + [0], done[-1].stderr
    assert f"crashed the process {TRIES} times" in done[-1].stdout


def test_features_can_be_reduced_to_one_picture_or_to_some_modalities() -> None:
    tokens = {"image": np.arange(10, dtype=np.float32).reshape(5, 2), "audio": np.ones((1, 2), np.float32)}
    features = Features(tokens, {"image": {"contrast": 1.0}, "audio": {"loudness_dbfs": -3.0}})
    middle = features.middle_picture()
    assert middle.tokens["image"].tolist() == [[4.0, 5.0]]
    assert set(middle.tokens) == set(middle.signals) == {"image"}
    assert set(features.only("audio").tokens) == {"audio"}
    assert not Features({}, {}).middle_picture().tokens


def test_a_time_range_beyond_the_end_is_reported(root: Path, cache: FeatureCache) -> None:
    beyond = Example(SAMPLE, "dog", 500.0, 502.0)
    cache.fill([beyond], quiet)
    assert cache.get(beyond) is None
    assert "sample.mp4: nothing at or after the start of 500 s" in cache.failures[cache.key(beyond)]
