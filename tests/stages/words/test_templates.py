"""Prompt templates and their weights."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.models.model import ModelSpec
from pipeline.errors import ConfigError
from stages.words.labels import build_label_set
from stages.words.template_pool import POOL
from stages.words.templates import Found, Templates, read_templates, template_file, templates_of
from tests.stages.words.test_labels import Tower, quiet, settings, spec

__all__ = ["spec"]


def file_of(tmp_path: Path, content: object, name: str = "w.json") -> str:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_models_own_prompts_are_used_unless_others_are_chosen(spec: ModelSpec) -> None:
    assert templates_of("model", spec, "image") == Templates(("a photo of {}", "{}"), (0.5, 0.5))
    pool = templates_of("pool", spec, "audio")
    assert pool.texts[0] == "the sound of {}"
    assert set(pool.texts) == {*POOL["audio"]}
    assert sum(pool.weights) == pytest.approx(1.0)
    assert templates_of("zpe", spec, "audio") == pool


def test_the_template_weights_of_a_model_are_used(spec: ModelSpec) -> None:
    assert spec.image is not None
    image = msgspec.structs.replace(spec.image, prompt_weights=(3.0, 1.0))
    weighted = msgspec.structs.replace(spec, image=image)
    assert templates_of("model", weighted, "image").weights == (0.75, 0.25)


@pytest.mark.parametrize("modality", POOL)
def test_pools_contain_each_template_once(modality: str) -> None:
    assert len(set(POOL[modality])) == len(POOL[modality]) >= 8
    assert all(text.count("{}") == 1 for text in POOL[modality])


def test_a_text_file_has_one_template_per_line_for_every_modality(tmp_path: Path, spec: ModelSpec) -> None:
    path = file_of(tmp_path, "# mine\n\n a drawing of {} \n{}\na drawing of {}\n", "t.txt")
    assert templates_of(path, spec, "image") == Templates(("a drawing of {}", "{}"), (0.5, 0.5))
    assert templates_of(f"zpe:{path}", spec, "audio").texts == ("a drawing of {}", "{}")


def test_weights_are_read_back_best_first(tmp_path: Path, spec: ModelSpec) -> None:
    found = Found(("{}", "a {}", "no {}"), np.array([0.25, 0.75, 0.0]), np.array([1.0, 2.0, 0.1]), 40)
    path = file_of(tmp_path, template_file("m@1", {"image": found}).decode())
    assert json.loads(Path(path).read_text())["clips"] == {"image": 40}
    assert read_templates(path) == {"image": Templates(("a {}", "{}"), (0.75, 0.25))}
    assert templates_of(path, spec, "audio") == templates_of("model", spec, "audio")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("a photo of\n", "t.txt", "'a photo of' has no {}"),
        ("# nothing\n", "t.txt", "has no template"),
        ("{", "w.json", "expected a file from `percept labels weigh`"),
        ({"templates": {"image": [{"template": "{}", "weight": 0}]}}, "w.json", "weights must be 0 or more"),
        ({"templates": {"image": [{"template": "{}", "weight": -1}]}}, "w.json", "weights must be 0 or more"),
        ({"templates": {"image": [{"template": "x", "weight": 1}]}}, "w.json", "'x' has no {}"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: object, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_templates(file_of(tmp_path, content, name))


def test_label_vectors_are_the_weighted_mean_of_their_templates(tmp_path: Path, spec: ModelSpec) -> None:
    rows = [{"template": "a {}", "weight": 3}, {"template": "no {}", "weight": 1}, {"template": "x {}", "weight": 0}]
    path = file_of(tmp_path, {"templates": {"image": rows}})
    tower = Tower()
    made = build_label_set(spec, ("dog",), settings(tmp_path, templates=path, modalities=("image",)), quiet, tower)
    mean = np.array([0.75, 0.25]) @ Tower().vectors(["a dog", "no dog"]).astype(np.float64)
    np.testing.assert_allclose(made.sides["image"].labels[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert not any(prompt.startswith("x ") for prompt in tower.asked)


def test_a_duplicate_template_changes_nothing(tmp_path: Path, spec: ModelSpec) -> None:
    once, twice = (
        file_of(tmp_path, text, name) for name, text in (("1.txt", "{}\na {}\n"), ("2.txt", "{}\na {}\na {}\n"))
    )
    one, other = (
        build_label_set(spec, ("dog", "rain"), settings(tmp_path, templates=path), quiet, Tower()).sides["image"]
        for path in (once, twice)
    )
    np.testing.assert_array_equal(one.labels, other.labels)
