import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engines.models.model import ModelSpec, TextSpec, TowerSpec
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.words import word as words_module
from stages.words.label_vectors import fill, mixed
from stages.words.labels import LabelSet, build_label_set
from stages.words.text_cache import TextCache
from stages.words.word import clean_labels, parse_labels

DIM = 32


class Tower:
    """A text tower whose vectors depend on the text alone, and that records its prompts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, spec: ModelSpec, space: str, run: RunSettings) -> "Tower":
        return self

    def close(self) -> None: ...

    def vectors(self, prompts: Sequence[str]) -> np.ndarray:
        self.asked += prompts
        seeds = [int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "little") for prompt in prompts]
        vectors = np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def quiet(message: str) -> None: ...


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "background.txt").write_text("".join(f"word {i}\n" for i in range(40)))
    (tmp_path / "model" / "text.safetensors").write_bytes(b"weights")
    image = TowerSpec(network="n", space="s", prompts=("a photo of {}", "{}"), temperature=0.1)
    audio = TowerSpec(network="n", space="s", prompts=("the sound of {}",), temperature=0.2, bias=-1.0)
    texts = {"s": TextSpec(network="t", dim=DIM)}
    return ModelSpec(name="fake", directory=str(tmp_path / "model"), texts=texts, image=image, audio=audio)


def settings(tmp_path: Path, **more: object) -> RunSettings:
    return RunSettings(cache_directory=str(tmp_path / "cache"), directory=str(tmp_path), **more)  # type: ignore[arg-type]


def test_labels_come_from_a_list_with_commas() -> None:
    assert parse_labels(" dog  barking, rain,,rain , Straße") == ("dog barking", "rain", "Straße")


def test_labels_come_from_a_file_with_comments_blank_lines_and_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbf# words\nrain, heavy\n\n\xe7\x8a\xac\nrain, heavy\r\n")
    assert parse_labels(f"@{path}") == ("rain, heavy", "犬")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no label found"),
        (" , ,", "no label found"),
        ("@nowhere.txt", "No such file"),
        ("@/", "Is a directory"),
        ("x" * 10_000, "10,000 characters"),
        ("bell\x07", "control characters"),
    ],
)
def test_labels_that_cannot_be_used_are_reported_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        parse_labels(text)
    assert str(raised.value).startswith("--labels")
    assert str(raised.value).endswith(".")


def test_a_file_that_is_not_utf8_or_empty_is_reported(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"Stra\xdfe\n")
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        parse_labels(f"@{tmp_path / 'latin.txt'}")
    with pytest.raises(ConfigError, match="no label found"):
        parse_labels(f"@{tmp_path / 'empty.txt'}")


def test_all_wrong_labels_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        clean_labels(["fine", "a" * 600, "b" * 700])
    assert "600 characters" in str(raised.value)
    assert "700 characters" in str(raised.value)


def test_a_template_is_filled_as_text_whatever_the_word_contains() -> None:
    assert fill(["a {}", "{}"], ["{0}", "%s"]) == ["a {0}", "a %s", "{0}", "%s"]


def test_templates_are_averaged_centred_and_unit_length() -> None:
    vectors, center = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32), np.full(5, 0.3)
    wanted = (vectors[:3] + vectors[3:]) / 2 - center
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(mixed(vectors.reshape(2, 3, 5), np.array([0.5, 0.5]), center), wanted, atol=1e-6)


def test_a_label_set_survives_saving_and_loading(tmp_path: Path, spec: ModelSpec) -> None:
    made = build_label_set(spec, ("rain", "犬"), settings(tmp_path), quiet, Tower())
    made.save(tmp_path / "labels.safetensors")
    read = LabelSet.load(tmp_path / "labels.safetensors")
    assert (read.labels, read.background, set(read.sides)) == (("rain", "犬"), made.background, {"image", "audio"})
    assert (read.sides["audio"].temperature, read.sides["audio"].bias) == (0.2, -1.0)
    for name, side in made.sides.items():
        np.testing.assert_array_equal(read.sides[name].labels, side.labels)
        np.testing.assert_array_equal(read.sides[name].background, side.background)
        np.testing.assert_array_equal(read.sides[name].kept, side.kept)
    assert made.box_names is not None
    assert read.box_names is not None
    assert (read.box_names.names, read.box_names.own) == (made.box_names.names, made.box_names.own)
    np.testing.assert_array_equal(read.box_names.side.labels, made.box_names.side.labels)


def test_only_the_modalities_of_the_run_get_a_side(tmp_path: Path, spec: ModelSpec) -> None:
    assert set(build_label_set(spec, ("rain",), settings(tmp_path, modalities=("audio",)), quiet, Tower()).sides) == {
        "audio"
    }


def test_a_second_run_reads_its_vectors_from_disk(tmp_path: Path, spec: ModelSpec) -> None:
    first = build_label_set(spec, ("rain", "dog"), settings(tmp_path), quiet, Tower())
    tower = Tower()
    second = build_label_set(spec, ("dog", "cat", "rain"), settings(tmp_path), quiet, tower)
    assert sorted(tower.asked) == sorted(["a photo of cat", "cat", "the sound of cat"])
    np.testing.assert_array_equal(second.sides["image"].labels[[2, 0]], first.sides["image"].labels)


def test_a_changed_text_tower_does_not_read_the_old_vectors(tmp_path: Path, spec: ModelSpec) -> None:
    TextCache(spec, "s", settings(tmp_path), Tower()).vectors(["rain"], quiet)
    (tmp_path / "model" / "text.safetensors").write_bytes(b"weightz")
    tower = Tower()
    TextCache(spec, "s", settings(tmp_path), tower).vectors(["rain"], quiet)
    assert tower.asked == ["rain"]


def test_vectors_that_a_model_ships_are_not_computed_again(tmp_path: Path, spec: ModelSpec) -> None:
    TextCache(spec, "s", settings(tmp_path), Tower()).vectors(["rain"], quiet)
    (shard,) = (tmp_path / "cache").rglob("*.npz")
    shard.rename(tmp_path / "model" / "text-vectors.npz")
    tower = Tower()
    TextCache(spec, "s", settings(tmp_path), tower).vectors(["rain"], quiet)
    assert tower.asked == []


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_file_is_rebuilt(tmp_path: Path, spec: ModelSpec, damage: bytes | None) -> None:
    wanted = TextCache(spec, "s", settings(tmp_path), Tower()).vectors(["rain", "dog"], quiet)
    (shard,) = (tmp_path / "cache").rglob("*.npz")
    whole = shard.read_bytes()
    flipped = whole[:-400] + bytes([whole[-400] ^ 0xFF]) + whole[-399:]
    shard.write_bytes(whole[: len(whole) // 2] if damage is None else damage or flipped)
    tower = Tower()
    np.testing.assert_array_equal(
        TextCache(spec, "s", settings(tmp_path), tower).vectors(["rain", "dog"], quiet), wanted
    )
    assert tower.asked == ["rain", "dog"]
    assert TextCache(spec, "s", settings(tmp_path), tower).vectors(["dog"], quiet).shape == (1, DIM)
    assert tower.asked == ["rain", "dog"]


def test_a_cache_file_of_another_size_is_rebuilt(tmp_path: Path, spec: ModelSpec) -> None:
    TextCache(spec, "s", settings(tmp_path), Tower()).vectors(["rain"], quiet)
    (shard,) = (tmp_path / "cache").rglob("*.npz")
    with np.load(shard) as arrays:
        keys = arrays["keys"]
    np.savez(shard, keys=keys, vectors=np.ones((1, DIM + 1), np.float32))
    assert TextCache(spec, "s", settings(tmp_path), Tower()).vectors(["rain"], quiet).shape == (1, DIM)


def test_many_small_additions_are_merged_and_none_is_lost(tmp_path: Path, spec: ModelSpec) -> None:
    for i in range(70):
        TextCache(spec, "s", settings(tmp_path), Tower()).vectors([f"word {i}"], quiet)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) < 70
    tower = Tower()
    TextCache(spec, "s", settings(tmp_path), tower).vectors([f"word {i}" for i in range(70)], quiet)
    assert tower.asked == []


def test_ten_thousand_labels_use_one_template_and_show_progress(tmp_path: Path, spec: ModelSpec) -> None:
    messages: list[str] = []
    tower = Tower()
    many = tuple(f"thing {i}" for i in range(10_000))
    made = build_label_set(spec, many, settings(tmp_path, modalities=("image",)), messages.append, tower)
    assert made.sides["image"].labels.shape == (10_000, DIM)
    assert sum(prompt.startswith("a photo of thing") for prompt in tower.asked) == 10_000
    assert "thing 7" not in tower.asked
    assert "word 7" in tower.asked
    assert len(messages) > 20
    assert "10,000 of 10,000" in "".join(messages)


def test_there_are_default_labels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not (words_module.BUNDLED_MODEL / "vocabulary.txt").is_file():
        (tmp_path / "vocabulary.txt").write_text("rain\ndog barking\n")
        monkeypatch.setattr(words_module, "BUNDLED_MODEL", tmp_path)
    assert len(words_module.default_labels()) >= 2


def test_colours_that_are_not_measured_bring_a_warning(
    tmp_path: Path, spec: ModelSpec, caplog: pytest.LogCaptureFixture
) -> None:
    run = replace(settings(tmp_path), find=("dog", "Red and white car"))
    build_label_set(spec, ("rain",), run, quiet, Tower())
    assert [record.message for record in caplog.records if "'Red and white car'" in record.message]
    caplog.clear()
    build_label_set(spec, ("rain",), replace(run, find=("dog", "orange", "red car", "brown bear")), quiet, Tower())
    assert not caplog.records


def test_errors_name_the_option_that_the_words_are_of() -> None:
    with pytest.raises(ConfigError, match=r"--find: no label found; expected at least one, such as --find 'dog"):
        parse_labels(",", "--find")
    with pytest.raises(ConfigError, match=r"--find @nofile\.txt: No such file"):
        parse_labels("@nofile.txt", "--find")
