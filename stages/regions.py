"""Where something moves against the scene: boxes from optical flow and from what camera motion does not explain."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.camera import CameraMotion, fit_camera


class RegionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    least_speed: float = 0.03
    """Short sides per second against the scene; below it nothing counts as moving."""
    noise_factor: float = 3.0
    """Speed must also exceed this many times the flow's noise around the camera motion."""
    least_change: float = 10.0
    """Grey levels by which a pixel must differ from both neighbouring frames."""
    slip_px: float = 0.35
    """Alignment error of the camera motion that is forgiven: edges may change by their gradient times this."""
    least_area: float = 0.0004
    """Share of the picture below which a region is noise."""
    most: int = 32
    """Boxes per frame; the best-scored stay."""


@dataclass(frozen=True)
class Region:
    """One moving region of one frame."""

    box: tuple[float, float, float, float]
    """x0 y0 x1 y1 in pixels of the grey picture, half-open."""
    area: float
    """Changed pixels."""
    velocity: tuple[float, float]
    """Against the scene, short sides per second."""
    score: float


class Surroundings(msgspec.Struct, frozen=True):
    """Place of a frame among its neighbours: indices of grey pictures and camera motions to compare it with."""

    frame: int
    others: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]


def moving_regions(flow: Array, grey: Sequence[Array], times_ns: Array, options: RegionOptions) -> list[list[Region]]:
    """Regions of every frame but the first: flow "P h w 2" between P + 1 grey pictures of uint8 "H W".

    A pixel has changed when it differs from the frames before and after, both brought into place by the camera
    motion: so the place an object left does not count (three-frame difference). At the end of the run of frames, and
    beside a scene cut, the last two frames before stand in. A region must also move by its flow.
    """
    cameras = [None if not pair.any() else fit_camera(pair.astype(np.float32)) for pair in flow]
    found = []
    for p in range(len(flow)):
        camera = cameras[p]
        if camera is None:  # a cut, or nothing at all has changed
            found.append([])
            continue
        changed = changed_pixels(p + 1, grey, cameras, times_ns, options)
        seconds = float(times_ns[p + 1] - times_ns[p]) / 1e9
        motion = flow[p].astype(np.float32) - camera.field(*flow[p].shape[:2])
        found.append(regions_of(changed, carried(motion, flow[p], seconds), camera.noise, options))
    return found


def pixel_matrix(camera: CameraMotion, seconds: float, shape: tuple[int, ...]) -> Array:
    """Affine map "2 3" in pixels: where a point of the still scene is after `seconds`."""
    height, width = shape
    shift = camera.matrix * seconds * min(height, width)
    to_unit = np.array([[2 / max(1, width - 1), 0, -1], [0, 2 / max(1, height - 1), -1], [0, 0, 1]])
    return np.eye(3)[:2] + shift @ to_unit


def changed_pixels(
    at: int, grey: Sequence[Array], cameras: Sequence[CameraMotion | None], times_ns: Array, options: RegionOptions
) -> Array:
    """bool "H W": pixels of picture `at` that differ from two neighbouring pictures brought into its place."""
    import cv2

    here = cv2.GaussianBlur(grey[at], (3, 3), 0)
    maps = [None if c is None else pixel_matrix(c, float(times_ns[i + 1] - times_ns[i]) / 1e9, here.shape)
            for i, c in enumerate(cameras)]  # fmt: skip
    before = maps[at - 1]
    assert before is not None
    ways = [(at - 1, before, False)]
    after = maps[at] if at < len(maps) else None
    earlier = maps[at - 2] if at >= 2 else None
    if after is not None:
        ways.append((at + 1, after, True))
    elif earlier is not None:
        ways.append((at - 2, chained(earlier, before), False))
    slack = options.least_change + options.slip_px * gradient(here)
    changed = np.ones(here.shape, bool)
    for index, matrix, forward in ways:
        other = cv2.GaussianBlur(grey[index], (3, 3), 0)
        flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if forward else 0)
        size = here.shape[::-1]
        placed = cv2.warpAffine(other, matrix, size, here.copy(), flags, cv2.BORDER_TRANSPARENT)
        difference = here.astype(np.float32) - placed
        difference -= np.median(difference[::4, ::4])  # exposure
        changed &= np.abs(difference) > slack
    return changed


