"""Boxes around what moves against the scene: changed pixels that also flow, joined into regions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.camera import CameraMotion, camera_motions
from stages.change import Change
from stages.track.motion_model import Box


class RegionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    least_speed: float = 0.02
    """Short sides per second against the scene; below it nothing counts as moving."""
    noise_factor: float = 3.0
    """Under a moving camera, speed must also exceed this many times the flow's noise around the camera motion."""
    least_change: float = 10.0
    """Grey levels by which a pixel must differ from its neighbouring frames."""
    slip_px: float = 0.35
    """Misalignment between frames that is forgiven."""
    least_area: float = 0.0004
    """Share of the picture below which a region is noise."""
    most: int = 32
    """Boxes per frame; the best-scored stay."""


@dataclass(frozen=True)
class Region:
    """One moving region of one frame."""

    box: Box
    """In pixels of the grey picture."""
    area: float
    """Changed pixels."""
    change: float
    """Their mean change in grey levels."""
    velocity: tuple[float, float]
    """Against the scene, short sides per second."""
    part_px: float
    """Longer side of its largest connected part."""
    score: float = 0.0
    """In [0, 1): rises with speed, area and change."""


def moving_regions(flow: Array, grey: Sequence[Array], times_ns: Array, options: RegionOptions) -> list[list[Region]]:
    """Regions of every picture but the first, best first: flow "P h w 2" between P + 1 grey pictures of uint8 "H W"."""
    cameras = camera_motions(flow)
    change = Change(grey, cameras, times_ns, options.slip_px)
    found: list[list[Region]] = []
    for p, camera in enumerate(cameras):
        if camera is None:  # a scene cut, or not one pixel has moved
            found.append([])
            continue
        seconds = float(times_ns[p + 1] - times_ns[p]) / 1e9
        motion = carried(flow[p], camera, seconds)
        against_scene = change.against_scene(p + 1)
        found.append(regions_of(change.at(p + 1), against_scene, motion, threshold(camera, options), options))
    return found


def threshold(camera: CameraMotion, options: RegionOptions) -> float:
    """Least speed of a moving region, in short sides per second.

    Noise around the camera motion is parallax and misfit, which a camera at rest cannot cause: so it counts no more
    than half the camera's speed.
    """
    return options.least_speed + min(options.noise_factor * camera.noise, 0.5 * camera.speed)


