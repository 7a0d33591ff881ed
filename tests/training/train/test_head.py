import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from tests.training.train import made_up
from training.train.evaluation import Answer
from training.train.head import HeadTrainee
from training.train.loop import Training, mix
from training.train.words import WordVectors


def test_an_untrained_head_gives_the_answers_of_the_frozen_model() -> None:
    trainee = made_up.head(made_up.plan())
    for answer in trainee.answers(trainee.network):
        assert set(answer.fused) == {"image", "audio"}
        for name, vector in answer.fused.items():
            np.testing.assert_array_equal(vector, answer.embeddings[name])
    frozen = [Answer(known.embeddings, known.signals) for known in made_up.held().known]
    evaluation = made_up.held().evaluation
    np.testing.assert_array_equal(trainee.hits(trainee.network), evaluation.hits(made_up.label_set(), frozen))


def test_clips_with_only_a_picture_are_not_trained_on() -> None:
    mixed = made_up.learnt(per_label=2) + made_up.learnt(per_label=3, audio=False)
    trainee = HeadTrainee(made_up.spec(), made_up.label_set(), made_up.plan(), mixed, made_up.held())
    assert trainee.items == 8
    with pytest.raises(ConfigError, match="no clip has a picture and also motion or sound"):
        HeadTrainee(made_up.spec(), made_up.label_set(), made_up.plan(), made_up.learnt(audio=False), made_up.held())


def test_both_branches_are_weighted_by_alpha() -> None:
    trainee = made_up.head(made_up.plan(alpha=0.8))
    assert trainee.branches == pytest.approx({"image": 0.8, "audio": 0.2, "pull": 2.0})


def test_a_ratio_of_one_gives_the_frozen_model(tmp_path) -> None:  # type: ignore[no-untyped-def]
    plan = made_up.plan(steps=20, learning_rate=1e-2)
    trainee = made_up.head(plan)
    trained = Training(trainee, plan, tmp_path, "cpu").run(lambda row: None)
    assert any(abs(gate) > 1e-3 for pair in trained.gates().values() for gate in pair)  # type: ignore[operator,union-attr]
    mix(trained, trainee.frozen(), 1.0)
    untrained = made_up.head(plan)
    for ours, before in zip(trainee.answers(trained), untrained.answers(untrained.network), strict=True):
        for name in ours.fused:
            np.testing.assert_array_equal(ours.fused[name], before.fused[name])


def test_only_base_labels_move_and_the_result_learns(tmp_path) -> None:  # type: ignore[no-untyped-def]
    plan = made_up.plan("labels", steps=100, every_steps=50, learning_rate=0.02, ema=0.9)
    trainee = made_up.vectors(plan)
    before = trainee.accuracy(trainee.network)
    trained = Training(trainee, plan, tmp_path, "cpu").run(lambda row: None)
    moved = trainee.label_set(trained)
    for name, side in made_up.label_set().sides.items():
        base = len(made_up.BASE)
        np.testing.assert_array_equal(moved.sides[name].labels[base:], side.labels[base:])
        assert np.abs(moved.sides[name].labels[:base] - side.labels[:base]).max() > 0.05
        np.testing.assert_allclose(np.linalg.norm(moved.sides[name].labels, axis=1), 1, atol=1e-5)
    after = trainee.accuracy(trained)
    assert after["base"] > before["base"] + 10
    assert after["novel"] == before["novel"]


def test_the_pull_penalises_moved_label_vectors() -> None:
    trainee = made_up.vectors(made_up.plan("labels", pull=0.5))
    with torch.no_grad():
        for delta in trainee.network.parameters():
            delta[0] += 1.0
    losses = trainee.losses(trainee.network, torch.arange(4))
    assert trainee.branches["pull"] == 0.5
    assert losses["pull"].item() == pytest.approx(2 * made_up.DIM / len(made_up.BASE))


def test_the_level_in_the_loss_uses_the_log_odds_of_a_run() -> None:
    label_set = made_up.label_set()
    base = len(made_up.BASE)
    embeddings = made_up.unit(np.random.default_rng(4).standard_normal((5, made_up.DIM))).astype(np.float32)
    labels = torch.tensor([0, 1, 2, 3, 0])
    given = torch.from_numpy(embeddings)
    plain, level = (
        WordVectors(label_set, base, made_up.plan(level=weight)).loss("image", given, labels) for weight in (0.0, 1.0)
    )
    odds = label_set.sides["image"].compare(embeddings)[2][:, :base]
    right = np.eye(base)[labels.numpy()]
    expected = np.sum(right * np.logaddexp(0, -odds) + (1 - right) * np.logaddexp(0, odds), axis=1).mean()
    assert (level - plain).item() == pytest.approx(expected, rel=1e-4)
