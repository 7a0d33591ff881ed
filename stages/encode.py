"""Pictures, motion and sound as vectors in text space, computed by the model's towers."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from engines.backends.table import check_engine
from engines.building.building import begins_at_once, runtime_of
from engines.devices.device import Uploader, open_uploader
from engines.engine import Engine
from engines.gate.golden import golden
from engines.models.checkpoint import read_model
from engines.models.model import MelSpec, ModelSpec, TowerSpec
from engines.models.tower import features_size, improve_tower, open_tower, tower_key
from pipeline.arrays import Array, Spec
from pipeline.clip import MODALITIES, Absent, Clip
from pipeline.errors import ConfigError
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.device_pictures import box_tensor
from stages.pictures import crop_pictures
from stages.spectrogram import most_patches
from stages.tower_inputs import INPUTS, distinct_rows, stream_of, tower_input, tower_tensor

LEAST_DIFFERENCE = 1e-5
MOST_CHANGE = 0.05
"""Of the largest value: kernels may be chosen anew, answers stay."""
BOX = "box"
"""In addition to the modalities: crops of boxes, which the image tower encodes."""
FEATURES_OF: dict[str, str] = {name: f"{name}_features" for name in MODALITIES}


class Part(NamedTuple):
    """One engine's input from one clip."""

    clip: int
    """Position among the clips that are processed together."""
    name: str
    """The modality, or "box"."""
    inputs: Any
    """An array, or a tensor on the engine's device."""
    which: Array | None = None
    """For each picture, which of the inputs stands for it; None if each is its own."""


class Encoded(NamedTuple):
    """What an engine gives for a `Part`."""

    tokens: Array
    """ "N D"."""
    features: Array
    """ "N F": its last output, which is the tokens again if nobody asked for features."""


class EncodeOptions(StageOptions, frozen=True, kw_only=True):
    features: bool = False
    """Also give the vector that each tower has before its projection into text space, averaged over the clip."""


