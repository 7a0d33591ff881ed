from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec, TextSpec, TowerSpec
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.words import scoring
from stages.words.adapted import adapted, moved
from stages.words.label_side import LabelSide
from training.adapt.adapt import _composed
from training.adapt.adapter import Adapter
from training.adapt.choose import BLIND, choose
from training.adapt.examples import Examples, Kept, of_features
from training.adapt.folds import clip_folds, label_folds
from training.adapt.learn import Choice, learn, loss_of
from training.adapt.measure import Change, Worth, change, measure
from training.adapt.store import Known, known, steps, undo, write_step
from training.intervals import wilson

DIM = 24
LABELS = ("cat", "dog", "rain", "saw")


def unit(values: Array) -> Array:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def side(labels: tuple[str, ...] = LABELS, seed: int = 0) -> LabelSide:
    """A label's vector depends only on its name and the seed."""
    words = np.stack([np.random.default_rng([seed, *label.encode()]).standard_normal(DIM) for label in labels])
    background = unit(np.random.default_rng(seed + 99).standard_normal((40, DIM)))
    words = unit(words)
    return LabelSide(words.astype(np.float32), background, scoring.competing(words, background), 0.1, 0.5)


def examples(each: int = 6, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Examples:
    """Clips of a label are scattered around a point between the vector of its words and a random direction."""
    kept, found = [], []
    for label in labels:
        chance = np.random.default_rng([seed, *label.encode()])
        place = unit(side((label,)).labels[0] + 1.2 * unit(chance.standard_normal(DIM)))
        for number in range(each):
            key = f"{label} {number}"
            kept.append(Kept(key, label, f"{key}.wav", signals={"audio": {"loudness_dbfs": -20.0}}))
            noise = np.random.default_rng([seed, number, *label.encode()]).standard_normal(DIM)
            found.append({"audio": unit(place + 0.7 * unit(noise)).astype(np.float32)})
    return of_features(kept, found)


def adapter(given: Examples, labels: tuple[str, ...] = LABELS, first_rival: int = 4) -> Adapter:
    return Adapter(given, labels, {"audio": side(labels)}, first_rival)


def rows(given: Adapter) -> Array:
    return np.arange(len(given.right))


def test_learning_raises_the_likelihood_and_leaves_vectors_of_other_labels_unchanged() -> None:
    given = adapter(examples(labels=("cat", "dog")))
    problem = given.problems["audio"]
    deltas = learn(problem, rows(given), np.arange(4), 3.0)
    assert not deltas[2:].any()
    assert moved(problem.words, deltas)[2:].tobytes() == problem.words[2:].tobytes()
    before, after = (loss_of(problem.odds(of, rows(given)), problem.right).mean() for of in (0 * deltas, deltas))
    assert after < before


def test_a_higher_pull_keeps_vectors_nearer_to_the_words() -> None:
    problem, every = adapter(examples()).problems["audio"], rows(adapter(examples()))
    far, near = (np.linalg.norm(learn(problem, every, np.arange(4), pull)) for pull in (3.0, 30.0))
    assert near < 0.5 * far


def test_learnt_labels_do_not_win_the_clips_of_labels_that_have_only_words() -> None:
    """Without the term that protects other labels, they would."""
    given = adapter(examples(each=8))
    problem = given.problems["audio"]
    out = problem.right == 3
    learnt = learn(problem, rows(given)[~out], np.arange(3), 3.0)
    words = problem.odds(np.zeros_like(learnt), rows(given)[out])
    lost = (words.argmax(1) == 3) & (problem.odds(learnt, rows(given)[out]).argmax(1) != 3)
    assert lost.mean() <= 0.15


def test_the_loss_is_the_cross_entropy_among_labels_and_background() -> None:
    odds = np.array([[1.0, -1.0]])
    wanted = np.log(np.exp(1.0) + np.exp(-1.0) + 1.0) + 1.0
    assert loss_of(odds, np.array([1]))[0] == pytest.approx(wanted)


def test_with_one_example_per_label_nothing_is_chosen_and_no_gain_is_reported() -> None:
    given = adapter(examples(each=1))
    assert choose(given.problems["audio"], rows(given), given.groups, given.rivals) == BLIND
    worth = measure(given, np.zeros(0, np.int64), lambda done, total: None)
    assert worth.adapted is None
    assert not worth.helps


def test_random_examples_hardly_move_the_vectors() -> None:
    chance = np.random.default_rng(5)
    given = examples(each=8)
    embeddings = unit(chance.standard_normal((len(given.kept), DIM))).astype(np.float32)
    random = adapter(Examples(given.kept, {"audio": embeddings}))
    choice = choose(random.problems["audio"], rows(random), random.groups, random.rivals)
    assert choice.share == 0.0 or choice.pull == 30.0


def test_held_out_clips_gain_and_the_gain_has_an_interval() -> None:
    worth = measure(adapter(examples(each=5)), np.zeros(0, np.int64), lambda done, total: None)
    assert worth.adapted is not None
    assert worth.others is not None
    assert worth.others_are == "left out"
    assert worth.adapted.after.hits >= worth.adapted.before.hits
    assert worth.adapted.low <= worth.adapted.difference <= worth.adapted.high
    assert worth.adapted.before.count == worth.others.before.count == 20


def test_clips_of_other_labels_are_never_learnt_from() -> None:
    together = examples(each=3)
    of_others = np.flatnonzero(together.right(LABELS) == 3)
    given = adapter(together, first_rival=3)
    worth = measure(given, of_others, lambda done, total: None)
    assert worth.others_are == "given"
    assert worth.others is not None
    assert worth.others.before.count == 3
    assert worth.adapted is not None
    assert worth.adapted.before.count == 9


def test_the_order_of_examples_does_not_matter() -> None:
    given = examples()
    shuffled = given.take(np.random.default_rng(1).permutation(len(given.kept)).tolist())
    one, other = (adapter(each.ordered()) for each in (given, shuffled))
    first, second = (of.learn(rows(of), np.arange(4)) for of in (one, other))
    assert first.choices == second.choices
    assert first.deltas["audio"].tobytes() == second.deltas["audio"].tobytes()


def test_repeated_examples_count_once_and_new_ones_are_added() -> None:
    few, all_ = examples(each=2), examples(each=4)
    assert few.with_more(all_).kept == all_.kept
    later = all_.take(row for row, each in enumerate(all_.kept) if each not in few.kept)
    added = few.with_more(later).ordered()
    assert added.kept == all_.ordered().kept
    np.testing.assert_array_equal(added.embeddings["audio"], all_.ordered().embeddings["audio"])


def test_groups_are_never_divided_and_every_label_is_dealt_out() -> None:
    right = [0, 0, 0, 0, 1, 1]
    folds = clip_folds(right, ["a", "a", "b", "", "", ""], 3)
    assert sorted(np.concatenate(folds).tolist()) == [0, 1, 2, 3, 4, 5]
    assert any({0, 1} <= set(fold.tolist()) for fold in folds)
    assert clip_folds([0, 1, 2], ["", "", ""], 3) == []
    assert [fold.tolist() for fold in label_folds([0, 0, 1, 2, 3], 2)] == [[0, 2], [1, 3]]
    assert label_folds([4, 4], 3) == []


def test_a_difference_is_paired_by_clip_and_bootstrapped_over_groups() -> None:
    same = change([True, False] * 20, [True, False] * 20, [""] * 40)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    apart = change([False] * 20, [True] * 10 + [False] * 10, [""] * 20)
    together = change([False] * 20, [True] * 10 + [False] * 10, ["one"] * 10 + ["two"] * 10)
    assert apart.difference == together.difference == 0.5
    assert together.high - together.low > apart.high - apart.low


def test_it_helps_only_if_other_labels_do_not_lose_significantly() -> None:
    def moved_by(low: float, high: float) -> Change:
        return Change(wilson(5, 10), wilson(5, 10), (low + high) / 2, low, high)

    assert Worth(moved_by(0.1, 0.3), None).helps
    assert Worth(moved_by(-0.1, 0.3), moved_by(-0.2, 0.1)).helps
    assert not Worth(moved_by(0.1, 0.3), moved_by(-0.3, -0.1)).helps
    assert not Worth(moved_by(-0.1, 0.1), None).helps


def test_learning_starts_from_trained_vectors() -> None:
    chance = np.random.default_rng(0)
    words, start, delta = unit(chance.standard_normal(DIM)), *(0.3 * chance.standard_normal((2, DIM)))
    trained = unit(words + start)
    np.testing.assert_allclose(unit(words + _composed(trained, delta, start)), unit(trained + delta), atol=1e-12)
    np.testing.assert_array_equal(_composed(words, delta, None), delta)


@pytest.fixture
def model(tmp_path: Path) -> ModelSpec:
    from engines.models.model_file import write_model

    texts = {"words": TextSpec(network="mini_text", dim=DIM)}
    tower = TowerSpec(network="concept_sound", space="words", input="log_mel")
    write_model(ModelSpec(name="plain", texts=texts, audio=tower, background=""), tmp_path / "plain")
    return read_model(str(tmp_path / "plain"))


def stepped(spec: ModelSpec, directory: Path, given: Examples) -> ModelSpec:
    before = known(spec)
    at = with_examples(before, given)
    of = Adapter(at.examples, tuple(sorted(at.examples.labels)), {"audio": side(tuple(sorted(at.examples.labels)))}, 99)
    learnt = of.learn(np.arange(len(of.right)), np.arange(len(of.labels)), {"audio": Choice(3.0, 1.0)})
    deltas: Mapping[str, Mapping[str, Array]] = {"audio": dict(zip(of.labels, learnt.deltas["audio"], strict=True))}
    write_step(spec, directory, deltas, at, learnt.choices, Worth(None, None))
    return read_model(str(directory))


def with_examples(before: Known, given: Examples) -> Known:
    return Known(before.examples.with_more(given).ordered(), before.starts, before.deltas)


def vectors(spec: ModelSpec) -> bytes:
    return adapted(spec, "audio", (*LABELS, "siren"), side((*LABELS, "siren")).labels).tobytes()


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_undo_restores_everything_byte_for_byte(model: ModelSpec, tmp_path: Path) -> None:
    plain = vectors(model)
    first = stepped(model, tmp_path / "adapted", examples(each=3, labels=("cat", "dog")))
    after_first, files_first = vectors(first), content(tmp_path / "adapted")
    second = stepped(first, tmp_path / "adapted", examples(each=3, labels=("rain", "saw")))
    assert len({plain, after_first, vectors(second)}) == 3
    assert (second.version, second.made_from) == (2, "adapted@1, adapted")
    undo(second)
    assert content(tmp_path / "adapted") == files_first
    assert vectors(read_model(str(tmp_path / "adapted"))) == after_first
    undo(read_model(str(tmp_path / "adapted")))
    restored = read_model(str(tmp_path / "adapted"))
    assert vectors(restored) == plain
    assert (restored.name, restored.version, restored.made_from) == ("plain", 1, "")
    with pytest.raises(ConfigError, match="was not adapted"):
        undo(restored)


def test_adapting_twice_equals_adapting_once_with_all_examples(model: ModelSpec, tmp_path: Path) -> None:
    all_ = examples(each=4)
    one = all_.take(row for row, each in enumerate(all_.kept) if each.key[-1] in "01")
    other = all_.take(row for row, each in enumerate(all_.kept) if each.key[-1] in "23")
    twice = stepped(stepped(model, tmp_path / "a", one), tmp_path / "b", other)
    once = stepped(model, tmp_path / "c", all_)
    assert vectors(twice) == vectors(once)
    assert [len(step.examples) for step in steps(twice)] == [16, 8]
    undo(twice)
    assert vectors(read_model(str(tmp_path / "b"))) == vectors(read_model(str(tmp_path / "a")))


def test_labels_that_were_trained_elsewhere_do_not_change_when_others_are_adapted(
    model: ModelSpec, tmp_path: Path
) -> None:
    from stages.words.adapted import save_adapted

    save_adapted(tmp_path / "plain" / "trained.safetensors", ["siren"], {"audio": np.ones((1, DIM))})
    trained = msgspec.structs.replace(model, adapted="trained.safetensors")
    siren = ("siren",)
    before = adapted(trained, "audio", siren, side(siren).labels)
    assert known(trained).examples.kept == ()
    at = known(trained)
    assert set(at.starts["audio"]) == {"siren"}
    from training.adapt.adapt import _all_deltas

    of = adapter(examples(each=2))
    learnt = of.learn(rows(of), np.arange(4), {"audio": Choice(3.0, 1.0)})
    together = with_examples(at, examples(each=2))
    write_step(
        trained,
        tmp_path / "more",
        _all_deltas(of, learnt.deltas, together),
        together,
        learnt.choices,
        Worth(None, None),
    )
    more = read_model(str(tmp_path / "more"))
    np.testing.assert_allclose(adapted(more, "audio", siren, side(siren).labels), before, atol=1e-6)
    assert vectors(more) != vectors(model)


def test_examples_are_classified_with_the_fusion_head_where_it_changes_them() -> None:
    given = examples()
    wrong = unit(side().labels[(given.right(LABELS) + 1) % len(LABELS)]).astype(np.float32)
    wrong[::2] = 0
    fused = replace(given, fused={"audio": wrong})
    share = np.full(len(LABELS), 1.0)
    with_head, without = replace(adapter(fused), head_share=share), adapter(fused)
    every = np.arange(len(given.kept))
    best = with_head.best(with_head.nothing(), every)
    np.testing.assert_array_equal(best[::2], without.best(without.nothing(), every)[::2])
    assert (best[1::2] == (given.right(LABELS)[1::2] + 1) % len(LABELS)).mean() > 0.9


def test_embeddings_after_the_head_are_stored_with_the_examples_and_joined_with_more() -> None:
    given = examples()
    moved_on = given.embeddings["audio"][:, ::-1].copy()
    fused = replace(given, fused={"audio": moved_on})
    again = Examples.read({"examples": fused.about()}, fused.tensors())
    np.testing.assert_array_equal(again.fused["audio"], moved_on)
    plain = examples(seed=7)
    other = replace(plain, kept=tuple(msgspec.structs.replace(each, key=f"other {each.key}") for each in plain.kept))
    joined = other.with_more(fused)
    np.testing.assert_array_equal(joined.fused["audio"][len(other.kept) :], moved_on)
    assert not joined.fused["audio"][: len(other.kept)].any()
    assert not joined.take(range(3)).fused["audio"].any()
