from pathlib import Path

import msgspec
import pytest

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec, TextSpec, TowerSpec
from pipeline.errors import ModelError
from stages.words.vocabulary import known_words


def model(folder: Path, vocabulary: str) -> ModelSpec:
    tower = TowerSpec(network="n", space="s", directory=str(folder), vocabulary=vocabulary)
    return ModelSpec(name="made-up", texts={"s": TextSpec(network="t", dim=4)}, image=tower)


def test_the_bundled_towers_state_what_they_know() -> None:
    spec = read_model("percept-mini")
    assert len(known_words(spec, "image")) > 900
    assert "Speech" in known_words(spec, "audio")
    assert "panning left" in known_words(spec, "motion")
    assert not any("|" in word or word.startswith("#") for word in known_words(spec, "motion"))


def test_all_phrasings_of_each_word_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# heading\ndog|hound\n\ncat\ndog\n")
    assert known_words(model(tmp_path, "words.txt"), "image") == ("dog", "hound", "cat")
    assert known_words(model(tmp_path, ""), "image") == ()


def test_a_file_that_is_gone_is_reported_with_the_tower(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone.txt: .*expected the words that the image tower knows"):
        known_words(model(tmp_path, "gone.txt"), "image")


def test_a_model_without_the_setting_is_read_as_before() -> None:
    tower = msgspec.to_builtins(TowerSpec(network="n", space="s"))
    del tower["vocabulary"]
    assert msgspec.convert(tower, TowerSpec).vocabulary == ""
