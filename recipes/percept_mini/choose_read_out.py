"""Compare ways to read out the picture network, and ways to fit a frame: prints the accuracy of each on photos.

    python -m recipes.percept_mini.choose_read_out PHOTOS.tar

The tar contains ImageNet photos named `n02084071_anything.JPEG`. Nothing is written and no video is used; the chosen
way is in `recipes.percept_mini.build_concepts` and `engines.networks.picture`. Needs the Debian package `wordnet-base`.
Every column is a share of photos:

class      the class name ranks first of the 1,000
unknown    the class name is in the top 10 when its concept is left out, as if the network did not know the class
kind       a word for a kind of the class ("bird") ranks first; class known and unknown
purpose    the purpose in the class's definition ("playing golf") is in the top 5; class known and unknown
four       the names of four photos in one picture are in the top 10 (mean over the four)
small      the name of a photo that is pasted small onto a blurred one ranks first
"""

import argparse
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engines.networks.picture import PART, STEP, EfficientNetLite0, load_network
from recipes.percept_mini.build_concepts import (
    PROMPT,
    SHARE,
    concept_vectors,
    description_vectors,
    descriptions,
    imagenet_synsets,
    normalise,
    projection,
    weight_directions,
)
from recipes.percept_mini.read_out_photos import (
    Classes,
    Fit,
    features,
    fitted_photo,
    four_in_one,
    made_small,
    read_photos,
)
from recipes.percept_mini.text_data import text_vectors
from recipes.percept_mini.wordnet import Synset, above, read_synsets

Floats = npt.NDArray[np.float32]
FOLDS = 10
"""For an unknown class the projection is fitted without the tenth of the classes that contains it."""
SEED = 3
PURPOSE = re.compile(r"\b(?:used|worn|designed|intended|serves|suitable)\b.*?\b(?:for|in|to|as|by|on|during) ([^;,(]+)")


@dataclass(frozen=True)
class ReadOut:
    """One way to read out: concepts "1000 384", whether by quarters, and the weight of the projection."""

    concepts: Floats
    by_quarters: bool
    share: float = 0.0


class Reader:
    """Turns features into tokens, with the class of each picture known or left out."""

    def __init__(self, network: EfficientNetLite0) -> None:
        self._weight, self._bias = network._fc.weight.detach(), network._fc.bias.detach()
        self._directions = weight_directions()
        self._fold = np.random.default_rng(SEED).permutation(len(self._directions)) % FOLDS

    def tokens(self, way: ReadOut, features: Tensor, unknown: Classes | None = None) -> Floats:
        """float16 "N 1280 7 7" -> "N 384"."""
        return np.concatenate(
            [
                self._tokens(way, features[begin : begin + 100].float(), None if unknown is None else unknown[begin:])
                for begin in range(0, len(features), 100)
            ]
        ) + (way.share * self._projected(way, features, unknown) if way.share else 0)

    def _tokens(self, way: ReadOut, features: Tensor, unknown: Classes | None) -> Floats:
        logits = parts(way, features) @ self._weight.T + self._bias
        if unknown is not None:
            logits[torch.arange(len(logits)), :, torch.from_numpy(unknown[: len(logits)])] = -1e9
        found: Floats = logits.softmax(-1).mean(1).numpy() @ way.concepts
        return found

    def _projected(self, way: ReadOut, features: Tensor, unknown: Classes | None) -> Floats:
        pointing = [functional.normalize(parts(way, some.float()), dim=-1).mean(1) for some in features.split(100)]
        directions = torch.cat(pointing).numpy()
        if unknown is None:
            known: Floats = directions @ projection(self._directions, way.concepts)
            return known
        found = np.empty((len(directions), way.concepts.shape[1]), np.float32)
        for fold in np.unique(self._fold[unknown]):
            kept, rows = self._fold != fold, self._fold[unknown] == fold
            found[rows] = directions[rows] @ projection(self._directions[kept], way.concepts[kept])
        return found


def parts(way: ReadOut, features: Tensor) -> Tensor:
    """Averages over the whole picture "N 1 1280", or over its quarters "N 4 1280"."""
    size, step = (PART, STEP) if way.by_quarters else (features.shape[-1], 1)
    return functional.avg_pool2d(features, size, step).flatten(2).transpose(1, 2)