class Encode(Stage):
    """Tokens and an embedding per modality, embeddings of chosen boxes, and features if they are asked for.

    A modality that has no tower, is not asked for, or lacks its stream is absent, with the reason. Towers that are the
    same network share one engine, which encodes all its inputs from the clips of a batch in one call. `box_embeddings`
    float16 "C D": unit length, of the boxes in rows `box_crops`. `image_features`, ..., float32 "F": the mean of
    what the tower has before its projection into text space, from the same engine call; not of unit length.
    """

    optional = ("frames", "flow", "log_mel", "boxes", "box_crops")
    Options = EncodeOptions
    options: EncodeOptions

    @property
    def preload(self) -> tuple[str, ...]:
        networks = dict.fromkeys((tower.network, tower.directory) for tower in self._towers.values())
        return *(runtime_of(*each, self.run) for each in networks), "engines.models.tower", "stages.pictures"

    @cached_property
    def model(self) -> ModelSpec:
        return read_model(self.run.model, self.run.audio_model)

    @cached_property
    def _towers(self) -> dict[str, TowerSpec]:
        """The towers of the modalities that are asked for, if the model has them."""
        return {name: tower for name, tower in self.model.towers().items() if name in self.run.modalities}

    def demand(self) -> Demand:
        if not self._towers:
            asked, has = ", ".join(self.run.modalities), ", ".join(self.model.towers())
            raise ConfigError(
                f"modalities: {self.model.id} has no tower for {asked}; expected one or more of {has}. "
                "Add a sound tower with --audio-model."
            )
        seeing = [tower for tower in self._towers.values() if tower.input in ("frames", "flow_picture")]
        sizes = [tower.resized_px or tower.size_px for tower in seeing]
        return Demand(short_side_px=max(sizes, default=0))

    def gives(self) -> dict[str, Spec]:
        specs: dict[str, Spec] = {}
        for modality in MODALITIES:
            tower = self._towers.get(modality)
            token_bytes = 4 * self.model.texts[tower.space].dim * self._most_tokens(tower) if tower else 0
            specs[f"{modality}_tokens"] = Spec("float32", "N D", max_bytes=token_bytes)
            specs[f"{modality}_embedding"] = Spec("float32", "D", in_message=True)
            if self.options.features:
                specs[FEATURES_OF[modality]] = Spec("float32", "F", in_message=True)
        specs["box_embeddings"] = Spec("float16", "C D", in_message=True)
        return specs

    def _most_tokens(self, tower: TowerSpec) -> int:
        per = INPUTS[tower.input].per
        if per == "clip":
            return 1
        if per == "patch":
            return most_patches(tower.mel or MelSpec(), self.budget.audio_samples)
        tiles = -(-self.budget.long_side_px // tower.size_px) + 1 if tower.fit == "tiles" else 1
        return tower.pictures_per_clip * tiles

    def check(self) -> None:
        if self.options.features and self.run.precision == "int8":
            raise ConfigError("--features: networks quantised to int8 give no features; choose another --precision")
        for modality in self._towers if self.options.features else ():
            features_size(self.model, modality)
        check_engine(self.run)

    @property
    def opens_early(self) -> bool:
        return begins_at_once(self.run)

    def prepare(self, report: Callable[[str], None]) -> None:
        if not begins_at_once(self.run):
            self.improve(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        features = self.options.features
        improved = [improve_tower(self.model, modality, self.run, report, features) for modality in self._towers]
        return any(improved)

    def open(self, resources: Resources) -> None:
        features = self.options.features
        self._engines: dict[str, Engine] = {
            modality: resources.get(
                tower_key(self.model, modality, features),
                partial(open_tower, self.model, modality, self.run, features=features),
            )
            for modality in self._towers
        }
        self._first_answers: dict[int, Array] = {}
        devices = {engine.device for engine in self._engines.values()} - {"cpu"}
        self._uploaders: dict[str, Uploader] = {
            device: resources.get(("uploader", device), partial(open_uploader, device, resources.memory))
            for device in devices
        }

    def process(self, clip: Clip) -> Outputs:
        return self.process_many([clip])[0]

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        try:
            return self._process_many(clips)
        finally:  # the slots may be reused after this, even if a clip failed halfway
            for uploader in self._uploaders.values():
                uploader.wait_copied()

    def _process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        outputs: list[dict[str, Any]] = [{} for _ in clips]
        parts: list[Part] = []
        for number, clip in enumerate(clips):
            for name in (*map(str, MODALITIES), BOX):
                reason = self._why_absent(name, clip)
                if reason:
                    outputs[number] |= dict.fromkeys(self._names(name), Absent(reason))
                else:
                    parts.append(Part(number, name, *self._inputs(name, clip)))
        for part, encoded in self._encode(parts):
            outputs[part.clip] |= self._values(part.name, encoded)
        return list(outputs)

    def _why_absent(self, name: str, clip: Clip) -> Any:
        if name == BOX:
            return self._why_absent("image", clip) or self._why_no_boxes(clip)
        if name not in self.run.modalities:
            return "key_frames" if name == "motion" and self.run.key_frames else "not_asked"
        if name not in self._towers:
            return "no_tower"
        return _why_missing(stream_of(self._towers[name]), clip)

    def _why_no_boxes(self, clip: Clip) -> Any:
        if self._towers["image"].input != "frames":
            return "no_tower"
        missing = (_why_missing(array, clip, "not_asked") for array in ("box_crops", "boxes"))
        return next(filter(None, missing), None)

    def _inputs(self, name: str, clip: Clip) -> tuple[Any, Array | None]:
        """The input from a clip for a modality, or for its boxes; made on the engine's device. And `Part.which`."""
        tower, uploader = self._towers[_tower_of(name)], self._uploaders.get(self._engines[_tower_of(name)].device)
        if name == BOX:
            places = box_places(clip)
            return box_tensor(tower, clip["frames"], places, uploader) if uploader else box_input(tower, clip), None
        rows, which = distinct_rows(tower, clip)
        if uploader is None:
            return tower_input(tower, clip, rows), which
        return tower_tensor(tower, clip[stream_of(tower)], uploader, rows), which

    def _encode(self, parts: Sequence[Part]) -> list[tuple[Part, Encoded]]:
        """Each part with what its engine gives for it; one call per engine."""
        by_engine: dict[int, list[Part]] = {}
        for part in parts:
            by_engine.setdefault(id(self._engine_of(part)), []).append(part)
        encoded: list[tuple[Part, Encoded]] = []
        for together in by_engine.values():
            engine = self._engine_of(together[0])
            feeds = {engine.inputs[0].name: joined([part.inputs for part in together])}
            given = engine.run(feeds)
            ends = np.cumsum([len(part.inputs) for part in together])[:-1]
            tokens, features = (np.split(given[port.name], ends) for port in (engine.outputs[0], engine.outputs[-1]))
            encoded += [
                (part, Encoded(*(values if part.which is None else values[part.which] for values in both)))
                for part, *both in zip(together, tokens, features, strict=True)
            ]
        return encoded

    def _names(self, name: str) -> tuple[str, ...]:
        """The arrays that are made of a modality or of boxes."""
        if name == BOX:
            return ("box_embeddings",)
        return (f"{name}_tokens", f"{name}_embedding", *((FEATURES_OF[name],) if self.options.features else ()))

    def _values(self, name: str, encoded: Encoded) -> dict[str, Array]:
        """These arrays."""
        if name == BOX:
            return {"box_embeddings": unit(encoded.tokens).astype(np.float16)}
        values = {f"{name}_tokens": encoded.tokens, f"{name}_embedding": pool(encoded.tokens)}
        if self.options.features:
            values[FEATURES_OF[name]] = encoded.features.mean(axis=0, dtype=np.float32)
        return values

    def _engine_of(self, part: Part) -> Engine:
        return self._engines[_tower_of(part.name)]

    def probe(self) -> str:
        """Every engine encodes two inputs of the golden batch: they must differ, and be what they were at first."""
        problems = []
        for engine in {id(each): each for each in self._engines.values()}.values():
            tokens = engine.run(golden(engine.inputs, 2))[engine.outputs[0].name].astype(np.float32)
            before = self._first_answers.setdefault(id(engine), tokens)
            towers = ", ".join(name for name, each in self._engines.items() if each is engine)
            if not np.isfinite(tokens).all():
                problems.append(f"{towers} ({engine.name}) gives values that are not finite")
            elif np.abs(tokens[0] - tokens[1]).max() < LEAST_DIFFERENCE:
                problems.append(f"{towers} ({engine.name}) gives the same answer to different inputs")
            elif np.abs(tokens - before).max() > MOST_CHANGE * np.abs(before).max():
                problems.append(f"{towers} ({engine.name}) gives another answer than at first")
        return "; ".join(problems)

    def describe(self) -> dict[str, str]:
        names = "+".join(sorted({engine.name for engine in self._engines.values()}))
        towers: dict[tuple[str, ...], list[str]] = {}
        for modality, engine in self._engines.items():
            towers.setdefault(engine.passed_over, []).append(modality)
        why = "; ".join(f"{', '.join(names)}: {', '.join(short)}" for short, names in towers.items() if short)
        by_tower = ", ".join(f"{modality} {engine.name}" for modality, engine in self._engines.items())
        facts = {"engine": names, "model": self.model.id, "towers": by_tower}
        return facts | ({"engine_reason": why} if why else {})


def box_input(tower: TowerSpec, clip: Clip) -> Array:
    """The chosen boxes of a clip as pictures float32 "C 3 S S"."""
    return crop_pictures(clip["frames"], box_places(clip), tower)


def box_places(clip: Clip) -> Array:
    """The chosen boxes in the slot's frames: "C 5" (frame index, x0, y0, x1, y1 in pixels)."""
    boxes = clip["boxes"][clip["box_crops"]]
    height, width = clip["frames"].shape[1:3]
    scale = width / (clip.info.width or width), height / (clip.info.height or height)
    places: Array = np.concatenate([boxes[:, :1], boxes[:, 1:5] * np.array([*scale, *scale], np.float32)], axis=1)
    return places


def joined(inputs: Sequence[Any]) -> Any:
    """The inputs of one engine call, concatenated: arrays, or tensors on its device."""
    if len(inputs) == 1:
        return inputs[0]
    if isinstance(inputs[0], np.ndarray):
        return np.concatenate(inputs)
    import torch

    return torch.cat(list(inputs))


def _tower_of(name: str) -> str:
    return "image" if name == BOX else name


def _why_missing(array: str, clip: Clip, never_settled: str = "failed") -> str | None:
    return None if clip.get(array) is not None else clip.absent.get(array, never_settled)


def unit(tokens: Array) -> Array:
    """Every row of "N D" at unit length; zeros stay zeros."""
    rows: Array = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    return rows


def pool(tokens: Array) -> Array:
    """The mean of tokens "N D" at unit length: float32 "D"."""
    mean = tokens.mean(axis=0)
    pooled: Array = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return pooled
