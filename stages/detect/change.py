"""Pixels that differ from the frames before and after, once camera motion is compensated."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.arrays import Array
from stages.detect.camera import CameraMotion

STILL = np.eye(2, 3)
"""The affine map of a camera at rest."""
LEAST_RUN = 6
"""Pictures needed to separate the still scene from moving objects."""


class Change:
    """Three-frame difference over a run of grey pictures uint8 "H W", with the camera motion between neighbours.

    The change of a pixel is the *smaller* of its differences to the pictures before and after, so the place that an
    object left does not count. If the still scene is known, the larger difference counts too, up to the difference from
    the scene. At the end of the run and before a scene cut (motion None), the picture two back replaces the next one.
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
        """uint8 "H W": grey levels by which picture `index` differs from the still scene.

        None if the scene is unknown: the camera moves, or the run between two scene cuts is too short. An object that
        stayed long enough to become part of the scene leaves a hole when it moves away; there the scene has the sharper
        edges, and the difference is 0.
        """
        scene = self._scenes[index]
        if scene is None:
            return None
        sharper = cv2.compare(cv2.blur(self._edges[index], (7, 7)), scene.sharpness, cv2.CMP_GE)
        standing_out: Array = cv2.bitwise_and(cv2.absdiff(self._grey[index], scene.picture), sharper)
        return standing_out

    def at(self, index: int) -> Array:
        """uint8 "H W": grey levels by which picture `index` > 0 changed, beyond what misalignment explains.

        Misalignment by `slip_px` changes a pixel by its gradient times `slip_px`.

        Raises:
            ValueError: the picture follows a scene cut.
        """
        before = self._maps[index - 1]
        if before is None:
            raise ValueError(f"picture {index} follows a scene cut; expected one with a picture before it")
        change = self._difference(index, index - 1, before, cv2.INTER_LINEAR)
        other = self._other_difference(index, before)
        standing_out = self.against_scene(index)
        if standing_out is not None:
            # a moving object of one colour differs from one neighbour at its front, from the other at its back
            either = change if other is None else cv2.max(change, other)
            both = np.zeros_like(change) if other is None else cv2.min(change, other)
            change = cv2.max(both, cv2.min(either, standing_out))
        elif other is not None:
            change = cv2.min(change, other)
        beyond: Array = cv2.subtract(change, cv2.convertScaleAbs(self._edges[index], alpha=self._slip_px / 2))
        return beyond

    def _other_difference(self, index: int, before: Array) -> Array | None:
        """Difference to the next picture; if there is none and the still scene is unknown, to the picture two back."""
        after = self._maps[index] if index < len(self._maps) else None
        if after is not None:
            return self._difference(index, index + 1, after, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        earlier = self._maps[index - 2] if index > 1 else None
        if earlier is None or self._scenes[index] is not None:
            return None
        both = before @ np.vstack([earlier, [0, 0, 1]])
        return self._difference(index, index - 2, both, cv2.INTER_LINEAR)

    def _difference(self, index: int, other: int, matrix: Array, flags: int) -> Array:
        """uint8 "H W": absolute difference, corrected for exposure; 0 outside the other picture."""
        here, there = self._grey[index], self._grey[other]
        if not np.array_equal(matrix, STILL):
            there = cv2.warpAffine(there, matrix, here.shape[::-1], here.copy(), flags, cv2.BORDER_TRANSPARENT)
        exposure = float(np.median(here[::8, ::8].astype(np.int16) - there[::8, ::8]))
        difference: Array = cv2.absdiff(here, cv2.add(there, exposure) if exposure else there)
        return difference


def pixel_matrix(motion: CameraMotion, seconds: float, shape: tuple[int, ...]) -> Array:
    """Affine map "2 3" in pixels: moves a point of the still scene to where it is after `seconds`."""
    height, width = shape
    shift = motion.matrix * seconds * min(height, width)
    to_unit = np.array([[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]])
    matrix: Array = STILL + shift @ to_unit
    return matrix


@dataclass(frozen=True)
class StillScene:
    """The background of a run of pictures, without moving objects."""

    picture: Array
    sharpness: Array
    """Edges, averaged over 7 x 7 pixels."""


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
    """uint8 "H W": grey levels between the darkest and the brightest pixel of each 3 x 3 neighbourhood."""
    contrast: Array = cv2.morphologyEx(picture, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return contrast


def ninther(nine: Sequence[Array]) -> Array:
    """Median of three medians of three interleaved pictures: close to the median of nine, at a tenth of the cost."""
    return median_of_3(*(median_of_3(*nine[i::3]) for i in range(3)))


def median_of_3(a: Array, b: Array, c: Array) -> Array:
    median: Array = cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c))
    return median
