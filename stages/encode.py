"""Pictures, motion and sound as vectors in text space, through the model's towers."""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np

from engines.checkpoint import read_model
from engines.engine import Engine
from engines.model import MelSpec, ModelSpec, TowerSpec
from engines.tower import open_tower, prepare_tower, tower_key
from pipeline.arrays import Array, Spec
from pipeline.clip import MODALITIES, Absent, Clip
from pipeline.errors import ConfigError
from pipeline.stage import Demand, Resources, Stage
from stages.pictures import flow_pictures, frame_pictures, log_mel_pictures, spread
from stages.signals import signals_of
from stages.spectrogram import most_patches

STREAM = {"frames": "frames", "flow_picture": "flow", "log_mel": "log_mel", "log_mel_picture": "log_mel"}
"""Which array each kind of tower input is made of."""


class Encode(Stage):
    """Tokens and an embedding per modality, and the signals that say how far to trust each.

    A modality without a tower, not asked for, or without its stream is absent and says why. Towers that are the same
    network share one engine, and all their pictures of a clip go through it in one call.
    """

    preload = ("torch", "onnxruntime", "engines.tower", "stages.pictures")
    optional = ("frames", "frame_times_ns", "flow", "log_mel", "audio", "audio_start_ns", "audio_mask")

    @cached_property
    def model(self) -> ModelSpec:
        return read_model(self.run.model, self.run.audio_model)

    @cached_property
    def _towers(self) -> dict[str, TowerSpec]:
        """The towers that are asked for and exist."""
        return {name: tower for name, tower in self.model.towers().items() if name in self.run.modalities}

    def demand(self) -> Demand:
        if not self._towers:
            asked, has = ", ".join(self.run.modalities), ", ".join(self.model.towers())
            raise ConfigError(
                f"modalities: {asked}: {self.model.id} has no tower for it; expected one or more of {has}. "
                "A sound tower can be added: --audio-model"
            )
        sizes = [tower.size_px for tower in self._towers.values() if tower.input in ("frames", "flow_picture")]
        return Demand(short_side_px=max(sizes, default=0))

    def gives(self) -> dict[str, Spec]:
        specs = {"signals": Spec("record", in_message=True)}
        for modality in MODALITIES:
            tower = self._towers.get(modality)
            token_bytes = 4 * self.model.texts[tower.space].dim * self._most_tokens(tower) if tower else 0
            specs[f"{modality}_tokens"] = Spec("float32", "N D", max_bytes=token_bytes)
            specs[f"{modality}_embedding"] = Spec("float32", "D", in_message=True)
        return specs

    def _most_tokens(self, tower: TowerSpec) -> int:
        if tower.input in ("log_mel", "log_mel_picture"):
            return most_patches(tower.mel or MelSpec(), self.budget.audio_samples)
        tiles = -(-self.budget.long_side_px // tower.size_px) + 1 if tower.fit == "tiles" else 1
        return tower.pictures_per_clip * tiles

    def prepare(self, report: Callable[[str], None]) -> None:
        for modality in self._towers:
            prepare_tower(self.model, modality, self.run, report)

    def open(self, resources: Resources) -> None:
        self._engines = {
            modality: resources.get(
                tower_key(self.model, modality), partial(open_tower, self.model, modality, self.run)
            )
            for modality in self._towers
        }

    def process(self, clip: Clip) -> Mapping[str, Any]:
        outputs: dict[str, Any] = {"signals": signals_of(clip)}
        inputs: dict[str, Array] = {}
        for modality in map(str, MODALITIES):
            reason = self._why_absent(modality, clip)
            if reason:
                outputs[f"{modality}_tokens"] = outputs[f"{modality}_embedding"] = Absent(reason)
            else:
                inputs[modality] = tower_input(self._towers[modality], clip)
        for modality, tokens in self._encode(inputs).items():
            outputs[f"{modality}_tokens"] = tokens
            outputs[f"{modality}_embedding"] = pool(tokens)
        return outputs

    def _why_absent(self, modality: str, clip: Clip) -> Any:
        if modality not in self.run.modalities:
            return "not_asked"
        if modality not in self._towers:
            return "no_tower"
        stream = STREAM[self._towers[modality].input]
        if clip.get(stream) is None:
            return clip.absent.get(stream, "failed")
        return None

    def _encode(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Tokens "N D" by modality; one call per engine."""
        groups: dict[int, list[str]] = {}
        for modality in inputs:
            groups.setdefault(id(self._engines[modality]), []).append(modality)
        tokens: dict[str, Array] = {}
        for group in groups.values():
            engine: Engine = self._engines[group[0]]
            parts = [inputs[modality] for modality in group]
            batch = np.concatenate(parts) if len(parts) > 1 else parts[0]
            encoded = engine.run({engine.inputs[0].name: batch})[engine.outputs[0].name]
            ends = np.cumsum([len(part) for part in parts])[:-1]
            tokens |= zip(group, np.split(encoded, ends), strict=True)
        return tokens

    def describe(self) -> dict[str, str]:
        engines = sorted({engine.name for engine in self._engines.values()})
        return {"engine": "+".join(engines), "model": self.model.id}


def tower_input(tower: TowerSpec, clip: Clip) -> Array:
    """What the tower sees of a clip: pictures float32 "N 3 S S", or log-mel patches "K B M"."""
    stream = clip[STREAM[tower.input]]
    if tower.input == "log_mel":
        return np.asarray(stream)
    if tower.input == "log_mel_picture":
        return log_mel_pictures(stream, tower)
    chosen = stream[spread(tower.pictures_per_clip, len(stream))]
    return flow_pictures(chosen, tower) if tower.input == "flow_picture" else frame_pictures(chosen, tower)


def pool(tokens: Array) -> Array:
    """The mean of tokens "N D" at unit length: float32 "D"."""
    mean = tokens.mean(axis=0)
    pooled: Array = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return pooled
