"""All that the picture tower's recipe learns from: views of photos, and their texts as vectors."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from engines.networks.picture import CONCEPTS_FILE
from pipeline.arrays import Array
from recipes.percept_mini import picture_data
from recipes.percept_mini.build_concepts import PROMPT
from recipes.percept_mini.picture_data import VIEWS, Photo, View, split_of
from recipes.percept_mini.picture_networks import LastBlocks
from recipes.percept_mini.picture_words import RIGHT, Targets, phrases
from recipes.percept_mini.text_data import BUNDLED, text_vectors
from stages.words.scoring import competing
from training.captions.losses import centred

log = logging.getLogger("train_picture")
PEOPLE = ("person", "people", "man", "woman", "child")
TEMPERATURE = 0.06
"""Of the product's scores; see model.toml."""
SEEN_OFTEN = 20
"""The tower knows a word that is right of so many photos it was trained on."""


class Photos:
    """All views of all collections, with their texts as vectors."""

    def __init__(self, runs: Path, with_maps: bool = False) -> None:
        self.photos, self.views = list[Photo](), list[View]()
        named, directions, maps = list[Array](), list[Array](), list[Array]()
        for collection in VIEWS:
            seen = picture_data.load(runs, collection, with_maps)
            first = len(self.photos)
            self.photos += seen.photos
            self.views += [replace(view, photo=view.photo + first) for view in seen.views]
            named.append(seen.named)
            directions.append(seen.directions)
            maps.append(seen.maps)
        self.maps = torch.from_numpy(np.concatenate(maps))
        """float16 "N 192 7 7", if they were asked for."""
        self.named, self.directions = (torch.from_numpy(np.concatenate(each)) for each in (named, directions))
        self.photo = torch.tensor([view.photo for view in self.views])
        splits = [split_of(self.photos[view.photo]) for view in self.views]
        self.train, self.check = (
            torch.tensor([row for row, split in enumerate(splits) if split == kind]) for kind in ("train", "check")
        )
        self._texts(runs)
        self._words()

    @torch.inference_mode()
    def read_with(self, last: LastBlocks, rows: Tensor) -> None:
        """Replace what the network of the package reads in these views by what trained blocks read in them."""
        for some in rows.split(256):
            named, directions = last(self.maps[some].float())
            self.named[some], self.directions[some] = named.half(), directions.half()

    def of(self, row: int) -> Photo:
        return self.photos[self.views[row].photo]

    def _texts(self, runs: Path) -> None:
        """Vectors of the captions, centred on their mean, and which of them belong to each photo."""
        used = {view.photo for view in self.views}
        captions = sorted({text for number in used for text in self.photos[number].captions})
        given = _kept(runs / "captions.npy", captions, "{}")
        self.captions = centred(given, given.mean(0))
        place = {text: row for row, text in enumerate(captions)}
        self.captions_of = {
            number: [place[text] for text in self.photos[number].captions]
            for number in used
            if self.photos[number].captions
        }
        parts = [phrases(caption) for caption in captions]
        texts = sorted({text for each in parts for text in each})
        place = {text: len(captions) + row for row, text in enumerate(texts)}
        self.phrases_of = [[place[text] for text in each] for each in parts]
        """Rows in `texts` of the phrases of each caption."""
        self.texts = torch.cat([self.captions, prompt_vectors(_kept(runs / "phrases.npy", texts, PROMPT))])

    def _words(self) -> None:
        background = read_words(BUNDLED / "background.txt")
        boxes = {box[0] for photo in self.photos for box in photo.boxes}
        self.words = sorted({*background, *read_words(BUNDLED / "vocabulary.txt"), *boxes, *PEOPLE})
        self.names = torch.tensor([row for row, word in enumerate(self.words) if word in boxes or word in PEOPLE])
        """Rows in `words` of the names of boxes and the words for people."""
        self.classes = sorted({photo.name for photo in self.photos if photo.name})
        targets, place = Targets(self.words), {name: row for row, name in enumerate(self.classes)}
        found = [targets.of(self.photos[view.photo], view) for view in self.views]
        self.targets = torch.from_numpy(np.stack(found))
        self.said = torch.tensor([self.photos[view.photo].collection == "flickr8k" for view in self.views])
        self.class_of = torch.tensor([place.get(self.photos[view.photo].name, -1) for view in self.views])
        self.word_vectors, self.background, self.class_vectors = map(prompted, (self.words, background, self.classes))
        self.concepts = prompted((BUNDLED / "concepts.txt").read_text().splitlines())
        self.kept = torch.from_numpy(competing(self.word_vectors.numpy(), self.background.numpy()))

    def known(self) -> list[str]:
        """The words that are right of many photos for training, in alphabetical order. Names of data sets are left
        out where nobody says them.
        """
        said = {*read_words(BUNDLED / "background.txt"), *read_words(BUNDLED / "vocabulary.txt"), *PEOPLE}
        photos, often = self.photo[self.train], []
        for place, word in enumerate(self.words):
            right = self.targets[self.train, place] == RIGHT
            if word in said and len(photos[right].unique()) >= SEEN_OFTEN:
                often.append(word)
        return often

    def odds(self, vectors: Tensor, bias: Tensor | float, temperature: float = TEMPERATURE) -> Tensor:
        """Log-odds of the words, as `stages.words.scoring.log_odds` computes them, "N W"."""
        rivals = vectors @ self.background.T / temperature
        top = rivals.amax(1, keepdim=True)
        against = ((rivals - top).exp() @ self.kept.T).clamp(min=1e-30).log() + top
        return vectors @ self.word_vectors.T / temperature - against + bias


def _kept(file: Path, texts: list[str], prompt: str) -> Tensor:
    """Vectors of texts, "N 384", from a file if it has them, else computed and written to it."""
    if not file.is_file() or len(vectors := np.load(file)) != len(texts):
        log.info("%d texts become vectors in %s", len(texts), file)
        vectors = text_vectors([prompt.format(text) for text in texts]).astype(np.float16)
        np.save(file, vectors)
    return torch.from_numpy(vectors).float()


def read_words(path: Path) -> list[str]:
    return [line.split("=")[0].strip() for line in path.read_text().splitlines() if line.strip()]


def prompted(words: list[str]) -> Tensor:
    """Label vectors as the product makes them, "N 384"."""
    return prompt_vectors(torch.from_numpy(text_vectors([PROMPT.format(word) for word in words])))


def prompt_vectors(vectors: Tensor) -> Tensor:
    """Vectors of filled prompts "N 384", centred as those of labels."""
    return functional.normalize(vectors - load_file(BUNDLED / CONCEPTS_FILE)["center"].float(), dim=-1)