def chained(first: Array, then: Array) -> Array:
    """Affine maps "2 3" one after the other."""
    return then @ np.vstack([first, [0, 0, 1]])


def gradient(grey: Array) -> Array:
    """float32 "H W": grey levels per pixel."""
    import cv2

    return cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))


def carried(motion: Array, flow: Array, seconds: float) -> Array:
    """Motion of the earlier frame's pixels, seen at the place they reach in the later frame."""
    import cv2

    height, width = motion.shape[:2]
    shift = flow.astype(np.float32) * (seconds * min(height, width))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(motion, x - shift[..., 0], y - shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def regions_of(changed: Array, motion: Array, noise: float, options: RegionOptions) -> list[Region]:
    """Connected regions of changed pixels that move, fragments merged, best first."""
    import cv2

    height, width = changed.shape
    unit = max(1, min(height, width) // 75)  # 3 px at a short side of 224
    speed = cv2.resize(np.hypot(motion[..., 0], motion[..., 1]), (width, height), interpolation=cv2.INTER_LINEAR)
    threshold = max(options.least_speed, options.noise_factor * noise)
    near = cv2.dilate(speed, np.ones((4 * unit + 1, 4 * unit + 1), np.uint8)) > threshold
    solid = cv2.erode((speed > 2 * threshold).astype(np.uint8), np.ones((8 * unit + 1, 8 * unit + 1), np.uint8))
    mask = ((changed & near) | (solid > 0)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    mask = cv2.morphologyEx(
        mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * unit + 1, 4 * unit + 1))
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    regions = []
    small = cv2.resize(motion, (width, height), interpolation=cv2.INTER_NEAREST)
    for i in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[i])
        if area < options.least_area * height * width / 3:
            continue
        inside = labels[y : y + h, x : x + w] == i
        velocity = np.median(small[y : y + h, x : x + w][inside], axis=0)
        regions.append((np.array([x, y, x + w, y + h], float), area, velocity))
    merged = merge(regions, unit, threshold)
    least = options.least_area * height * width
    out = []
    for box, area, velocity in merged:
        v = float(np.hypot(*velocity))
        if area < least or v < threshold:
            continue
        score = float(np.sqrt(v / (v + threshold) * area / (area + least)))
        out.append(Region(tuple(float(b) for b in box), float(area), (float(velocity[0]), float(velocity[1])), score))
    return sorted(out, key=lambda r: (-r.score, r.box))[: options.most]


def merge(regions, unit, threshold):
    regions = sorted(regions, key=lambda r: -r[1])[:200]
    changed = True
    while changed:
        changed = False
        for i in range(len(regions)):
            for j in range(i + 1, len(regions)):
                if belong(regions[i], regions[j], unit, threshold):
                    a, b = regions[i], regions[j]
                    box = np.concatenate([np.minimum(a[0][:2], b[0][:2]), np.maximum(a[0][2:], b[0][2:])])
                    area = a[1] + b[1]
                    regions[i] = (box, area, (a[2] * a[1] + b[2] * b[1]) / area)
                    del regions[j]
                    changed = True
                    break
            if changed:
                break
    return regions


def belong(a, b, unit, threshold):
    gap = np.maximum(a[0][:2], b[0][:2]) - np.minimum(a[0][2:], b[0][2:])
    side = max((a[0][2:] - a[0][:2]).max(), (b[0][2:] - b[0][:2]).max())
    reach = unit + 0.1 * side
    if gap.max() > reach:
        return False
    va, vb = np.hypot(*a[2]), np.hypot(*b[2])
    return np.hypot(*(a[2] - b[2])) < max(threshold, 0.5 * max(va, vb))
