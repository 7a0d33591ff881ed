"""Templates are weighted by how decided their scores are: junk gets little weight, and a stream agrees with a batch."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.models.checkpoint import read_model
from pipeline.stage import RunSettings
from stages.words.label_vectors import SideBuilder, center_of, mixed
from stages.words.template_stack import unit
from stages.words.templates import Templates
from stages.words.text_cache import open_text_tower
from stages.words.word import BUNDLED_MODEL, words_of
from stages.words.zpe import (
    CLIPS,
    Running,
    blended,
    decode_state,
    encode_state,
    selected_weights,
    softmax_weights,
    template_scores,
)

GOOD = ("a photo of {}", "{}", "there is {} in the picture.", "a close-up photo of {}.", "a video frame of {}.")
JUNK = (
    "invoice number 4711 regarding {}",
    "lorem ipsum dolor sit amet {} consectetur",
    "error 404: page not found ({})",
)
TEMPLATES = 12
DIM, WORDS = 48, 30


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    """Clips "400 D" of a stream with its own common offset, and vectors "P V D"; later templates are noisier."""
    random = np.random.default_rng(7)
    words = unit(random.normal(size=(WORDS, DIM)))
    noise = np.linspace(0.3, 3.0, TEMPLATES)[:, None, None] * random.normal(size=(TEMPLATES, WORDS, DIM)) / np.sqrt(DIM)
    vectors = unit(words + noise + random.normal(size=(TEMPLATES, 1, DIM)) / np.sqrt(DIM))
    clips = words[random.integers(0, WORDS, 400)] + 0.5 * unit(random.normal(size=DIM))
    return unit(clips + 0.4 * random.normal(size=(400, DIM)) / np.sqrt(DIM)), vectors


def test_clearer_templates_have_more_weight(world: tuple[np.ndarray, np.ndarray]) -> None:
    clips, vectors = world
    scores = template_scores(clips, vectors, 0.1)
    weights = softmax_weights(scores)
    assert (np.diff(scores) < 0.2).all()
    assert weights[:4].sum() > 0.7
    assert weights[-4:].sum() < 0.05
    assert selected_weights(scores)[-6:].sum() == 0.0


@pytest.mark.parametrize("temperature", [0.005, 0.1, 2.0])
def test_weights_do_not_depend_on_a_towers_temperature(
    world: tuple[np.ndarray, np.ndarray], temperature: float
) -> None:
    scores = template_scores(*world, temperature)
    np.testing.assert_allclose(softmax_weights(scores), softmax_weights(template_scores(*world, 0.1)), atol=1e-6)


def test_a_score_that_is_the_same_for_every_clip_does_not_count(world: tuple[np.ndarray, np.ndarray]) -> None:
    clips, vectors = world
    common = unit(clips.mean(axis=0))
    shouting = np.concatenate([vectors, unit(vectors[-1:] * 0.1 + common)])
    weights = softmax_weights(template_scores(clips, shouting, 0.1))
    assert weights[-1] < 0.02


def test_templates_with_similar_scores_have_similar_weights() -> None:
    np.testing.assert_allclose(softmax_weights(np.full(5, 3.0)), 0.2)
    np.testing.assert_allclose(softmax_weights(np.zeros(5)), 0.2)
    np.testing.assert_allclose(selected_weights(np.zeros(4)), 0.25)
    slight = softmax_weights(np.array([3.0, 3.001, 3.002, 2.999]))
    assert slight.max() < 0.3


def streamed(clips: np.ndarray, vectors: np.ndarray, usual: np.ndarray | None = None) -> Iterator[Running]:
    running = Running.start(vectors.shape[2], len(vectors))
    for clip in clips:
        running = running.after(clip, vectors, 0.1, usual)
        yield running


def test_a_stream_converges_to_the_weights_of_the_batch(world: tuple[np.ndarray, np.ndarray]) -> None:
    batch = softmax_weights(template_scores(*world, 0.1))
    distance = [np.abs(running.weights - batch).sum() for running in streamed(*world)]
    assert distance[0] == pytest.approx(np.abs(1 / TEMPLATES - batch).sum(), rel=0.05)
    assert distance[CLIPS // 2] < distance[0]
    assert distance[-1] < 0.1


def test_a_stream_forgets_old_clips(world: tuple[np.ndarray, np.ndarray]) -> None:
    clips, vectors = world
    *_, last = streamed(np.concatenate([np.tile(-clips[:1], (CLIPS, 1)), clips, clips]), vectors)
    assert np.abs(last.weights - softmax_weights(template_scores(clips, vectors, 0.1))).sum() < 0.1


def test_all_templates_have_equal_weight_until_clips_have_arrived(world: tuple[np.ndarray, np.ndarray]) -> None:
    scores = template_scores(*world, 0.1)
    np.testing.assert_allclose(blended(scores, 0), 1 / TEMPLATES)
    np.testing.assert_allclose(blended(scores, CLIPS), softmax_weights(scores))
    assert blended(scores, CLIPS // 4)[0] < blended(scores, CLIPS // 2)[0]


def test_a_known_mean_is_half_of_the_expectation(world: tuple[np.ndarray, np.ndarray]) -> None:
    clips, vectors = world
    mean = clips.mean(axis=0)
    np.testing.assert_allclose(template_scores(clips, vectors, 0.1, mean), template_scores(clips, vectors, 0.1))
    assert not np.allclose(template_scores(clips, vectors, 0.1, -mean), template_scores(clips, vectors, 0.1))


def test_the_state_survives_encoding(world: tuple[np.ndarray, np.ndarray]) -> None:
    *_, running = streamed(world[0][:9], world[1])
    (read,) = decode_state(encode_state({"image": running})).values()
    assert read.clips == running.clips == 9
    np.testing.assert_array_equal(read.mean, running.mean)
    np.testing.assert_array_equal(read.scores, running.scores)
    assert decode_state(b"") == {}


# With the bundled model: its text tower, and its embeddings of the bundled video.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Embeddings of frames of the bundled video, "N D"."""
    from training.encoder import Encoder

    folder = str(tmp_path_factory.mktemp("cache"))
    run = RunSettings(
        cache_directory=folder,
        threads=2,
        modalities=("image",),
        clip_ns=1_000_000_000,
        frame_rate_hz=2.0,
        engine="torch",
    )
    encoder = Encoder(run)
    clips = encoder.clips(BUNDLED_MODEL.parent / "sample.mp4")
    encoder.close()
    return np.stack([clip.embeddings["image"] for clip in clips])


