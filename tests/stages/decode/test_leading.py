"""The first pictures of a stream that have no time, although later ones do."""

from itertools import pairwise
from pathlib import Path

import av
import pytest

from stages.decode.leading import leading_ticks
from tests.media import Sound, make_video, read_time_ms
from tests.rtsp import RtspCamera, access_units
from tests.stages.decode.reading import Reading, read

PACKET = 188


def deviations_ms(reading: Reading) -> set[int]:
    """By how much the times of the pictures differ from those drawn into them."""
    return {
        round(time_ns / 1e6) - read_time_ms(picture)
        for clip in reading.clips
        for picture, time_ns in zip(clip.arrays["frames"], clip.arrays["frame_times_ns"], strict=True)
    }


@pytest.mark.parametrize(
    ("packets", "expected"),
    [
        ([(None, 3600), (3600, 3600)], [0]),
        ([(None, 0), (100, 0)], [90]),
        ([(None, 0), (3600, 0), (7200, 0)], [0]),
        ([(None, 40), (None, 0), (None, 60), (500, 40)], [390, 430, 440]),
        ([(None, 0), (500, 0), (420, 0), (460, 0)], [380]),  # B-frames: 420 is shown first
        ([(0, 0), (None, 0)], []),
        ([(None, 0), (None, 0)], []),
        ([], []),
    ],
)
def test_times_are_counted_back_from_the_first(packets: list[tuple[int | None, int]], expected: list[int]) -> None:
    assert leading_ticks(packets, step=10) == expected


@pytest.mark.parametrize(("rate_hz", "start"), [(20, 5), (30, 2**32 - 90_000)])
def test_the_first_picture_of_rtsp_comes_one_frame_before_the_second(rate_hz: int, start: int, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", 4.0, rate_hz, gop=2 * rate_hz, b_frames=0)
    with RtspCamera(access_units(film), rate_hz, start) as url:
        with av.open(url, timeout=(10, 10)) as container:
            first, second, third = (packet for packet, _ in zip(container.demux(), range(3), strict=False))
        assert first.is_keyframe
        assert [packet.pts for packet in (first, second, third)] == [None, second.pts, second.pts + 90_000 // rate_hz]
        reading = read(url)
    assert reading.info.notes == ()
    assert reading.spans_s == [(0, 2), (2, 4)]
    assert deviations_ms(reading) <= {-1, 0, 1}
    assert not any(clip.info.estimated_times or clip.info.decode_errors for clip in reading.clips)


def strip_times(path: Path, count: int) -> Path:
    """Remove the times of the first pictures of an MPEG-TS file, whose video is stream 0x100."""
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), PACKET):
        starts, pid = data[at + 1] & 0x40, (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if not starts or pid != 0x100 or not count:
            continue
        pes = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        assert data[pes : pes + 3] == b"\0\0\1"
        length = data[pes + 8]
        data[pes + 7] &= 0x3F
        data[pes + 9 : pes + 9 + length] = b"\xff" * length
        count -= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("count", "b_frames", "sound"), [(1, 0, True), (3, 0, False), (1, 2, False)])
def test_the_first_pictures_of_a_recording_may_have_no_times(
    count: int, b_frames: int, sound: bool, tmp_path: Path
) -> None:
    film = make_video(
        tmp_path / "film.ts", 4.0, 25, gop=25, b_frames=b_frames, audio=Sound(start_s=0.0) if sound else None
    )
    whole = read(film)
    reading = read(strip_times(film, count))
    with av.open(str(film)) as container:
        packets = [packet for packet, _ in zip(container.demux(video=0), range(count + 1), strict=False)]
        assert [packet.pts is None for packet in packets] == [True] * count + [False]
    assert reading.spans_s == whole.spans_s
    assert reading.info.notes == ()
    steps_ms = [
        (after - before) // 1_000_000
        for clip in reading.clips
        for before, after in pairwise(clip.arrays["frame_times_ns"].tolist())
    ]
    assert set(steps_ms) <= {120, 160, 119, 159, 80}
    assert max(deviations_ms(reading)) - min(deviations_ms(reading)) <= 1
