"""From cameras to a plan: one config for the networks, and the options of each camera's reader."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from live.settings import Camera, Settings
from pipeline.config import Config, FollowOptions, GroupOptions
from pipeline.machine import core_count

SLOTS_PER_CAMERA = 3
"""Two that are granted, and one that waits."""
SPARE_SLOTS = 16
"""For clips in work, and for cameras that are added later."""
MOST_LABELS = 32
"""A camera with so many labels has all of them in its records, since conditions and budgets need them."""
MOST_WORKERS = 8
KEEP_BYTES = 64 << 20


def label_names(camera: Camera) -> tuple[str, ...]:
    """What is looked for, without thresholds."""
    return tuple(each if isinstance(each, str) else each.label for each in camera.labels)


def watch_config(config: Config, settings: Settings, words_of: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Config:
    """The config under which all these cameras can be watched: the longest clips, all modalities, all labels.

    words_of: labels and words to find, as the stages read them.
    """
    cameras = settings.cameras
    labels = [words_of(label_names(camera)) for camera in cameras]
    find = [words_of(camera.find) if camera.find else () for camera in cameras]
    every = tuple(dict.fromkeys(name for names in labels for name in names))
    asked = {name for camera in cameras for name in camera.modalities}
    clips = msgspec.structs.replace(
        config.clips,
        seconds=max([camera.clip_seconds for camera in cameras], default=config.clips.seconds),
        fps=max([camera.fps for camera in cameras], default=config.clips.fps),
        shots=False,
    )
    stages = {name: dict(options) for name, options in config.stages.items()}
    stages.setdefault("classify", {}).update(labels=list(map(list, labels)), find=list(map(list, find)))
    if "track" in stages:
        stages["track"]["which"] = config.follow.which
    if any("detect" in group.stages for group in config.groups):
        stages.setdefault("detect", {})["colours"] = True  # words that come later may have some
    top_k = max(config.labels.top_k, min(MOST_LABELS, max(map(len, labels), default=0)))
    slots = SLOTS_PER_CAMERA * len(cameras) + SPARE_SLOTS
    return msgspec.structs.replace(
        config,
        clips=clips,
        decode=msgspec.structs.replace(config.decode, key_frames=False),
        modalities=tuple(name for name in config.modalities if name in asked) or config.modalities,
        labels=msgspec.structs.replace(config.labels, words=every or config.labels.words, top_k=top_k),
        queue=msgspec.structs.replace(config.queue, slots=config.queue.slots or slots),
        follow=_follow(config.follow, find),
        stages=stages,
        groups=tuple(map(with_workers, config.groups)),
    )


def _follow(follow: FollowOptions, find: Sequence[tuple[str, ...]]) -> FollowOptions:
    """What is looked for at any camera, since a detector that is told words has those of all of them. Which tracks are
    told is decided for each camera."""
    words = tuple(dict.fromkeys(word for words in find for word in words))
    is_mixed = follow.which == "auto" and not all(find)
    return msgspec.structs.replace(follow, find=words, which="all" if is_mixed else follow.which)


def with_workers(group: GroupOptions) -> GroupOptions:
    """A group of which the newest clip wins has half as many processes as there are cores, unless it says otherwise.

    Decoders come first. More processes would share what these leave, and each clip would take longer.
    """
    workers = group.workers or (max(1, min(MOST_WORKERS, core_count() // 2)) if group.latest else 0)
    return msgspec.structs.replace(group, workers=workers)


def reader_options(camera: Camera, url: str, zero_ns: int, directory: Path) -> dict[str, Any]:
    """What the reader of a camera is told beyond the plan's options: plain data, with secrets in its URL.

    zero_ns: the instant on the monotonic clock from which times count. directory: of the camera's pictures.
    """
    clip_ns = round(camera.clip_seconds * 1e9)
    feed = {
        "url": url,
        "transport": camera.transport,
        "realtime": camera.realtime,
        "loop": camera.loop,
        "every": camera.policy == "every",
        "stall_s": camera.stall_s,
        "zero_ns": zero_ns,
        "masks": camera.masks,
        "zones": camera.zones,
        "reuse": camera.reuse,
        "keep_s": camera.pre_s + camera.longest_s + camera.post_s + 2 * camera.clip_seconds if camera.record else 0.0,
        "keep_bytes": KEEP_BYTES,
        "directory": str(directory),
    }
    return {
        "clip_ns": clip_ns,
        "stride_ns": clip_ns,
        "frame_rate_hz": camera.fps,
        "modalities": camera.modalities,
        "feed": msgspec.to_builtins(feed),
    }
