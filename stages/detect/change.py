"""Pixels that changed against the frames before and after, once the camera's own motion is undone."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.arrays import Array
from stages.detect.camera import CameraMotion

STILL = np.eye(2, 3)
"""The affine map of a camera at rest."""
LEAST_RUN = 6
"""Pictures that are needed to tell the scene from what moves."""


class Change:
    """Three-frame difference over a run of grey pictures uint8 "H W", with the camera motion between each two.

    A pixel counts as changed by the *smaller* of its differences to the frames before and after, so the place an
    object left does not count; or by the larger one where it also stands out from the still scene, if that is known.
    At the end of the run, and beside a scene cut (motion None), the frame before the last stands in for the next.
    """

    def __init__(
        self, grey: Sequence[Array], motions: Sequence[CameraMotion | None], times_ns: Array, slip_px: float
    ) -> None:
        self._grey = [cv2.GaussianBlur(picture, (3, 3), 0) for picture in grey]
        self._edges = [edges(picture) for picture in self._grey]
        self._slip_px = slip_px
        seconds = np.diff(times_ns) / 1e9
        shape = self._grey[0].shape
        self._maps = [
            None if motion is None else pixel_matrix(motion, float(s), shape)
            for motion, s in zip(motions, seconds, strict=True)
        ]
        self._scenes = still_scenes(self._grey, motions)

    def against_scene(self, index: int) -> Array | None:
        """uint8 "H W": grey levels by which picture `index` stands out from the still scene.

        What lingered so long that it became part of the scene leaves a hole when it goes; there the scene has the
        sharper edges, and nothing stands out. None where the scene is not known: under a moving camera, or too near
        a scene cut.
        """
        scene = self._scenes[index]
        if scene is None:
            return None
        sharper = cv2.compare(cv2.blur(self._edges[index], (7, 7)), scene.sharpness, cv2.CMP_GE)
        standing_out: Array = cv2.bitwise_and(cv2.absdiff(self._grey[index], scene.picture), sharper)
        return standing_out

    def at(self, index: int) -> Array:
        """uint8 "H W": grey levels by which picture `index` differs, beyond what misalignment explains; index > 0.

        A misalignment of `slip_px` changes a pixel by its gradient times that.
        """
        before = self._maps[index - 1]
        if before is None:
            raise ValueError(f"picture {index} follows a scene cut and has nothing to differ from")
        change = self._difference(index, index - 1, before, cv2.INTER_LINEAR)
        other = self._other_difference(index, before)
        standing_out = self.against_scene(index)
        if (
            standing_out is not None
        ):  # a plain object as it moves differs from one neighbour at its front, one at its back
            either = change if other is None else cv2.max(change, other)
            both = np.zeros_like(change) if other is None else cv2.min(change, other)
            change = cv2.max(both, cv2.min(either, standing_out))
        elif other is not None:
            change = cv2.min(change, other)
        beyond: Array = cv2.subtract(change, cv2.convertScaleAbs(self._edges[index], alpha=self._slip_px / 2))
        return beyond

    def _other_difference(self, index: int, before: Array) -> Array | None:
        """Difference to the next picture; if there is none, and no still scene either, to the one before the last."""
        after = self._maps[index] if index < len(self._maps) else None
        if after is not None:
            return self._difference(index, index + 1, after, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        earlier = self._maps[index - 2] if index > 1 else None
        if earlier is None or self._scenes[index] is not None:
            return None
        both = before @ np.vstack([earlier, [0, 0, 1]])
        return self._difference(index, index - 2, both, cv2.INTER_LINEAR)

    def _difference(self, index: int, other: int, matrix: Array, flags: int) -> Array:
        """uint8 "H W": absolute difference, but for exposure; 0 where the other picture does not reach."""
        here, there = self._grey[index], self._grey[other]
        if not np.array_equal(matrix, STILL):
            there = cv2.warpAffine(there, matrix, here.shape[::-1], here.copy(), flags, cv2.BORDER_TRANSPARENT)
        exposure = float(np.median(here[::8, ::8].astype(np.int16) - there[::8, ::8]))
        difference: Array = cv2.absdiff(here, cv2.add(there, exposure) if exposure else there)
        return difference


def pixel_matrix(motion: CameraMotion, seconds: float, shape: tuple[int, ...]) -> Array:
    """Affine map "2 3" in pixels: where a point of the still scene is after `seconds`."""
    height, width = shape
    shift = motion.matrix * seconds * min(height, width)
    to_unit = np.array([[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]])
    matrix: Array = STILL + shift @ to_unit
    return matrix


@dataclass(frozen=True)
class StillScene:
    """What a run of pictures shows without what moves through it."""

    picture: Array
    sharpness: Array
    """Edges, averaged over their surroundings."""


def still_scenes(grey: Sequence[Array], motions: Sequence[CameraMotion | None]) -> list[StillScene | None]:
    """The scene of every picture, or None: see `Change.against_scene`."""
    scenes: list[StillScene | None] = []
    while len(scenes) < len(grey):
        start = stop = len(scenes)
        while stop < len(motions) and motions[stop] is not None:
            stop += 1
        run = [m for m in motions[start:stop] if m is not None]
        scene = None
        if len(run) + 1 >= LEAST_RUN and not any(m.speed for m in run):
            picture = ninther([grey[i] for i in np.linspace(start, stop, 9).round().astype(int)])
            scene = StillScene(picture, cv2.blur(edges(picture), (7, 7)))
        scenes += [scene] * (stop + 1 - start)
    return scenes


def edges(picture: Array) -> Array:
    """uint8 "H W": grey levels between the darkest and the brightest neighbour, two pixels apart."""
    contrast: Array = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return contrast


def ninther(nine: Sequence[Array]) -> Array:
    """Median of three medians of three interleaved pictures each: nearly the median of nine, at a tenth of the cost."""
    return median_of_3(*(median_of_3(*nine[i::3]) for i in range(3)))


def median_of_3(a: Array, b: Array, c: Array) -> Array:
    median: Array = cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c))
    return median