class Words:
    """The words that pictures are scored against, as centred label vectors."""

    def __init__(self, synsets: list[Synset], nouns: dict[int, Synset], center: Floats) -> None:
        self._center = center
        words, self.is_kind = kinds(synsets, nouns)
        found = [(index, match) for index, s in enumerate(synsets) if (match := PURPOSE.search(s.definition))]
        self.with_purpose = np.array([index for index, _ in found])
        self.names = self([synset.lemmas[0] for synset in synsets])
        self.kinds, self.purposes = self(words), self([match.group(1).strip() for _, match in found])

    def __call__(self, words: list[str]) -> Floats:
        return normalise(text_vectors([PROMPT.format(word) for word in words]) - self._center)

    def row(self, known: Floats, unknown: Floats, classes: Classes) -> list[float]:
        """The columns from "class" to "purpose"."""
        purposes = {index: row for row, index in enumerate(self.with_purpose)}
        rows = np.array([row for row, index in enumerate(classes) if index in purposes])
        wanted = np.array([purposes[index] for index in classes[rows]])
        return [
            within(known, self.names, classes, 1),
            within(unknown, self.names, classes, 10),
            *(self._kind_first(tokens, classes) for tokens in (known, unknown)),
            *(within(tokens[rows], self.purposes, wanted, 5) for tokens in (known, unknown)),
        ]

    def _kind_first(self, tokens: Floats, classes: Classes) -> float:
        has_kind = self.is_kind[classes].any(1)
        best = (tokens @ self.kinds.T).argmax(1)
        return float(self.is_kind[classes, best][has_kind].mean())


def within(tokens: Floats, labels: Floats, wanted: Classes, first: int) -> float:
    """Share of pictures "N 384" whose label, a row of "C 384", is in the top `first`."""
    near = tokens @ labels.T
    return float(((near > near[np.arange(len(near)), wanted][:, None]).sum(1) < first).mean())


def kinds(synsets: list[Synset], nouns: dict[int, Synset]) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Words for kinds of things ("bird", "vehicle") with 2 to 60 classes, and whether each class belongs to each."""
    kinds_of = [above(synset.offset, nouns) for synset in synsets]
    counts = Counter(offset for found in kinds_of for offset in found)
    chosen = sorted(o for o, count in counts.items() if 2 <= count <= 60 and o not in {s.offset for s in synsets})
    return [nouns[o].lemmas[0] for o in chosen], np.array([[o in found for o in chosen] for found in kinds_of])


def read_outs(ways: list[Floats]) -> dict[str, ReadOut]:
    """The ways to compare, by name; the last is the one in use."""
    three, four = concept_vectors(ways[:3]), concept_vectors(ways)
    return {
        "name": ReadOut(concept_vectors(ways[:1]), False),
        "name, kind": ReadOut(concept_vectors(ways[1:2]), False),
        "name, definition": ReadOut(concept_vectors(ways[2:3]), False),
        "definition": ReadOut(concept_vectors(ways[3:]), False),
        "first three": ReadOut(three, False),
        "all four": ReadOut(four, False),
        "first three, quarters": ReadOut(three, True),
        "all four, quarters": ReadOut(four, True),
        "all four, projection": ReadOut(four, False, SHARE),
        "quarters, projection x 2": ReadOut(four, True, 2 * SHARE),
        "quarters, projection": ReadOut(four, True, SHARE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    photos, classes = read_photos(parser.parse_args().photos)
    nouns, synsets, network = read_synsets("n"), imagenet_synsets(), load_network()
    ways = description_vectors([descriptions(synset, nouns) for synset in synsets])
    words, reader, random = Words(synsets, nouns, ways[0].mean(0)), Reader(network), np.random.default_rng(SEED)
    four, which = four_in_one(photos, random)
    small, whose = made_small(photos, random)
    composed = features(network, four), features(network, small)
    middle = features(network, torch.cat([fitted_photo(photo, "crop") for photo in photos]))
    print(f"{'':26}  class unknown    kind unknown purpose unknown    four   small", flush=True)
    for title, way in read_outs(ways).items():
        row = words.row(reader.tokens(way, middle), reader.tokens(way, middle, classes), classes)
        together, alone = (reader.tokens(way, each) for each in composed)
        row.append(float(np.mean([within(together, words.names, classes[which[:, k]], 10) for k in range(4)])))
        row.append(within(alone, words.names, classes[whose], 1))
        print(f"{title:26}" + "".join(f"{share:8.3f}" for share in row), flush=True)
    print("frames fitted by", flush=True)
    how: Fit
    for how in ("crop", "stretch", "pad", "tiles"):
        squares = [fitted_photo(photo, how) for photo in photos]
        seen, counts = features(network, torch.cat(squares)), [len(each) for each in squares]
        known, unknown = (averaged(reader.tokens(way, seen, own), counts) for own in (None, np.repeat(classes, counts)))
        print(f"{how:26}" + "".join(f"{share:8.3f}" for share in words.row(known, unknown, classes)), flush=True)


def averaged(tokens: Floats, counts: list[int]) -> Floats:
    """Mean token of each photo; `counts` is the number of squares of each."""
    return np.stack([part.mean(0) for part in np.split(tokens, np.cumsum(counts)[:-1])])


if __name__ == "__main__":
    main()
