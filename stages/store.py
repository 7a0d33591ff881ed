"""What an archive keeps of a clip, so that other words can be asked later without the video."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from pipeline.arrays import Array, Spec
from pipeline.clip import Clip
from pipeline.part import Part
from pipeline.stage import Demand, Outputs, Resources, Stage, StageOptions
from stages.classify import EMBEDDING_OF, FUSED_OF
from stages.encode import FEATURES_OF
from stages.words.label_side import LabelSide
from stages.words.labels import LABELS_FILE, LabelSet
from stages.words.reliability import reliability
from stages.words.scoring import log_sum, peakedness

JPEG_QUALITY = 80
LARGEST = float(np.finfo(np.float16).max)
"""Features beyond it are cut: 65504."""


class Vector(msgspec.Struct, frozen=True):
    """An embedding of a clip."""

    values: Annotated[bytes, Meta(description="Unit vector, float16, little-endian.")]
    log_sum: Annotated[
        float,
        Meta(description="Log of the sum of exp(cosine / temperature) over the model's background words."),
    ]


class Stored(msgspec.Struct, frozen=True):
    """What an archive keeps of a clip beside its record."""

    vectors: Annotated[
        dict[str, Vector], Meta(description="By modality; `fused_image` and the like are those after the fusion head.")
    ]
    weights: Annotated[dict[str, float], Meta(description="How far each modality is trusted, from 0 to 1.")]
    thumbnail: Annotated[bytes, Meta(description="The middle picture as a JPEG; empty if there is none.")] = b""
    features: Annotated[
        dict[str, bytes],
        Meta(
            description="By modality, what its tower has before the projection into text space, if that was asked for: "
            "float16, little-endian, not of unit length."
        ),
    ] = {}


class StoreOptions(StageOptions, frozen=True, kw_only=True):
    thumbnail_px: int = 0
    """Height of a thumbnail; 0: none is made."""


class Store(Stage):
    """Gives `stored`: embeddings as 16-bit floats, all that scoring them against words needs beside the words, and
    features, if `encode` gives them.

    Sums over the background are those of the rounded embeddings, so that words asked later get consistent odds.
    """

    optional = (*EMBEDDING_OF.values(), *FUSED_OF.values(), *FEATURES_OF.values(), "signals", "frames")
    Options = StoreOptions
    options: StoreOptions

    def gives(self) -> dict[str, Spec]:
        return {"stored": Part(type=Stored, doc="Embeddings, features and a thumbnail, for archives.")}

    def demand(self) -> Demand:
        return Demand(short_side_px=self.options.thumbnail_px)

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        self._labels: LabelSet = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def process(self, clip: Clip) -> Outputs:
        return {"stored": self.stored(clip)}

    def stored(self, clip: Clip) -> Stored:
        sides = self._labels.sides
        signals: Mapping[str, Mapping[str, float]] = clip.get("signals") or {}
        vectors: dict[str, Vector] = {}
        weights: dict[str, float] = {}
        for name, side in sides.items():
            own, fused = clip.get(EMBEDDING_OF[name]), clip.get(FUSED_OF[name])
            if own is None:
                continue
            vectors[name] = rounded(own, side)
            decided = peakedness(np.asarray(own, np.float64) @ side.background.T, side.temperature)
            weights[name] = reliability(name, signals, decided, side.knows_stillness)
            if fused is not None and self._labels.head_share is not None:
                vectors[f"fused_{name}"] = rounded(fused, side)
        given = {name: clip.get(key) for name, key in FEATURES_OF.items()}
        features = {name: halved(each) for name, each in given.items() if each is not None}
        frames = clip.get("frames")
        return Stored(vectors, weights, b"" if frames is None else self._thumbnail(frames), features)

    def _thumbnail(self, frames: Array) -> bytes:
        """The JPEG of the middle one of uint8 "T H W 3"."""
        if not self.options.thumbnail_px:
            return b""
        picture = frames[len(frames) // 2]
        scale = min(1.0, self.options.thumbnail_px / picture.shape[0])
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        done, jpeg = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return jpeg.tobytes() if done else b""


def halved(features: Array) -> bytes:
    """Features "F" as 16-bit floats, little-endian."""
    return np.clip(features, -LARGEST, LARGEST).astype("<f2").tobytes()


def rounded(embedding: Array, side: LabelSide) -> Vector:
    """A unit embedding "D" as 16-bit floats, with its sum over the background."""
    half = np.asarray(embedding, np.float32).astype("<f2")
    background = half.astype(np.float64) @ side.background.T
    return Vector(half.tobytes(), float(log_sum(background[None], side.temperature)[0]))
