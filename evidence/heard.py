"""Where percept-mini's sound tower hears a word: which times and which frequencies."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import MelSpec, TowerSpec
from engines.models.network import network
from pipeline.arrays import Array
from pipeline.clip import Clip
from stages.encode import unit
from stages.loudness import amplified, gain_of_clip
from stages.spectrogram import SHORTEST_S, heard_seconds
from stages.words.label_side import LabelSide

NETWORK = "concept_sound"
PLACES = 6
"""Of a patch in time, in the network's last feature map."""


class Hearing:
    """The sound tower, read out in each place of its last feature map, as it reads out their mean."""

    def __init__(self, tower: TowerSpec) -> None:
        self._tower, self.mel = tower, tower.mel or MelSpec()
        self._network: Any = None

    def open(self) -> None:
        from engines.networks.log_mel import LogMel

        self._network = network(NETWORK).load(Path(self._tower.directory))
        self._front = LogMel(self.mel)

    def log_mel(self, clip: Clip) -> tuple[Array, Array]:
        """Log-mel patches float32 "K B M" of a clip as the tower hears it, and the bin where each begins, "K"."""
        import torch

        audio, heard = clip["audio"], clip["audio_mask"] != 0
        with torch.inference_mode():
            patches: Array = self._front(torch.from_numpy(amplified(audio, gain_of_clip(clip)))).numpy()
        kept = heard_seconds(heard, self.mel, len(patches)) >= SHORTEST_S
        return patches[kept], np.flatnonzero(kept) * self.mel.patch_hop_bins

    def fields(self, patches: Array, begins: Array, side: LabelSide) -> Array:
        """Log-odds of each word of `side` by frequency, low first, and time: "W 1 f t". Patches that overlap are
        averaged; a column is `column_s` long."""
        import torch

        with torch.inference_mode():
            maps = self._feature_maps(torch.from_numpy(patches))
            count, channels, rows, bands = maps.shape
            places = maps.permute(0, 2, 3, 1).reshape(-1, channels)
            net = self._network
            tokens = net.read_out(net.classify(torch.relu(net.embed(places))).sigmoid()).numpy()
        odds = side.compare(unit(tokens))[2].T.reshape(-1, count, rows, bands)
        step = self.mel.patch_bins // rows
        total = np.zeros((len(odds), (int(begins[-1]) + self.mel.patch_bins) // step, bands))
        weights = np.zeros(total.shape[1])
        for number, begin in enumerate(begins // step):
            total[:, begin : begin + rows] += odds[:, number]
            weights[begin : begin + rows] += 1
        averaged = total / np.maximum(weights, 1)[:, None]
        averaged[:, weights == 0] = odds.min()
        fields: Array = averaged.transpose(0, 2, 1)[:, None]
        return fields

    def _feature_maps(self, log_mel: Any) -> Any:
        import torch

        net = self._network
        x = (log_mel.unsqueeze(1) + 2.4) / 2.6
        return net.blocks(torch.relu(net.stem_norm(net.stem(x))))

    def loudness(self, bins: Array, rows: int, columns: int) -> Array:
        """How loud each place is, from log-mel "bins bands": the mean root of magnitude, float64 "1 f t". A place can
        speak for a word only as far as there is sound in it; the network's places see more than their own stretch."""
        magnitude = np.maximum(np.exp(bins.astype(np.float64)) - self.mel.log_offset, 0)
        step, bands = self.mel.patch_bins // PLACES, bins.shape[1] // rows
        placed = np.sqrt(magnitude[: columns * step]).reshape(columns, step, rows, bands)
        loud: Array = placed.mean(axis=(1, 3)).T[None]
        return loud

    @property
    def column_s(self) -> float:
        """Length of a column of the fields."""
        return self.mel.patch_bins // PLACES * self.mel.hop_samples / self.mel.sample_rate_hz

    def edges_hz(self, rows: int) -> Array:
        """The frequencies between `rows` equal stretches of mel bands, "rows + 1"."""
        low, high = (2595 * np.log10(1 + hz / 700) for hz in (self.mel.f_min_hz, self.mel.f_max_hz))
        edges: Array = 700 * (10 ** (np.linspace(low, high, rows + 1) / 2595) - 1)
        return edges
