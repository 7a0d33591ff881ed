"""The sound tower's read-out: concept vectors, the weights file, and the tower's accuracy."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.networks.log_mel import LogMel
from engines.networks.sound import ConceptSound, load_sound
from recipes.percept_mini.sound_data import Teacher, as_float, is_held_out, label_of, read_audio, urban_sounds
from stages.loudness import normalised

BUNDLED = Path(__file__).parents[2] / "engines" / "bundled" / "percept-mini"
PROMPT = "the sound of {}"
PARAPHRASES = {
    "Speech": ("people talking", "a person talking", "speech"),
    "Conversation": ("people talking", "conversation"),
    "Clapping": ("clapping hands", "applause"),
    "Applause": ("applause", "an audience clapping"),
    "Children playing": ("children playing",),
    "Baby cry, infant cry": ("baby crying",),
    "Dog": ("dog", "dog barking"),
    "Bark": ("dog bark", "dog barking"),
    "Music": ("music",),
    "Rain": ("rain",),
    "Vehicle horn, car horn, honking": ("car horn", "honking"),
    "Siren": ("siren", "police siren"),
    "Police car (siren)": ("police siren", "siren"),
    "Ambulance (siren)": ("ambulance siren", "siren"),
    "Fire engine, fire truck (siren)": ("fire engine siren", "siren"),
    "Engine": ("engine", "engine running"),
    "Idling": ("engine idling", "idling"),
    "Air conditioning": ("air conditioner", "air conditioning"),
    "Jackhammer": ("jackhammer",),
    "Drill": ("drill", "drilling"),
    "Gunshot, gunfire": ("gun shot", "gunfire"),
}
"""What people call sounds whose AudioSet name reads otherwise. A concept is the mean of the vectors of these."""
UNINFORMATIVE = ("Silence",)
"""Names without information about a sound: silence contributes nothing to the tokens."""


def class_names(data: Path) -> list[str]:
    """The 521 AudioSet names, in the order of the network's scores."""
    with (data / "weights" / "yamnet_class_map.csv").open(newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def text_vectors(texts: list[str]) -> Tensor:
    """The bundled text tower's vectors: float32 "N 384", unit length."""
    from recipes.percept_mini.text_data import text_vectors as vectors

    return torch.from_numpy(vectors(texts))


def save_tower(network: ConceptSound, directory: Path) -> None:
    """Write `sound.safetensors`: convolutions and matrices in float16, which halves the file, the rest unchanged."""
    from safetensors.torch import save_file

    halves = {name: tensor.half() if tensor.dim() > 1 else tensor for name, tensor in network.state_dict().items()}
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / "sound.safetensors.new"
    save_file({name: tensor.contiguous() for name, tensor in halves.items()}, new)
    new.chmod(0o644)  # safetensors writes files that only the owner can read
    new.replace(directory / "sound.safetensors")


def write_read_out(data: Path, trained: Path, directory: Path = BUNDLED) -> None:
    """Write the network in `trained` to `directory`, with concept vectors from the current text tower, the names of its
    scores, and all words that it was made to know.
    """
    names = class_names(data)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sound_classes.txt").write_text("\n".join(names) + "\n")
    said = dict.fromkeys([*names, *(word for words in PARAPHRASES.values() for word in words)])
    (directory / "sound_words.txt").write_text("\n".join(said) + "\n")
    network = load_sound(trained)
    set_read_out(network, names)
    save_tower(network, directory)


def set_read_out(network: ConceptSound, names: list[str]) -> None:
    """Put the concepts of the names "521 384" into the network, centred on the mean of the names' own vectors."""
    own = text_vectors([PROMPT.format(name) for name in names])
    others = {
        name: text_vectors([PROMPT.format(word) for word in words]).mean(0) for name, words in PARAPHRASES.items()
    }
    network.center = own.mean(0)
    network.concepts = torch.stack([others.get(name, vector) for name, vector in zip(names, own, strict=True)])
    network.concepts -= network.center


def surprise(scores: Tensor, names: list[str]) -> Tensor:
    """How informative each name is, "521": -log of its mean score over everyday sounds "N 521"; 0 for silence."""
    counts = torch.tensor([name not in UNINFORMATIVE for name in names])
    return -scores.mean(0).clamp_min(1e-6).log() * counts


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, extra = hits / count, z * z / count
    middle, half = share + extra / 2, z * ((share * (1 - share) + extra / 4) / count) ** 0.5
    return (middle - half) / (1 + extra), (middle + half) / (1 + extra)


def folder_files(data: Path, pattern: str) -> list[tuple[str, Path]]:
    """(label, file) of labelled recordings; the label is the folder name with spaces for underscores."""
    return [(label_of(path), path) for path in sorted((data / "audio").glob(pattern))]


def never_trained_on(data: Path, path: Path) -> bool:
    """True for fold 3 of ESC-10 and for the held-out recordings."""
    name = str(path.relative_to(data / "audio"))
    return (name.startswith("esc10/") and path.name.startswith("3-")) or is_held_out(name)


def figure_sets(data: Path) -> Iterator[tuple[str, list[tuple[str, np.ndarray]]]]:
    """Yields name, and (label, samples int16 "S") of each sound of the sets that the model card reports on."""
    for name, pattern in (
        ("ESC-10 fold 3", "esc10/*/3-*.ogg"),
        ("animals and instruments held out", "[ai]n*/*/*.ogg"),
    ):
        files = [(label, path) for label, path in folder_files(data, pattern) if never_trained_on(data, path)]
        yield name, [(label, read_audio(path)) for label, path in files]
    yield "urban sounds for reporting", [(label_of(path), each) for path, each in urban_sounds(data, reported=True)]


@torch.inference_mode()
def hits(sounds: list[tuple[str, np.ndarray]], network: ConceptSound, teacher: Teacher) -> tuple[int, int]:
    """How many sounds the tower and its teacher label correctly, among the labels of all of them."""
    labels = sorted({label for label, _ in sounds})
    queries = F.normalize(text_vectors([PROMPT.format(label) for label in labels]) - network.center, dim=-1)
    log_mel = LogMel()
    own = taught = 0
    for label, recorded in sounds:
        samples = normalised(as_float(recorded))
        scores = torch.from_numpy(teacher.hear(samples)[1])
        for tokens, is_own in ((network(log_mel(torch.from_numpy(samples))), True), (network.read_out(scores), False)):
            right = labels[int((queries @ tokens.mean(0)).argmax())] == label
            own, taught = own + (right and is_own), taught + (right and not is_own)
    return own, taught


def evaluate(data: Path, directory: Path = BUNDLED) -> str:
    """The model card's figures, one line per test set."""
    network, teacher = load_sound(directory), Teacher(data / "weights" / "yamnet.tflite")
    lines = []
    for name, sounds in figure_sets(data):
        own, taught = hits(sounds, network, teacher)
        low, high = wilson(own, len(sounds))
        lines.append(
            f"{name}: {own / len(sounds):.1%} (95 % interval {low:.1%} to {high:.1%}, {own} of {len(sounds)}), "
            f"teacher {taught / len(sounds):.1%}"
        )
    return "\n".join(lines)