def carried(flow: Array, camera: CameraMotion, seconds: float) -> Array:
    """Motion against the scene, float32 "h w 2", of the earlier picture's pixels, at the place they reach in the later."""
    height, width = flow.shape[:2]
    flow = flow.astype(np.float32)
    shift = flow * np.float32(seconds * min(height, width))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    motion = flow - camera.field(height, width)
    return cv2.remap(motion, x - shift[..., 0], y - shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def regions_of(
    change: Array, against_scene: Array | None, motion: Array, least_speed: float, options: RegionOptions
) -> list[Region]:
    """Regions of one picture from its change "H W", its difference to the still scene, and its motion "h w 2"."""
    height, width = change.shape
    motion = cv2.resize(motion, (width, height), interpolation=cv2.INTER_LINEAR)
    moving = moving_mask(change, motion, least_speed, options.least_change)
    whole = moving if against_scene is None else moving | (against_scene > 2.5 * options.least_change)
    unit = unit_px(change)
    whole = cv2.morphologyEx(whole.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((unit, unit), np.uint8))
    least = options.least_area * height * width
    fragments = fragments_of(whole, moving, change, motion, least / 3)
    scored = [with_score(r, least_speed, least) for r in merge(fragments, least_speed, None if against_scene is None else min(height, width)) if r.area >= least]
    return sorted(scored, key=lambda region: (-region.score, region.box))[: options.most]


def unit_px(picture: Array) -> int:
    """Smallest detail that counts: 3 px at a short side of 224."""
    return max(1, min(picture.shape[:2]) // 75)


def moving_mask(change: Array, motion: Array, least_speed: float, least_change: float) -> Array:
    """uint8 "H W", 1 where something moves.

    Flow is smooth over some ten pixels: it says that something moves nearby, and the change says where exactly.
    """
    unit = unit_px(change)
    speed = cv2.magnitude(motion[..., 0], motion[..., 1])
    near = cv2.dilate(speed, np.ones((4 * unit + 1, 4 * unit + 1), np.uint8)) > least_speed
    return ((change > least_change) & near).astype(np.uint8)


def fragments_of(mask: Array, moving: Array, change: Array, motion: Array, least_area: float) -> list[Region]:
    """Connected regions of the mask, at least `least_area` pixels each and a tenth of them moving, the largest 100."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    order = sorted(range(1, count), key=lambda i: -stats[i, cv2.CC_STAT_AREA])[:100]
    fragments = []
    for i in order:
        x, y, w, h, area = (int(value) for value in stats[i])
        if area < least_area:
            break
        window = np.s_[y : y + h, x : x + w]
        inside = (labels[window] == i) & (moving[window] > 0)
        if inside.sum() < 0.1 * area:
            continue
        vx, vy = (float(v) for v in np.median(motion[window][inside], axis=0))
        strength = float(change[window][inside].clip(0).mean())
        fragments.append(Region((x, y, x + w, y + h), area, strength, (vx, vy), max(w, h)))
    return fragments


def merge(regions: list[Region], least_speed: float, short_side_px: int | None) -> list[Region]:
    """Regions with those joined that belong to one object, until none do.

    `short_side_px` of the picture where regions are silhouettes against a known scene; None where they are only the
    edges that changed, and so in pieces at any size.
    """
    rest, done = list(regions), []
    while rest:
        region = rest.pop(0)
        other = next((r for r in rest if belong(region, r, least_speed, short_side_px)), None)
        if other is None:
            done.append(region)
        else:
            rest.remove(other)
            rest, done = [*rest, *done, joined(region, other)], []
    return done


def belong(a: Region, b: Region, least_speed: float, short_side_px: int | None) -> bool:
    """Whether two regions are parts of one object: near each other, and not much emptier together than apart.

    Large objects fall into parts (head, arms, a plain shirt between them), so what is near grows with their size;
    small ones are whole, and what is beside them is somebody else. Parts that move alike may be further apart.
    """
    part_px = max(a.part_px, b.part_px)
    large = 1.0 if short_side_px is None else float(np.clip(5 * part_px / short_side_px - 1, 0, 1))
    gap_x = max(a.box[0], b.box[0]) - min(a.box[2], b.box[2])
    gap_y = max(a.box[1], b.box[1]) - min(a.box[3], b.box[3])
    speed = max(np.hypot(*a.velocity), np.hypot(*b.velocity))
    difference = np.hypot(a.velocity[0] - b.velocity[0], a.velocity[1] - b.velocity[1])
    reach = (0.03 + 0.22 * large) * np.sqrt(longer_side(a.box) * longer_side(b.box))
    if max(gap_x, gap_y) > (reach if difference < max(least_speed, 0.5 * speed) else 0.5 * reach):
        return False
    return fill(joined(a, b)) >= (0.8 - 0.4 * large) * min(fill(a), fill(b))


def fill(region: Region) -> float:
    """Share of its box that a region covers."""
    return region.area / ((region.box[2] - region.box[0]) * (region.box[3] - region.box[1]))


def longer_side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def joined(a: Region, b: Region) -> Region:
    area = a.area + b.area
    x, y = ((u * a.area + v * b.area) / area for u, v in zip(a.velocity, b.velocity, strict=True))
    low = min(a.box[0], b.box[0]), min(a.box[1], b.box[1])
    high = max(a.box[2], b.box[2]), max(a.box[3], b.box[3])
    change = (a.change * a.area + b.change * b.area) / area
    return Region((*low, *high), area, change, (x, y), max(a.part_px, b.part_px))


def with_score(region: Region, least_speed: float, least_area: float) -> Region:
    """Geometric mean of three shares, each 1/2 at what is hardly enough."""
    speed = float(np.hypot(*region.velocity))
    parts = (region.area / (region.area + least_area), region.change / (region.change + 15), speed / (speed + least_speed))
    return replace(region, score=float(np.prod(parts)) ** (1 / 3))
