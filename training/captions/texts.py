"""All captions of a training as vectors of a tower's text space."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.models.model import ModelSpec
from pipeline.stage import RunSettings
from stages.words.text_cache import TextCache
from training.captions.losses import centred
from training.captions.read import Captioned


@dataclass(frozen=True)
class Texts:
    """vectors: float32 "C D", unit length. place: the row of each caption."""

    vectors: Tensor
    place: Mapping[str, int]

    def rows(self, item: Captioned) -> list[int]:
        """The rows of an item's captions."""
        return [self.place[caption] for caption in item.captions]


def text_vectors(
    spec: ModelSpec,
    modality: str,
    run: RunSettings,
    learnt: Sequence[Captioned],
    held: Sequence[Captioned],
    report: Callable[[str], None],
) -> Texts:
    """The vectors of all captions, without a prompt around them, from the cache of texts or the text tower.

    For a tower whose label vectors are centred, captions are centred too: on the mean of those that are learnt.
    """
    tower = spec.towers()[modality]
    captions = sorted({caption for item in (*learnt, *held) for caption in item.captions})
    vectors = torch.from_numpy(TextCache(spec, tower.space, run).vectors(captions, report))
    texts = Texts(vectors, {caption: row for row, caption in enumerate(captions)})
    if not tower.center:
        return texts
    known = sorted({row for item in learnt for row in texts.rows(item)})
    return Texts(centred(vectors, vectors[known].mean(0)), texts.place)
