"""Boxes around objects that move relative to the scene: changed pixels with motion, joined into regions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import msgspec
import numpy as np

from pipeline.arrays import Array
from stages.boxes import Box
from stages.detect.camera import CameraMotion, camera_motions
from stages.detect.change import Change
from stages.half import from_half


class RegionOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    least_speed: float = 0.02
    """Speed relative to the scene below which nothing counts as moving, in short sides per second."""
    noise_factor: float = 3.0
    """With a moving camera, the least speed is raised by this many times the flow's noise around the camera motion."""
    least_change: float = 10.0
    """Grey levels by which a pixel must differ from its neighbouring frames."""
    slip_px: float = 0.25
    """Misalignment between frames that is tolerated."""
    least_area: float = 0.0004
    """Share of the picture below which a region is noise."""
    most: int = 32
    """Most boxes per frame; those with the highest scores are kept."""


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
    """Relative to the scene, in short sides per second."""
    part_px: float
    """Longer side of its largest connected part."""
    score: float = 0.0
    """In [0, 1): rises with speed, area and change."""


def moving_regions(
    flow: Array, grey: Sequence[Array], times_ns: Array, options: RegionOptions
) -> tuple[list[list[Region]], list[CameraMotion | None]]:
    """Regions of every picture except the first, best first, from flow "P h w 2" between P + 1 pictures uint8 "H W".

    And how the camera moved, for each pair; None across a scene cut.
    """
    flow = from_half(flow[:, ::2, ::2])  # DIS has no finer detail
    cameras = camera_motions(flow)
    change = Change(grey, cameras, times_ns, options.slip_px)
    found: list[list[Region]] = []
    for p, camera in enumerate(cameras):
        if camera is None:  # a scene cut, or no pixel has moved
            found.append([])
            continue
        seconds = float(times_ns[p + 1] - times_ns[p]) / 1e9
        motion = carried(flow[p], camera, seconds)
        against_scene = change.against_scene(p + 1)
        found.append(regions_of(change.at(p + 1), against_scene, motion, threshold(camera, options), options))
    return found, cameras


def threshold(camera: CameraMotion, options: RegionOptions) -> float:
    """Least speed of a moving region, in short sides per second.

    Noise around the camera motion is parallax and misfit. A camera at rest causes neither, so noise adds at most half
    the camera's speed.
    """
    return options.least_speed + min(options.noise_factor * camera.noise, 0.5 * camera.speed)


