import numpy as np
import pytest
import torch

from engines.networks.sound import CLASSES, ConceptSound
from recipes.percept_mini import train_sound_words
from recipes.percept_mini.sound_data import Recording
from recipes.percept_mini.sound_read_out import set_read_out
from recipes.percept_mini.sound_words import ALSO_RIGHT, Words, vectors_of
from recipes.percept_mini.train_sound_words import Patches, Whole, agreement, fold_of, learnt, right_share

LABELS = ["jackhammer", "siren"]
BACKGROUND = ["cat", "ambulance", "violin"]
NO_CENTER = torch.zeros(384)


def unit(*words: str) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors_of(list(words), NO_CENTER).sum(0, keepdim=True), dim=-1)


def test_the_loss_is_lower_the_nearer_a_token_is_to_the_right_word() -> None:
    words, siren = Words(LABELS, BACKGROUND, NO_CENTER), torch.tensor([1])
    losses = [float(words.loss(unit(*near), siren)) for near in (("siren",), ("siren", "cat"), ("cat",))]
    assert losses == sorted(losses)
    assert words.loss(unit("siren"), torch.tensor([0])) > losses[0]


def test_words_that_may_be_true_too_do_not_compete() -> None:
    with_it, without = Words(LABELS, BACKGROUND, NO_CENTER), Words(LABELS, ["cat", "violin"], NO_CENTER)
    token, siren, jackhammer = unit("siren", "ambulance"), torch.tensor([1]), torch.tensor([0])
    torch.testing.assert_close(with_it.loss(token, siren), without.loss(token, siren))
    assert with_it.loss(token, jackhammer) > without.loss(token, jackhammer)


def test_other_words_for_a_label_are_right_as_well() -> None:
    words = Words(["gun shot", "siren"], BACKGROUND, NO_CENTER)
    assert ALSO_RIGHT["gun shot"] == ("gunshot",)
    both, one = (float(words.loss(unit(*near), torch.tensor([0]))) for near in (("gunshot", "gun shot"), ("violin",)))
    assert both < one


def test_patches_without_a_label_have_no_part_in_the_loss() -> None:
    words, tokens = Words(LABELS, BACKGROUND, NO_CENTER), torch.cat([unit("siren"), unit("cat")])
    torch.testing.assert_close(words.loss(tokens, torch.tensor([1, -1])), words.loss(tokens[:1], torch.tensor([1])))


@pytest.fixture
def network() -> ConceptSound:
    """Its names 0 and 1 are a jackhammer and a siren, its name 2 is a vehicle."""
    network = ConceptSound().eval()
    vectors = torch.zeros(CLASSES, 384)
    vectors[:3] = vectors_of([*LABELS, "vehicle"], NO_CENTER)
    set_read_out(network, vectors)
    torch.nn.init.zeros_(network.classify.weight)
    torch.nn.init.constant_(network.classify.bias, -6.0)
    return network


@pytest.fixture
def patches() -> Patches:
    """The teacher hears a vehicle in all of them; the features tell what the labels say."""
    labels, folds = torch.arange(300) % 3 - 1, torch.arange(300) % 2
    features = 0.05 * torch.rand(300, 1024, generator=torch.Generator().manual_seed(0))
    for label in (0, 1):
        features[labels == label, 100 * label : 100 * label + 100] += 3.0
    scores = torch.full((300, CLASSES), 0.002)
    scores[:, 2] = 0.7
    return Patches(features, scores, labels, folds)


def test_labels_are_learnt_and_unlabelled_sounds_keep_their_scores(
    network: ConceptSound, patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_sound_words, "STEPS", 60)
    words, rows = Words(LABELS, BACKGROUND, network.center), (patches.folds == 0).nonzero()[:, 0]
    sounds = [
        Whole(patches.features[[row]], Recording(f"{row}", "urban", np.zeros(1, np.int16), LABELS[patches.labels[row]]))
        for row in range(300)
        if patches.folds[row] == 1 and patches.labels[row] >= 0
    ]
    after = learnt(network, patches, rows, words, 3.0)
    assert right_share(network, after, sounds, sounds, "urban") == 1.0
    assert right_share(network, network.classify, sounds, sounds, "urban") < 0.8
    unlabelled = (patches.labels < 0).nonzero()[:, 0]
    distance, same = agreement(after, patches, unlabelled)
    assert same == 1.0
    assert distance < agreement(network.classify, patches, unlabelled)[0]


def test_without_a_weight_nothing_is_learnt(network: ConceptSound, patches: Patches) -> None:
    words = Words(LABELS, BACKGROUND, network.center)
    assert learnt(network, patches, torch.arange(300), words, 0.0) is network.classify


def test_a_share_weighs_recordings_not_cuts(network: ConceptSound) -> None:
    features = torch.zeros(1, 1024)
    network.classify.bias.data[1] = 3.0  # a siren in all of them
    sounds = [
        Whole(features, Recording(name, "urban", np.zeros(1, np.int16), label, often))
        for name, label, often in (("a", "siren", 0.25), ("a", "siren", 0.25), ("b", "jackhammer", 0.5))
    ]
    assert right_share(network, network.classify, sounds, sounds, "urban") == 0.5
    assert np.isnan(right_share(network, network.classify, sounds, sounds, "animals"))


def test_cuts_of_a_recording_are_in_one_fold() -> None:
    folds = [fold_of(f"urban/{number}") for number in range(300)]
    assert all(60 < folds.count(fold) < 140 for fold in range(3))
