"""How to describe a concept to the text tower: prints what each way is worth on photos.

    python -m training.mini.choose_read_out PHOTOS.tar

The tar holds ImageNet photos named `n02084071_anything.JPEG`. Nothing is written and no video is looked at; the chosen
way is in `training.mini.build_concepts`. Needs the Debian package `wordnet-base`.
"""

import argparse
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch

from engines.networks.picture import load_network
from training.mini.build_concepts import (
    PROMPT,
    concept_vectors,
    description_vectors,
    descriptions,
    imagenet_synsets,
    normalise,
)
from training.mini.text_data import text_vectors
from training.mini.wordnet import Synset, read_synsets

Floats = npt.NDArray[np.float32]
BATCH = 16


def logits_of(tar: Path) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The network's logits "N 1000" and the right classes "N" of all photos."""
    order = {f"n{synset.offset:08d}": i for i, synset in enumerate(imagenet_synsets())}
    network, logits = load_network(), []
    with tarfile.open(tar) as file, torch.inference_mode():
        members = file.getmembers()
        for begin in range(0, len(members), BATCH):
            pixels = [pixels_of(file.extractfile(member)) for member in members[begin : begin + BATCH]]
            logits.append(network(torch.stack(pixels)).numpy())
    return np.concatenate(logits), np.array([order[member.name.split("_")[0]] for member in members])


def pixels_of(file: IO[bytes] | None) -> torch.Tensor:
    """The square in the middle of a photo, as the network wants it: "3 224 224"."""
    from PIL import Image

    image = Image.open(io.BytesIO(file.read() if file else b"")).convert("RGB")
    left, top, side = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2, min(image.size)
    square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.asarray(square, np.float32).copy()).permute(2, 0, 1) - 127) / 128


def softmax(logits: Floats) -> Floats:
    exp = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = exp / exp.sum(1, keepdims=True)
    return shares


def without(logits: Floats, classes: npt.NDArray[np.int64]) -> Floats:
    """Probabilities as if the network had never heard of the right class: what happens to words that are no concept."""
    left = logits.copy()
    left[np.arange(len(classes)), classes] = -1e9
    return softmax(left)


def kinds(synsets: list[Synset], nouns: dict[int, Synset]) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Words for kinds of things ("bird", "vehicle") with 2 to 60 classes below them, and whether each class is one."""
    above = []
    for synset in synsets:
        found, todo = set(), list(synset.hypernyms)
        while todo:
            offset = todo.pop()
            if offset not in found:
                found.add(offset)
                todo += nouns[offset].hypernyms
        above.append(found)
    counts = Counter(offset for found in above for offset in found)
    chosen = sorted(o for o, count in counts.items() if 2 <= count <= 60 and o not in {s.offset for s in synsets})
    return [nouns[o].lemmas[0] for o in chosen], np.array([[o in found for o in chosen] for found in above])


class Labels:
    """Words as label vectors, centred as the model's are."""

    def __init__(self, center: Floats) -> None:
        self.center = center

    def __call__(self, words: list[str]) -> Floats:
        return normalise(text_vectors([PROMPT.format(word) for word in words]) - self.center)


def print_read_outs(logits: Floats, classes: npt.NDArray[np.int64]) -> None:
    """Right class first with and (among the first ten) without its own concept; right kind first."""
    nouns, synsets = read_synsets("n"), imagenet_synsets()
    ways = description_vectors([descriptions(synset, nouns) for synset in synsets])
    uses = {"name": ways[:1], "name, kind": ways[1:2], "name, definition": ways[2:], "all three": ways}
    read_outs = {use: concept_vectors(used) for use, used in uses.items()}
    labels, (words, is_kind) = Labels(ways[0].mean(0)), kinds(synsets, nouns)
    names, kind_vectors, known = normalise(ways[0] - labels.center), labels(words), is_kind[classes].any(1)
    print(f"{'concepts described by':24}{'class 1st':>10}{'unknown in 10':>15}{'kind 1st':>10}", flush=True)
    for way, concepts in read_outs.items():
        own = (normalise(softmax(logits) @ concepts) @ names.T).argmax(1) == classes
        left = normalise(without(logits, classes) @ concepts) @ names.T
        unknown = (left > left[np.arange(len(classes)), classes][:, None]).sum(1) < 10
        best = (normalise(softmax(logits) @ concepts) @ kind_vectors.T).argmax(1)
        right = is_kind[classes, best][known]
        print(f"{way:24}{own.mean():10.3f}{unknown.mean():15.3f}{right.mean():10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    print_read_outs(*logits_of(parser.parse_args().photos))


if __name__ == "__main__":
    main()