def carried(flow: Array, camera: CameraMotion, seconds: float) -> Array:
    """Motion relative to the scene, float32 "h w 2": of the earlier picture's pixels, at the places they moved to."""
    height, width = flow.shape[:2]
    shift = flow * np.float32(seconds * min(height, width))
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    motion = flow - camera.field(height, width) if camera.speed else flow
    back = x - shift[..., 0], y - shift[..., 1]
    moved: Array = cv2.remap(motion, *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return moved


def regions_of(
    change: Array, against_scene: Array | None, motion: Array, least_speed: float, options: RegionOptions
) -> list[Region]:
    """Regions of one picture from its change "H W", its difference to the still scene, and its motion "h w 2"."""
    height, width = change.shape
    moving = moving_mask(change, motion, least_speed, options.least_change)
    whole = moving
    if against_scene is not None:
        whole = cv2.bitwise_or(moving, cv2.compare(against_scene, 2.5 * options.least_change, cv2.CMP_GT))
    unit = max(1, min(height, width) // 75)  # 3 px at a short side of 224
    whole = cv2.morphologyEx(whole, cv2.MORPH_CLOSE, np.ones((unit, unit), np.uint8))
    least = options.least_area * height * width
    fragments = fragments_of(whole, moving, change, motion, least / 3)
    scored = [
        with_score(r, least_speed, least)
        for r in merge(fragments, least_speed, None if against_scene is None else min(height, width))
        if r.area >= least
    ]
    return sorted(scored, key=lambda region: (-region.score, region.box))[: options.most]


def moving_mask(change: Array, motion: Array, least_speed: float, least_change: float) -> Array:
    """uint8 "H W", 255 where something moves.

    Flow is smooth over about ten pixels: it shows that something moves nearby, and the change shows exactly where.
    """
    height, width = change.shape
    speed = cv2.dilate(cv2.magnitude(motion[..., 0], motion[..., 1]), np.ones((3, 3), np.uint8))
    near = cv2.resize(cv2.compare(speed, least_speed, cv2.CMP_GT), (width, height), interpolation=cv2.INTER_NEAREST)
    mask: Array = cv2.bitwise_and(cv2.compare(change, least_change, cv2.CMP_GT), near)
    return mask


def fragments_of(mask: Array, moving: Array, change: Array, motion: Array, least_area: float) -> list[Region]:
    """The 64 largest connected regions of the mask with at least `least_area` pixels, a tenth of them moving."""
    height, width = mask.shape
    moved = np.flatnonzero(moving)
    if len(moved) == 0:
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    label = labels.ravel()[moved]
    count = np.bincount(label, minlength=len(areas))
    kept = np.flatnonzero((areas >= least_area) & (count >= np.maximum(1, 0.1 * areas)))
    belongs = np.zeros(len(areas), bool)
    belongs[kept] = True
    inside = belongs[label]
    moved, label = moved[inside], label[inside]
    y, x = np.divmod(moved, width)
    there = motion[y * motion.shape[0] // height, x * motion.shape[1] // width]
    strength, vx, vy = (
        np.bincount(label, values, minlength=len(areas)) / np.maximum(count, 1)
        for values in (change.ravel()[moved], there[:, 0], there[:, 1])
    )
    fragments = []
    for i in sorted(kept[kept > 0], key=lambda i: -areas[i])[:64]:
        left, top, w, h = (int(value) for value in stats[i, :4])
        box = left, top, left + w, top + h
        fragments.append(Region(box, float(areas[i]), float(strength[i]), (float(vx[i]), float(vy[i])), max(w, h)))
    return fragments


def merge(regions: list[Region], least_speed: float, short_side_px: int | None) -> list[Region]:
    """The regions after joining those that belong to the same object, until no two do.

    short_side_px: that of the picture if the regions are silhouettes against a known scene; None if they are only the
    edges that changed, which come in pieces at any size.
    """
    while len(regions) > 1:
        first, second = np.nonzero(np.triu(belonging(regions, least_speed, short_side_px), 1))
        taken: set[int] = set()
        unions = []
        for i, j in zip(first.tolist(), second.tolist(), strict=True):
            if not {i, j} & taken:
                taken |= {i, j}
                unions.append(joined(regions[i], regions[j]))
        if not unions:
            break
        regions = [region for i, region in enumerate(regions) if i not in taken] + unions
    return regions


def belonging(regions: list[Region], least_speed: float, short_side_px: int | None) -> Array:
    """bool "N N": which pairs belong to one object: near each other, and not much emptier together than apart.

    Large objects are found in parts (head, arms, a plain shirt between them), so the distance that counts as near grows
    with size. Small objects are found whole, and a region next to one is another object. Parts that move the same way
    may be further apart.
    """
    box = np.array([region.box for region in regions])
    area, part_px = np.array([(region.area, region.part_px) for region in regions]).T
    velocity = np.array([region.velocity for region in regions])
    size = box[:, 2:] - box[:, :2]
    union = np.maximum(box[:, None, 2:], box[None, :, 2:]) - np.minimum(box[:, None, :2], box[None, :, :2])
    gap = (union - size[:, None] - size[None]).max(axis=2)
    speed = np.linalg.norm(velocity, axis=1)
    difference = np.linalg.norm(velocity[:, None] - velocity[None], axis=2)
    same_way = difference < np.maximum(least_speed, 0.5 * np.maximum(speed[:, None], speed[None]))
    longest = np.maximum(part_px[:, None], part_px[None])
    large = np.ones_like(longest) if short_side_px is None else np.clip(5 * longest / short_side_px - 1, 0, 1)
    side = np.sqrt(size.max(axis=1))
    near = gap <= (0.03 + 0.22 * large) * side[:, None] * side[None] * np.where(same_way, 1, 0.5)
    fill = area / size.prod(axis=1)
    whole = (area[:, None] + area[None]) / union.prod(axis=2) >= (0.8 - 0.4 * large) * np.minimum(fill[:, None], fill)
    both: Array = near & whole
    return both


def joined(a: Region, b: Region) -> Region:
    area = a.area + b.area
    x, y = ((u * a.area + v * b.area) / area for u, v in zip(a.velocity, b.velocity, strict=True))
    low = min(a.box[0], b.box[0]), min(a.box[1], b.box[1])
    high = max(a.box[2], b.box[2]), max(a.box[3], b.box[3])
    change = (a.change * a.area + b.change * b.area) / area
    return Region((*low, *high), area, change, (x, y), max(a.part_px, b.part_px))


def with_score(region: Region, least_speed: float, least_area: float) -> Region:
    """The region with its score: the geometric mean of three shares, each 1/2 at a value that is barely enough."""
    speed = math.hypot(*region.velocity)
    parts = (
        region.area / (region.area + least_area),
        region.change / (region.change + 15),
        speed / (speed + least_speed),
    )
    return replace(region, score=math.prod(parts) ** (1 / 3))
