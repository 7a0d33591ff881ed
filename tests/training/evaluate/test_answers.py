from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.models.model import FusionSpec, ModelSpec
from pipeline.errors import ConfigError
from training.data.example import Example
from training.evaluate.answers import POOLED, Answered, answer_of, known_labels, places
from training.evaluate.evaluate import Task, few, line_of, novel_labels
from training.evaluate.report import Failure


def test_a_label_is_found_by_its_synonyms_in_any_spelling() -> None:
    found = places(["vehicle > Car|automobile", "dog barking"])
    assert found == {"car": 0, "automobile": 0, "dog barking": 1}
    examples = [Example("a", "Automobile"), Example("b", "dog_barking"), Example("c", "rain")]
    known, others = known_labels(examples, ["car|automobile", "dog barking"])
    assert [example.path for example in known] == ["a", "b"]
    assert [example.path for example in others] == ["c"]
    with pytest.raises(ConfigError, match=r"contains none of the data's labels \(rain\)"):
        known_labels(examples[2:], ["wind"])


def test_a_few_examples_are_balanced_over_labels() -> None:
    examples = [Example(f"{number}", "common") for number in range(20)] + [Example("x", "rare"), Example("y", "rare")]
    chosen = few(examples, 6, seed=1)
    assert [example.label for example in chosen].count("rare") == 2
    assert chosen == few(examples, 6, seed=1) != few(examples, 6, seed=2)
    assert chosen == sorted(chosen, key=examples.index)


def test_ranks_are_among_all_labels_within_a_side_and_by_cosine() -> None:
    odds, similarity = np.array([2.0, 3.0, 1.0, 3.0, -1.0, 0.0]), np.array([0.1, 0.2, 0.5, 0.4, 0.3, 0.0])
    is_novel = np.array([False, False, True, True, True, False])
    by_name = np.array([0, 5, 1, 2, 3, 4])
    found = answer_of(odds, 2, by_name, is_novel, similarity)
    assert found.top == (3, 1, 0, 2, 5), "ties are broken by name"
    assert (found.rank, found.own_rank, found.cosine_rank) == (3, 1, 0)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert found.share == pytest.approx(np.exp(3.0) / np.exp(odds).sum())
    assert found.right_probability == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert answer_of(odds, 2, by_name, is_novel).cosine_rank is None


def test_novel_labels_are_those_outside_the_base_of_the_user_or_of_the_head(tmp_path: Path) -> None:
    labels = ["vehicle > Car|automobile", "dog barking", "rain"]
    (tmp_path / "base.txt").write_text("dog_barking\nautomobile\n")
    spec = ModelSpec(name="made", texts={}, fusion=FusionSpec(directory=str(tmp_path), base="base.txt"))
    plain = msgspec.structs.replace(spec, fusion=None)

    def novel(given: str, model: ModelSpec = plain) -> frozenset[str]:
        return novel_labels(Task(data="", features=tmp_path, base_novel=given), model, labels)

    assert novel("") == frozenset()
    assert novel("", spec) == novel(str(tmp_path / "base.txt")) == {"rain"}
    assert novel("0") | novel("1") | novel("2") <= {"Car", "dog barking", "rain"}
    (tmp_path / "other.txt").write_text("siren\n")
    for name, message in (("other.txt", "contains none of the labels"), ("gone.txt", "No such file")):
        with pytest.raises(ConfigError, match=rf"--base-novel .*{name}: {message}"):
            novel(str(tmp_path / name))


def test_a_line_about_an_example_says_what_was_found_and_what_is_right() -> None:
    odds, nothing = np.array([0.0, 2.0, 1.0]), np.zeros(3, bool)
    names = ("cat", "dog", "rain")

    def line(right: int) -> str:
        answer = answer_of(odds, right, np.arange(3), nothing)
        return line_of(Answered(Example("/clips/a.mp4", names[right]), right, {POOLED: answer}), names)

    assert line(1) == "a.mp4: dog (88%), right"
    assert line(0) == "a.mp4: dog (88%), but it is cat, number 3"
    assert line_of(Failure("/clips/b.mp4", "cat", "no video stream"), names) == "b.mp4: failed: no video stream"
