from pathlib import Path

import numpy as np
import pytest
import torch

from engines.networks.sound import CLASSES, ConceptSound, load_sound
from recipes.percept_mini import sound_synthesis
from recipes.percept_mini.sound_data import PATCH, Augmenter, Recording, training_files
from recipes.percept_mini.sound_read_out import save_tower, set_read_out, surprise, wilson
from recipes.percept_mini.train_sound import SoundPlan, Supply, keep, loss_of, names_loss, restore


class LoudnessTeacher:
    """Returns the loudness of a sound in every output, so that patches can be distinguished."""

    def __call__(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        loudness = float(np.abs(samples).mean())
        return tuple(np.full(shape, loudness, np.float32) for shape in ((96, 64), CLASSES, 1_024))  # type: ignore[return-value]


@pytest.fixture
def augment() -> Augmenter:
    random = np.random.default_rng(5)
    samples = [(random.standard_normal(length) * 3_000).astype(np.int16) for length in (80_000, 20_000, 500)]
    return Augmenter(
        [
            Recording(f"{k}", group, s)
            for k, (group, s) in enumerate(zip(("esc10", "animals", "speech"), samples, strict=True))
        ]
    )


def test_the_same_generator_state_gives_the_same_sound(augment: Augmenter) -> None:
    first, second = (augment(np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_every_augmented_sound_is_one_patch_of_valid_samples(augment: Augmenter) -> None:
    random = np.random.default_rng(9)
    sounds = [augment(random) for _ in range(150)]
    assert all(s.shape == (PATCH,) and s.dtype == np.float32 and np.abs(s).max() <= 1 for s in sounds)
    assert np.mean([np.abs(s).max() > 1e-4 for s in sounds]) > 0.8


@pytest.mark.parametrize("kind", ["tone", "chirp", "bell", "clicks", "pulses", "swelling_noise", "silence"])
def test_synthetic_sounds_are_finite(kind: str) -> None:
    for seed in range(20):
        sound = getattr(sound_synthesis, kind)(np.random.default_rng(seed), np.arange(PATCH) / 16_000)
        assert sound.shape == (PATCH,)
        assert np.isfinite(sound).all()


def test_the_third_fold_is_never_used_for_training(tmp_path: Path) -> None:
    for name in ("1-1-A.ogg", "2-1-A.ogg", "3-1-A.ogg", "3-2-A.ogg"):
        path = tmp_path / "audio" / "esc10" / "rain" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [path.name for _, path in training_files(tmp_path)] == ["1-1-A.ogg", "2-1-A.ogg"]


def test_about_a_tenth_of_the_recordings_is_held_out() -> None:
    held = [Recording(f"animals/cat/cat_{k}.ogg", "animals", np.zeros(1, np.int16)).held_out for k in range(1_000)]
    assert 60 < sum(held) < 150


def test_resuming_gives_the_same_batches(augment: Augmenter) -> None:
    plan = SoundPlan(batch=4, steps_per_round=2, new_per_round=6, first_rounds=2, pool_rounds=3)
    straight, resumed = (Supply(plan, augment, LoudnessTeacher()) for _ in range(2))  # type: ignore[arg-type]
    for current in range(5):
        expected = list(straight.batches(current))
    for ours, theirs in zip(resumed.batches(4), expected, strict=True):
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other)


def test_the_loss_is_lowest_at_the_teachers_scores() -> None:
    scores = torch.rand(3, CLASSES, generator=torch.Generator().manual_seed(2)) ** 4
    logits = torch.logit(scores.clamp(1e-6, 1 - 1e-6)).requires_grad_()
    best = names_loss(logits, scores)
    best.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-3
    for nudge in (0.3, -0.3):
        assert names_loss(logits + nudge * torch.randn(3, CLASSES), scores) > best


def test_a_few_steps_fit_one_batch() -> None:
    torch.manual_seed(0)
    network = ConceptSound()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    batch = torch.randn(8, 96, 64), torch.rand(8, CLASSES) ** 8, torch.rand(8, 1_024)
    losses = []
    for _ in range(12):
        loss = loss_of(network, *batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_checkpoint_restores_weights_and_step(tmp_path: Path) -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    checkpoint = tmp_path / "checkpoint.pt"
    assert restore(checkpoint, {"network": first}, 20) == 0
    keep(checkpoint, {"network": first}, 12, 20)
    assert restore(checkpoint, {"network": second}, 20) == 12
    torch.testing.assert_close(first.weight, second.weight)


def test_a_checkpoint_of_another_length_is_refused_with_advice(tmp_path: Path) -> None:
    keep(tmp_path / "checkpoint.pt", {"network": torch.nn.Linear(2, 2)}, 12, 20)
    with pytest.raises(ValueError, match=r"from a training of 20 steps; expected 30\. Resume with --steps 20"):
        restore(tmp_path / "checkpoint.pt", {"network": torch.nn.Linear(2, 2)}, 30)


def test_a_saved_tower_is_the_same_at_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, patches = ConceptSound().eval(), torch.randn(2, 96, 64)
    set_read_out(network, torch.randn(CLASSES, 384))
    save_tower(network, tmp_path)
    loaded = load_sound(tmp_path)
    torch.testing.assert_close(loaded.logits(patches), network.logits(patches), atol=5e-3, rtol=5e-3)
    torch.testing.assert_close(loaded.center, network.center)
    torch.testing.assert_close(network.concepts.mean(0), torch.zeros(384), atol=1e-6, rtol=0)


def test_rare_names_are_more_informative_and_silence_is_not() -> None:
    scores = torch.tensor([[0.5, 0.01, 0.2], [0.5, 0.03, 0.2]])
    found = surprise(scores, ["Music", "Cello", "Silence"])
    torch.testing.assert_close(found, torch.tensor([0.6931, 3.9120, 0.0]), atol=1e-3, rtol=0)


def test_wilson_interval_of_known_cases() -> None:
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-9)
    assert wilson(10, 10)[1] == pytest.approx(1.0, abs=1e-9)
