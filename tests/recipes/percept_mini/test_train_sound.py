import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.networks.sound import CLASSES, ConceptSound, load_sound
from recipes.percept_mini import sound_synthesis
from recipes.percept_mini.folds import is_reported_sound
from recipes.percept_mini.sound_data import (
    CROWDS,
    PATCH,
    Augmenter,
    Drawn,
    Recording,
    applauding,
    training_files,
    urban_recordings,
    urban_sounds,
)
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


@pytest.mark.parametrize("kind", ["tone", "chirp", "bell", "clicks", "pulses", "swelling_noise", "applause", "silence"])
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


@pytest.fixture
def urban(tmp_path: Path) -> Path:
    """An archive of 40 recordings of sirens with one to three cuts each."""
    (tmp_path / "audio").mkdir()
    with tarfile.open(tmp_path / "audio" / "urbansound8k.tar", "w") as archive:
        for number, cut in [(each, cut) for each in range(40) for cut in range(1 + each % 3)]:
            sound = io.BytesIO()
            with wave.open(sound, "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(np.full(3_200, number, np.int16).tobytes())
            member = tarfile.TarInfo(f"siren/{number}-8-0-{cut}.opus")
            member.size = len(sound.getvalue())
            archive.addfile(member, io.BytesIO(sound.getvalue()))
    return tmp_path


def test_urban_recordings_for_reporting_are_not_trained_on(urban: Path) -> None:
    reported = {str(path) for path, _ in urban_sounds(urban, reported=True)}
    assert reported
    assert all(is_reported_sound(name) for name in reported)
    assert not any(
        is_reported_sound(f"siren/{sound.name.split('/')[1]}-8-0-0.opus") for sound in urban_recordings(urban)
    )
    assert len(reported) + len(urban_recordings(urban)) == sum(1 + number % 3 for number in range(40))


def test_cuts_of_a_recording_are_held_out_together_and_drawn_as_often_as_one(urban: Path) -> None:
    sounds = urban_recordings(urban)
    names = {sound.name for sound in sounds}
    assert {sound.label for sound in sounds} == {"siren"}
    for name in names:
        cuts = [sound for sound in sounds if sound.name == name]
        assert len({sound.held_out for sound in cuts}) == 1
        assert sum(sound.often for sound in cuts) == pytest.approx(1 / len(names))
        assert {int(sound.samples[0]) for sound in cuts} == {int(name.split("/")[1])}


def test_a_missing_archive_is_named_with_the_way_around(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"urbansound8k\.tar: not found.*--no-urban"):
        urban_recordings(tmp_path)


def test_only_what_the_teacher_hears_as_applause_is_applause() -> None:
    class Choosy:
        heard = 0

        def hear(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            self.heard += 1
            scores = np.zeros((2, CLASSES), np.float32)
            scores[:, 1] = 0.9 if self.heard % 3 == 0 else 0.1
            return np.zeros((2, 96, 64)), scores, np.zeros((2, 1_024))

    found = list(applauding(Choosy(), ["Speech", "Applause", "Clapping"]))  # type: ignore[arg-type]
    assert len(found) == CROWDS // 3
    assert {sound.label for sound in found} == {"applause"}
    assert all(np.abs(sound.samples).max() > 10_000 for sound in found)


def test_recordings_are_drawn_as_often_as_they_say(augment: Augmenter) -> None:
    sounds = [Recording(name, "urban", np.zeros(1, np.int16), often=often) for name, often in (("a", 3.0), ("b", 1.0))]
    random = np.random.default_rng(0)
    drawn = [Drawn(sounds).draw(random).name for _ in range(400)]
    assert 260 < drawn.count("a") < 340


def test_a_patch_around_a_recording_is_at_about_the_level_of_the_product(augment: Augmenter) -> None:
    tone = (8_000 * np.sin(np.arange(48_000) * 0.5)).astype(np.int16)
    for seed in range(20):
        patch = augment.around(np.random.default_rng(seed), Recording("tone", "urban", tone))
        assert patch.shape == (PATCH,)
        assert np.isfinite(patch).all()
        assert -50 < 10 * np.log10(np.mean(patch.astype(np.float64) ** 2)) < -10


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
    set_read_out(network, [f"sound {number}" for number in range(CLASSES)])
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
