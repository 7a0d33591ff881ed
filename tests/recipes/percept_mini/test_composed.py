import numpy as np
import pytest
import torch

from engines.networks.fusion_shape import FusionShape
from recipes.percept_mini.composed import MOTION_WORDS, NOVEL_SOUNDS, ClipParts, ComposedTrainee, all_words, is_novel
from recipes.percept_mini.composed_scores import Side, pool
from recipes.percept_mini.composed_tokens import FRAMES, SIDE_PX, Motions, Photos, Sounds, filmed_clip
from stages.words import scoring
from stages.words.labels import LabelSet, LabelSide
from stages.words.reliability import reliability

DIM, NAMES = 16, 12
KINDS = {"thing n00000000": ("rain", "unknown to all")}


def unit(random: np.random.Generator, *shape: int) -> np.ndarray:
    values = random.normal(size=(*shape, DIM)).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def label_set(labels: tuple[str, ...], random: np.random.Generator) -> LabelSet:
    vectors, background = unit(random, len(labels)), unit(random, 30)
    side = LabelSide(vectors, background, scoring.competing(vectors, background), 0.1, 1.0)
    return LabelSet(labels, dict.fromkeys(("image", "motion", "audio"), side))


@pytest.fixture
def parts() -> ClipParts:
    random = np.random.default_rng(0)
    synsets = [f"n{number:08}" for number in range(40) for _ in range(2)]
    photos = Photos(unit(random, 80, FRAMES), [f"thing {synset}" for synset in synsets], synsets)
    words = [*NOVEL_SOUNDS, "rain", "dog", "siren"] * 20
    files = [f"{number}.ogg" for number in range(len(words))]
    sounds = Sounds(random.random((len(words), 3, NAMES), np.float32), words, files)
    truth = np.eye(len(MOTION_WORDS), dtype=np.int8)
    motions = Motions(unit(random, len(truth), 1), truth)
    names = tuple(f"name {number}" for number in range(NAMES))
    return ClipParts(
        photos, sounds, motions, label_set(all_words(photos, sounds, names), random), unit(random, NAMES), names, KINDS
    )


@pytest.fixture
def trainee(parts: ClipParts) -> ComposedTrainee:
    shape = FusionShape(dims=dict.fromkeys(("image", "motion", "audio"), DIM), width=8, heads=2, hidden=8)
    return ComposedTrainee(parts, shape, seed=0)


def test_scores_in_torch_equal_those_of_the_product(parts: ClipParts) -> None:
    side, embeddings = parts.label_set.sides["image"], unit(np.random.default_rng(1), 5)
    _, background, odds = side.compare(embeddings)
    ours = Side(parts.label_set, "image")
    rows = torch.arange(len(parts.label_set.labels))
    assert ours.log_odds(torch.from_numpy(embeddings), rows).numpy() == pytest.approx(odds, abs=1e-3)
    weights = [reliability("image", {}, scoring.peakedness(each, side.temperature)) for each in background]
    assert ours.weight(torch.from_numpy(embeddings)).numpy() == pytest.approx(np.array(weights), abs=1e-4)
    both = {"image": odds, "audio": odds[:, ::-1]}
    pooled = pool({k: torch.tensor(v.copy()) for k, v in both.items()}, dict.fromkeys(both, torch.full((5,), 0.6)))
    expected = scoring.pool(both, dict.fromkeys(both, 0.6))
    assert pooled.numpy() == pytest.approx(expected, abs=1e-6)


def test_novel_words_are_neither_training_clips_nor_answers(parts: ClipParts, trainee: ComposedTrainee) -> None:
    novel = {word for word, synset in zip(parts.photos.words, parts.photos.synsets, strict=True) if is_novel(synset)}
    assert novel
    assert not set(trainee.base_words) & (novel | set(NOVEL_SOUNDS))
    learnt = {parts.photos.words[row] for row in trainee._learnt}
    assert learnt
    assert not learnt & novel


def test_the_right_words_of_a_composed_clip_are_those_of_its_parts(parts: ClipParts, trainee: ComposedTrainee) -> None:
    torch.manual_seed(3)
    batch = trainee._compose(trainee._learnt[:20])
    labels = parts.label_set.labels
    for clip, photo in enumerate(trainee._learnt[:20].tolist()):
        assert labels[batch.right[0][clip]] == parts.photos.words[photo]
        heard = bool(batch.masks["audio"][clip].any())
        assert (batch.right[1][clip] >= 0) == heard
        moving = bool(batch.masks["motion"][clip].any())
        assert any(row[clip] >= 0 for row in batch.right[2:]) == moving
    assert 0 < sum(row >= 0 for row in batch.right[1].tolist()) < 20


def test_a_sound_with_swapped_scores_gets_the_other_name(trainee: ComposedTrainee) -> None:
    torch.manual_seed(0)
    scores = torch.full((8, 3, NAMES), 0.1)
    scores[:, :, 4] = 0.9
    changed, rows = trainee._exchanged(scores, torch.full((8,), -5))
    for clip in range(8):
        loudest = int(changed[clip].mean(0).argmax())
        assert int(rows[clip]) == int(trainee._name_rows[loudest]) or (loudest == 4 and int(rows[clip]) == -5)
    assert (changed.mean(1).argmax(1) != 4).any()
    assert (rows != -5).any()


def test_an_untrained_head_scores_like_the_pool(trainee: ComposedTrainee) -> None:
    for check in ("base", "novel"):
        assert trainee.both_right(trainee.network, check, 1.0) == trainee.both_right(trainee.network, check, 0.0)


def test_losses_fall_in_training(trainee: ComposedTrainee) -> None:
    optimiser = torch.optim.Adam(trainee.network.parameters(), 0.02)
    history = []
    for step in range(30):
        torch.manual_seed(step)
        losses = trainee.losses(trainee.network, torch.arange(40) % trainee.items)
        loss = sum(trainee.branches[name] * value for name, value in losses.items())
        assert isinstance(loss, torch.Tensor)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(losses["together"].item())
    assert np.mean(history[-5:]) < 0.9 * np.mean(history[:5])


def test_a_photo_becomes_a_clip_of_different_frames() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:, 200:] = 200
    frames = filmed_clip(picture, np.random.default_rng(0))
    assert frames.shape == (FRAMES, SIDE_PX, SIDE_PX, 3)
    assert frames.dtype == np.uint8
    assert any(not np.array_equal(frames[0], other) for other in frames[1:])


def test_a_kind_of_a_thing_is_neither_right_nor_wrong(parts: ClipParts, trainee: ComposedTrainee) -> None:
    row_of = parts.row_of()
    thing, kind = row_of["thing n00000000"], row_of["rain"]
    assert trainee._near[thing, kind]
    assert trainee._near[kind, thing]
    assert trainee._near.diagonal().all()
