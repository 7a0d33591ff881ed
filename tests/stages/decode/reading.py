"""Reads a whole source, for tests."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import check_array
from pipeline.clip import DecodedClip, Gap, SourceInfo
from pipeline.errors import SourceError
from stages.decode.reader import NS, ReaderOptions, make_reader

SHAPES = {
    "frames": ("T H W 3", "uint8"),
    "frame_times_ns": ("T", "int64"),
    "previous_frame": ("H W 3", "uint8"),
    "previous_time_ns": ("1", "int64"),
    "audio": ("S", "float32"),
    "audio_mask": ("S", "uint8"),
    "audio_start_ns": ("1", "int64"),
}


@dataclass
class Reading:
    info: SourceInfo
    clips: list[DecodedClip] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @property
    def spans_s(self) -> list[tuple[float, float]]:
        return [(round(clip.info.start_ns / NS, 3), round(clip.info.end_ns / NS, 3)) for clip in self.clips]


def read(path: Path | str, start_index: int = 0, *, is_cut: bool = False, **options: Any) -> Reading:
    """All clips, each checked with `check_clip`. `is_cut`: a connection that is lost at the end is no error."""
    settings = ReaderOptions(**options)
    with make_reader(str(path), 3, settings) as reader, suppress(*[SourceError] * is_cut):
        reading = Reading(reader.open())
        for item in reader.clips(start_index):
            if isinstance(item, Gap):
                reading.gaps.append(item)
            else:
                check_clip(item, settings)
                reading.clips.append(item)
    return reading


def check_clip(clip: DecodedClip, options: ReaderOptions) -> None:
    """Check the properties that any clip of any source has."""
    info = clip.info
    assert info.end_ns > info.start_ns
    assert set(clip.arrays) | set(clip.absent) == set(SHAPES)
    assert not set(clip.arrays) & set(clip.absent)
    for name, array in clip.arrays.items():
        check_array(name, array, *SHAPES[name])
    if "frames" in clip.arrays:
        times = clip.arrays["frame_times_ns"]
        assert len(times) == len(clip.arrays["frames"]) <= options.max_frames
        assert (np.diff(times) > 0).all()
        assert info.start_ns <= times[0]
        assert times[-1] < info.end_ns
        height, width = clip.arrays["frames"].shape[1:3]
        assert max(width, height) <= options.long_side_px
        assert min(width, height) <= options.short_side_px
    if "previous_frame" in clip.arrays:
        assert clip.arrays["previous_frame"].shape == clip.arrays["frames"].shape[1:]
        assert clip.arrays["previous_time_ns"][0] < clip.arrays["frame_times_ns"][0]
    if "audio" in clip.arrays:
        samples, mask = clip.arrays["audio"], clip.arrays["audio_mask"]
        longest_s = max((options.clip_ns + options.tail_ns) / NS, options.audio_context_s)
        assert len(samples) == len(mask) <= longest_s * options.audio_rate_hz + 1
        assert np.isfinite(samples).all()
        assert (samples[mask == 0] == 0).all()
        end_ns = clip.arrays["audio_start_ns"][0] + len(samples) * NS / options.audio_rate_hz
        assert abs(end_ns - info.end_ns) <= NS / options.audio_rate_hz


def same(one: DecodedClip, other: DecodedClip) -> bool:
    """Whether two clips are equal, bit for bit."""
    return one.info == other.info and same_media(one, other)


def same_media(one: DecodedClip, other: DecodedClip) -> bool:
    """Whether two clips have the same pictures and sound, bit for bit, whatever their sources are called."""
    return (
        one.absent == other.absent
        and one.arrays.keys() == other.arrays.keys()
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    )


def check_same(hard: Reading, soft: Reading, levels: float = 1.5) -> None:
    """The same clips, times and sound exactly; the same pictures but for how they are made smaller."""
    assert [clip.info for clip in hard.clips] == [clip.info for clip in soft.clips]
    for one, other in zip(hard.clips, soft.clips, strict=True):
        assert one.absent == other.absent
        for name, array in other.arrays.items():
            if array.dtype == np.uint8 and array.ndim > 1:
                assert np.abs(one.arrays[name].astype(int) - array).mean() <= levels
            else:
                assert np.array_equal(one.arrays[name], array)
