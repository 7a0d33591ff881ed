import numpy as np
import pytest

from commands.calibrate import verdict
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.classify import score_all
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.labels import LabelSet
from stages.words.open_set import SourceClips
from training.calibrate.calibrate import Result, refuse_foreign
from training.calibrate.measure import Figure, Trust, Unknown, by_example, kinds, measure_unknown, trust
from training.calibrate.temperature import HeadLabels, HeadShares, Scale, Scales, Scene, fit, loss, scaled
from training.calibrate.units import MOST_OF_ONE, Units, make_units
from training.calibrate.unknown import Judge, auroc, mean_auroc, threshold_for
from training.features import ClipPart, Features
from training.intervals import wilson

DIM = 24
LABELS = 5
LOUD = {"audio": {"loudness_dbfs": -20.0}}


def unit(values: Array) -> Array:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def side(temperature: float = 0.1, bias: float = 0.0) -> LabelSide:
    chance = np.random.default_rng(0)
    words, background = unit(chance.standard_normal((LABELS, DIM))), unit(chance.standard_normal((40, DIM)))
    return LabelSide(words, background, scoring.competing(words, background), temperature, bias)


def units(each: int = 20, labels: int = LABELS, noise: float = 1.5, clips_of_one: int = 1) -> Units:
    """Clips near the vectors of their labels."""
    right = np.repeat(np.arange(labels), each)
    chance = np.random.default_rng(1)
    found = unit(side().labels[right] + noise * unit(chance.standard_normal((len(right), DIM))))
    source = SourceClips({"audio": found.astype(np.float32)}, [LOUD] * len(right))
    return Units(source, right, np.arange(len(right)) // clips_of_one)


def fused_units(better: float = 2.0) -> Units:
    """Clips with a picture, half of which the fusion head moves towards their labels."""
    plain = units()
    own = plain.clips.embeddings["audio"]
    moved = unit(own + better * side().labels[plain.right]).astype(np.float32)
    moved[::2] = 0
    clips = SourceClips({"image": own}, [{"image": {"contrast": 0.3}}] * len(own), {"image": moved})
    return Units(clips, plain.right, plain.example)


HEAD = HeadLabels(HeadShares(0.3, 0.3), np.array([True, True, True, True, False]))


def part(loudness_dbfs: float) -> ClipPart:
    return ClipPart(0.0, 2.0, {"audio": 1}, {"audio": {"loudness_dbfs": loudness_dbfs}})


def test_an_overconfident_tower_gets_a_higher_temperature() -> None:
    sharp = {"audio": side(temperature=0.02, bias=8.0)}
    scene = Scene.of(units(each=60, noise=2.5), sharp)
    before, after = (trust(scene.pooled(scales), scene.units) for scales in (scene.start, fit(scene)))
    assert fit(scene).towers["audio"].temperature > 0.03
    assert after.share.value < 0.75 * before.share.value
    assert after.probability.value < before.probability.value
    assert after.log_loss.value < before.log_loss.value
    assert before.share.low <= before.share.value <= before.share.high


def test_a_fit_never_raises_the_loss_and_keeps_the_ranking_of_a_single_modality() -> None:
    sides = {"audio": side()}
    scene = Scene.of(units(), sides)
    fitted = fit(scene)
    values = [loss(scene.pooled(scales), scene.units.right, scene.weight) for scales in (scene.start, fitted)]
    assert values[1] <= values[0]
    warm = Scene.of(units(), scaled(sides, {"audio": Scale(0.1, 5.0)}))
    np.testing.assert_array_equal(scene.pooled(scene.start).argmax(1), warm.pooled(warm.start).argmax(1))


def test_the_loss_is_cross_entropy_plus_the_logistic_loss_of_the_best_label() -> None:
    pooled = np.array([[1.0, -1.0], [0.5, 2.0]])
    entropy = np.log1p(np.exp(-2.0)), np.log1p(np.exp(1.5))
    platt = np.logaddexp(0, -1.0), np.logaddexp(0, 2.0)
    wanted = 0.5 * (entropy[0] + platt[0]) + 0.5 * (entropy[1] + platt[1])
    assert loss(pooled, np.array([0, 0]), np.array([0.5, 0.5])) == pytest.approx(wanted)


def test_clips_of_one_example_have_the_weight_of_one() -> None:
    scene = Scene.of(units(each=4, clips_of_one=2), {"audio": side()})
    assert scene.weight.sum() == pytest.approx(1.0)
    uneven = Units(scene.units.clips, scene.units.right, np.array([0] * 19 + [1]))
    weight = Scene.of(uneven, {"audio": side()}).weight
    assert weight[-1] == pytest.approx(0.5)
    assert len(by_example(uneven)) == 2


def test_auroc_counts_pairs_and_ties_as_half() -> None:
    assert auroc(np.array([0.9, 0.2, 0.5, 0.5]), np.array([True, False, True, False])) == pytest.approx(0.875)
    assert np.isnan(auroc(np.array([1.0]), np.array([True])))
    scores = {0: np.array([1.0, 0.0, 0.0]), 1: np.array([0.0, 1.0, 0.5])}
    assert mean_auroc(scores, np.array([0, 1, 1]), np.arange(3)) == 1.0


def test_the_threshold_keeps_the_budget_of_false_alarms() -> None:
    scores = np.random.default_rng(0).standard_normal(1000)
    for budget in (0.01, 0.05, 0.3):
        assert (scores > threshold_for(scores, budget)).mean() <= budget
    assert (scores > threshold_for(scores, 0.05)).mean() > 0.04


def test_clips_of_a_missing_label_score_higher_in_any_order_of_labels() -> None:
    known = units(noise=1.0)
    judge = Judge(known, known.clips, {"audio": side()})
    scores = judge.scores([0, 1, 3, 4])
    assert auroc(scores, known.right == 2) > 0.9
    np.testing.assert_allclose(judge.scores([4, 1, 0, 3]), scores, atol=1e-12)


def test_figures_on_unknown_clips_include_false_alarms_and_detections() -> None:
    known = units(noise=1.0)
    folds = [np.arange(start, len(known), 4) for start in range(4)]
    names = [f"label {number}" for number in range(LABELS)]
    found = measure_unknown(known, None, {"audio": side()}, folds, names, 0.1)
    assert found.auroc.low <= found.auroc.value <= found.auroc.high
    assert found.auroc.value > 0.8
    assert set(found.by_label) == set(names)
    assert found.false_alarms.count == found.found.count == len(known)
    assert found.false_alarms.share < 0.25 < found.found.share


def test_silent_clips_are_skipped_and_long_examples_are_thinned() -> None:
    tokens = np.random.default_rng(0).standard_normal((20, DIM)).astype(np.float32)
    long = Features({"audio": tokens}, LOUD, tuple(part(-20.0) for _ in range(20)))
    quiet = Features({"audio": tokens[:2]}, LOUD, (part(-120.0), part(-25.0)))
    silent = Features({"audio": tokens[:1]}, LOUD, (part(-120.0),))
    found = make_units([long, quiet, silent], [0, 1, 2], ["audio"])
    assert np.bincount(found.example, minlength=3).tolist() == [MOST_OF_ONE, 1, 0]
    whole = make_units([long, quiet, silent], [0, 1, 2], ["audio"], whole=True)
    assert whole.right.tolist() == [0, 1]
    assert whole.clips.signals[1]["audio"]["loudness_dbfs"] == -25.0


def test_unlabelled_clips_without_a_modality_of_the_labelled_ones_are_refused() -> None:
    pictures = SourceClips({"image": np.ones((3, DIM), np.float32), "audio": np.zeros((3, DIM), np.float32)}, [{}] * 3)
    with pytest.raises(ConfigError, match=r"--unlabelled: the clips have image; expected audio, .* Give clips of"):
        refuse_foreign(pictures, units())
    with pytest.raises(ConfigError, match="the clips have nothing to see or hear"):
        refuse_foreign(SourceClips({}, []), units())
    refuse_foreign(units().clips, units())


def test_pooled_scores_are_those_of_a_run_with_and_without_the_head() -> None:
    given = fused_units()
    scene = Scene.of(given, {"image": side()}, HEAD)
    pooled = scene.pooled(scene.start)
    names = tuple(f"label {number}" for number in range(LABELS))
    label_set = LabelSet(names, {"image": side()}, head_share=HEAD.shares.of(HEAD.is_base))
    for row in range(6):
        own, fused = given.clips.embeddings["image"][row], given.clips.fused["image"][row]
        scores = score_all(label_set, {"image": own}, given.clips.signals[row], {"image": fused} if fused.any() else {})
        assert scores.is_fused == given.clips.is_fused[row]
        np.testing.assert_allclose(pooled[row], scores.pooled, atol=1e-9)


def test_clips_without_a_signal_are_still_ordered() -> None:
    dark = units(each=2)
    clips = SourceClips(dark.clips.embeddings, [{"audio": {"loudness_dbfs": -120.0}}] * len(dark))
    pooled = Scene.of(Units(clips, dark.right, dark.example), {"audio": side()})
    assert np.isfinite(found := pooled.pooled(pooled.start)).all()
    assert len(np.unique(found[0])) == LABELS


def test_a_head_that_helps_gets_a_larger_share_than_one_that_harms() -> None:
    helpful, harmful = (Scene.of(fused_units(better), {"image": side()}, HEAD) for better in (2.0, -3.0))
    heads = [scales.head for scales in (fit(helpful), fit(harmful)) if scales.head is not None]
    assert 0.0 <= heads[1].base < heads[0].base <= 1.0
    for scene in (helpful, harmful):
        values = [loss(scene.pooled(of), scene.units.right, scene.weight) for of in (scene.start, fit(scene))]
        assert values[1] < values[0]


def test_a_share_for_labels_that_do_not_occur_is_left_alone() -> None:
    only_base = HeadLabels(HEAD.shares, np.ones(LABELS, bool))
    assert (head := fit(Scene.of(fused_units(), {"image": side()}, only_base)).head)
    assert head.novel == HEAD.shares.novel


def test_figures_tell_fused_clips_from_others() -> None:
    given = fused_units()
    scene = Scene.of(given, {"image": side()}, HEAD)
    before = scene.pooled(scene.start)
    found = {kind.name: kind for kind in kinds(before, scene.pooled(fit(scene)), given)}
    assert set(found) == {"image", "fused+image"}
    assert sum(kind.clips for kind in found.values()) == len(given)
    assert found["fused+image"].log_loss_before < found["image"].log_loss_before


def test_the_open_set_score_compares_fused_clips_with_fused_ones() -> None:
    given, share = fused_units(), HEAD.shares.of(HEAD.is_base)
    usual = given.clips.usual({"image": side()}, share)
    assert set(usual) == {"image", "fused+image"}
    assert set(given.clips.usual({"image": side()})) == {"image"}
    scores = Judge(given, given.clips, {"image": side()}, share).scores(range(LABELS))
    without = Judge(given, given.clips, {"image": side()}).scores(range(LABELS))
    fused = given.clips.is_fused
    np.testing.assert_allclose(scores[~fused], without[~fused])
    assert np.abs(scores[fused] - without[fused]).max() > 0.01


def result(log_loss: tuple[float, float], error: tuple[float, float]) -> Result:
    before, after = (
        Trust(Figure(e, e, e), Figure(0, 0, 0), Figure(nats, nats, nats), 0.5, ())
        for e, nats in zip(error, log_loss, strict=True)
    )
    scales = Scales({"audio": Scale(0.1, 0.0)})
    unknown = Unknown(Figure(0.5, 0.5, 0.5), {}, wilson(0, 1), wilson(0, 1))
    clips = units(each=1).clips
    return Result((), 1, 1, wilson(0, 1), before, after, (), scales, scales, unknown, 0.0, clips, {})


def test_either_figure_that_rises_counts_as_worse() -> None:
    assert result((1.0, 0.9), (0.2, 0.1)).worse == ()
    assert result((1.0, 1.1), (0.2, 0.1)).worse == ("log loss",)
    assert result((1.0, 0.9), (0.2, 0.3)).worse == ("calibration error",)
    worse = result((1.0, 1.25), (0.2, 0.3))
    assert verdict(worse) == (
        "worse (calibration error and log loss) on held-out clips: calibration error 20.0% -> 30.0%, "
        "log loss 1.000 -> 1.250"
    )
