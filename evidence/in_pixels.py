"""A map of cells of percept-mini's picture tower as a map of pixels; see `engines.networks.relevance`."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import TowerSpec
from engines.models.network import network
from pipeline.arrays import Array

NETWORK = "concept_picture"
PLACES = 7
"""Of a side of the network's last feature map."""


class Pixels:
    """The picture tower in PyTorch, through which relevance goes backwards."""

    def __init__(self, tower: TowerSpec) -> None:
        self._tower = tower
        self._network: Any = None

    def open(self) -> None:
        self._network = network(NETWORK).load(Path(self._tower.directory)).network

    def of(self, picture: Array, heat: Array) -> Array:
        """The heat of cells, "r c" >= 0, over the pixels of a picture float32 "3 S S": float32 "S S", with its sum."""
        import torch

        from engines.networks.relevance import pixel_relevance

        places = heat.reshape(PLACES, heat.shape[0] // PLACES, PLACES, heat.shape[1] // PLACES).sum(axis=(1, 3))
        given = torch.from_numpy(picture[None].astype(np.float32)), torch.from_numpy(places[None].astype(np.float32))
        relevance: Array = pixel_relevance(self._network, *given)[0].numpy()
        return relevance
