"""Choose and calibrate the picture read-out on photos: prints one table of read-outs, one of temperatures.

    python -m training.fit_picture PHOTOS.tar

The tar holds ImageNet photos named `n02084071_anything.JPEG`. Nothing is written: the chosen way of describing a
concept is in `training.build_concepts`, temperature and bias are in `model.toml`. No video is looked at.
"""

import argparse
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from engines.networks.picture import load_network
from stages import scoring
from training.build_concepts import PROMPT, concept_vectors, descriptions, imagenet_synsets, normalise
from training.text_data import BUNDLED, text_vectors
from training.wordnet import Synset, read_synsets

Floats = npt.NDArray[np.float32]
WRONG_PER_RIGHT = 10
"""How many wrong labels a user gives for each right one; sets how sure a probability of 0.5 is."""


def logits_of(tar: Path) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The network's logits "N 1000" and the right classes "N" of all photos."""
    from PIL import Image

    order = {f"n{synset.offset:08d}": i for i, synset in enumerate(imagenet_synsets())}
    network, logits, classes = load_network(), [], []
    with tarfile.open(tar) as file, torch.inference_mode():
        for member in file:
            image = Image.open(io.BytesIO(file.extractfile(member).read())).convert("RGB")  # type: ignore[union-attr]
            left, top, side = (
                (image.width - min(image.size)) // 2,
                (image.height - min(image.size)) // 2,
                min(image.size),
            )
            square = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
            pixels = torch.from_numpy(np.asarray(square, np.float32).copy()).permute(2, 0, 1)[None]
            logits.append(network((pixels - 127) / 128)[0].numpy())
            classes.append(order[member.name.split("_")[0]])
    return np.stack(logits), np.array(classes)


def softmax(logits: Floats) -> Floats:
    exp: Floats = np.exp(logits - logits.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)


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
    texts = [descriptions(synset, nouns) for synset in synsets]
    mixed, center = concept_vectors(texts)
    plain, kind, definition = ([(text[way],) * 3 for text in texts] for way in range(3))
    ways = {"name": plain, "name, kind": kind, "name, definition": definition}
    read_outs = {way: concept_vectors(used)[0] for way, used in ways.items()} | {"all three": mixed}
    names, (words, is_kind) = Labels(center)([synset.lemmas[0] for synset in synsets]), kinds(synsets, nouns)
    kind_vectors, known = Labels(center)(words), is_kind[classes].any(1)
    print(f"{'concepts described by':24}{'class 1st':>10}{'unknown in 10':>15}{'kind 1st':>10}")
    for way, concepts in read_outs.items():
        own = (normalise(softmax(logits) @ concepts) @ names.T).argmax(1) == classes
        left = normalise(without(logits, classes) @ concepts) @ names.T
        unknown = (left > left[np.arange(len(classes)), classes][:, None]).sum(1) < 10
        best = (normalise(softmax(logits) @ concepts) @ kind_vectors.T).argmax(1)
        right = is_kind[classes, best][known]
        print(f"{way:24}{own.mean():10.3f}{unknown.mean():15.3f}{right.mean():10.3f}")


def print_temperatures(logits: Floats, classes: npt.NDArray[np.int64]) -> None:
    """For each temperature the bias of least log loss, over right names, right kinds and unknown classes."""
    from safetensors.numpy import load_file

    chance, stored = np.random.default_rng(0), load_file(BUNDLED / "concepts.safetensors")
    concepts, labels = stored["concepts"].astype(np.float32), Labels(stored["center"])
    synsets = imagenet_synsets()
    words, is_kind = kinds(synsets, read_synsets("n"))
    names, kind_vectors = labels([synset.lemmas[0] for synset in synsets]), labels(words)
    everyday = labels((BUNDLED / "vocabulary.txt").read_text().splitlines())
    background = labels((BUNDLED / "background.txt").read_text().splitlines())
    known = is_kind[classes].any(1)
    chosen = [chance.choice(np.flatnonzero(row)) for row in is_kind[classes[known]]]
    own, unknown = softmax(logits) @ concepts, without(logits, classes) @ concepts
    embeddings = normalise(np.concatenate([own, unknown, own[known]]))
    right = np.concatenate([names[classes], names[classes], kind_vectors[chosen]])
    wrong = np.concatenate([names, everyday])[chance.integers(len(names) + len(everyday), size=len(embeddings))]
    print(f"{'temperature':>12}{'bias':>6}{'log loss':>10}{'right: median':>15}{'right: mean':>13}{'wrong: mean':>13}")
    for temperature in (0.03, 0.05, 0.07, 0.08, 0.09, 0.1, 0.11, 0.13, 0.15):
        yes, no = (own_odds(embeddings, vectors, background, temperature) for vectors in (right, wrong))
        losses = {b: loss(yes + b, no + b) for b in np.arange(0, 9, 0.1)}
        bias = min(losses, key=losses.__getitem__)
        p, q = scoring.sigmoid(yes + bias), scoring.sigmoid(no + bias)
        print(f"{temperature:12}{bias:6.1f}{losses[bias]:10.3f}{np.median(p):15.3f}{p.mean():13.3f}{q.mean():13.3f}")


def own_odds(embeddings: Floats, labels: Floats, background: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """Log-odds of the i-th label for the i-th embedding, without bias."""
    kept = scoring.competing(labels, background)
    pairs = zip(embeddings, labels, kept, strict=True)
    odds = [
        scoring.log_odds((e @ c)[None, None], (background @ e)[None], k[None], temperature, 0.0) for e, c, k in pairs
    ]
    return np.array(odds).reshape(-1)


def loss(yes: npt.NDArray[np.float64], no: npt.NDArray[np.float64]) -> float:
    return float(np.logaddexp(0, -yes).mean() + WRONG_PER_RIGHT * np.logaddexp(0, no).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    logits, classes = logits_of(parser.parse_args().photos)
    print_read_outs(logits, classes)
    print_temperatures(logits, classes)


if __name__ == "__main__":
    main()