def test_junk_among_the_templates_of_the_bundled_model_gets_little_weight(pictures: np.ndarray, tmp_path: Path) -> None:
    spec = read_model("percept-mini")
    labels = ("dog", "sheep", "cup of coffee", "baseball", "cat", "car", "piano", "street")
    builder = SideBuilder(spec, words_of(labels), RunSettings(threads=2), lambda text: None, open_text_tower)
    builder.background = builder.background[::20]
    templates = Templates.equal((*GOOD, *JUNK))
    read = builder.background_stack("image", templates), builder.label_stack("image", templates)
    stack = np.concatenate(read, axis=1)
    center = center_of(spec, "image")
    assert center is not None
    weights = softmax_weights(template_scores(pictures, unit(stack - center), 0.11))
    assert weights[-len(JUNK) :].sum() < 0.05
    assert selected_weights(template_scores(pictures, unit(stack - center), 0.11))[-len(JUNK) :].sum() == 0.0

    own = stack[:, -len(labels) :]
    twice = np.concatenate([stack, stack[:1]])
    again = softmax_weights(template_scores(pictures, unit(twice - center), 0.11))
    top = (pictures @ mixed(own, weights, center).T).argmax(axis=1)
    top_again = (pictures @ mixed(np.concatenate([own, own[:1]]), again, center).T).argmax(axis=1)
    assert (top == top_again).all()
    assert len(set(top.tolist())) >= 4
