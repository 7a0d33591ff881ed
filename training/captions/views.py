"""What the network that is trained is given of an item: its input, or what a frozen network makes of that."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from engines.models.model import ModelSpec, TowerSpec
from engines.networks.picture import ConceptPicture
from pipeline.arrays import Array
from training.captions.projection import Projection, mean_parts
from training.captions.read import Captioned
from training.captions.split import CaptionSplit
from training.train.augment import changed_stream
from training.train.order import start_step
from training.train.result import write_projection, write_tower
from training.train.split import sided
from training.train.state import write_whole
from training.train.streams import StreamCache, stream_input

VIEWS = 4
"""So many views of an item go through a frozen network: as it is, and changed at random."""


class Views(Protocol):
    network: nn.Module
    """The network to train."""

    def drawn(self, item: Captioned) -> Array:
        """Its input "K ..." of one clip of an item, drawn and changed with torch's random numbers."""

    def whole(self, item: Captioned) -> Array:
        """Its input "K ..." of all clips of an item, as in a run."""

    def write(self, spec: ModelSpec, trained: nn.Module, directory: Path) -> None:
        """Write the base model with the trained network in its tower.

        Raises:
            ModelError: it differs after reading it back.
            OutputError: a file cannot be written.
        """


class Inputs:
    """A tower's input, from the cache of streams."""

    def __init__(self, tower: TowerSpec, cache: StreamCache, augment: bool) -> None:
        self._tower, self._cache, self._augment = tower, cache, augment

    def is_varied(self, item: Captioned) -> bool:
        """Whether not all that is drawn of an item is the same."""
        return self._augment or self._cache.clips(item.example) > 1

    def drawn(self, item: Captioned) -> Array:
        """Pictures are mirrored by chance, unless a caption of the item says left or right."""
        clips = self._cache.clips(item.example)
        stream = self._cache.get(item.example, int(torch.randint(clips, ())))
        if self._augment:
            stream = changed_stream(self._cache.stream, stream, mirror=not sided(item.captions))
        return stream_input(self._tower, stream)

    def whole(self, item: Captioned) -> Array:
        clips = range(self._cache.clips(item.example))
        return np.concatenate([stream_input(self._tower, self._cache.get(item.example, clip)) for clip in clips])


class TowerViews:
    """All of a tower is trained, on its input."""

    def __init__(self, network: nn.Module, modality: str, inputs: Inputs) -> None:
        self.network = network.requires_grad_(True)
        self._modality = modality
        self.drawn, self.whole = inputs.drawn, inputs.whole

    def write(self, spec: ModelSpec, trained: nn.Module, directory: Path) -> None:
        write_tower(spec, self._modality, trained, directory)


class PartViews:
    """Of percept-mini's picture tower only the projection is trained. What it is given is computed once.

    It is kept in `folder`, from which an interrupted training takes it again.

    device: where the tower computes it, in torch's words. tick: called with the numbers of items: done, in total.
    """

    def __init__(
        self,
        tower: ConceptPicture,
        inputs: Inputs,
        split: CaptionSplit,
        seed: int,
        device: str,
        folder: Path,
        tick: Callable[[int, int], None],
    ) -> None:
        self.network: nn.Module = Projection(tower.projection)
        self._tower, self._device = tower.to(device), device
        self._parts: dict[Captioned, Array] = {}
        items = (*split.train, *split.held)
        for number, item in enumerate(items):
            path = folder / f"{item.example.key}.npy"
            if not path.is_file():
                start_step(seed, number)
                count = VIEWS - 1 if number < len(split.train) and inputs.is_varied(item) else 0
                parts = self._read([inputs.whole(item), *(inputs.drawn(item) for _ in range(count))])
                _write(path, parts)
            self._parts[item] = np.load(path)
            tick(number + 1, len(items))

    def _read(self, views: Sequence[Array]) -> Array:
        """The parts of each view, averaged over its pictures: float32 "V P"."""
        parts = [mean_parts(self._tower, torch.from_numpy(pictures).to(self._device)) for pictures in views]
        read: Array = torch.stack(parts).cpu().numpy()
        return read

    def drawn(self, item: Captioned) -> Array:
        views = self._parts[item]
        chosen: Array = views[int(torch.randint(len(views), ()))][None]
        return chosen

    def whole(self, item: Captioned) -> Array:
        return self._parts[item][:1]

    def write(self, spec: ModelSpec, trained: nn.Module, directory: Path) -> None:
        assert isinstance(trained, Projection)
        write_projection(spec, trained.projection, directory)


def _write(path: Path, array: Array) -> None:
    """Raises: OutputError: it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, array)
    write_whole(path, content.getvalue())
