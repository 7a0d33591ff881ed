"""Films are cut from what a camera sent: the stretch that was asked for, in step, and never without the mask."""

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stages.decode.live.film_times import Piece, film_times
from stages.decode.live.headers import parameter_sets
from stages.decode.live.masks import Mask
from stages.decode.live.ring import FilmError, PacketRing
from tests.clock_film import TS_START_S, Picture, Sound, write_film
from tests.clock_reading import ClockReading, picture_time_s, read_clock

NS = 1_000_000_000
ZERO_NS = 500 * NS
"""The instant at which told time 0 was captured."""
MASK = Mask([((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))])


def at(told_s: float) -> int:
    return ZERO_NS + round(told_s * NS)


def connect(ring: PacketRing, path: Path, shift_s: float = 0.0, late_s: float = 0.0) -> None:
    """Play a film to the ring as one connection, and close it. `late_s`: how late each second packet is seen."""
    with av.open(str(path)) as container:
        streams = list(container.streams)
        start_s = TS_START_S if path.suffix == ".ts" else 0.0
        ring.open(streams)
        for number, packet in enumerate(container.demux(streams)):
            if packet.size:
                seen_s = float(packet.pts * packet.time_base) - start_s + shift_s + late_s * (number % 2)
                ring.add(packet, at(seen_s))


def cut(ring: PacketRing, path: Path, from_s: float, until_s: float, mask: Mask | None = None) -> ClockReading:
    """Cut a film, and read it. Shifts of the reading are against its first picture."""
    found = ring.cut(path, at(from_s), at(until_s), mask)
    assert [each for each in path.parent.iterdir() if each.suffix == ".part"] == []
    return read_clock(path, origin_s=(found.from_ns - ZERO_NS) / NS)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("camera") / "camera.ts", 12.0)


def codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.codec.canonical_name for stream in container.streams]


@pytest.mark.parametrize("mask", [None, Mask([((0.0, 0.0), (1.0, 0.0), (1.0, 0.1), (0.0, 0.1))])])
def test_a_film_shows_the_stretch_from_the_key_frame_before_it(film: Path, tmp_path: Path, mask: Mask | None) -> None:
    ring = PacketRing(60, 64 << 20)
    connect(ring, film)
    reading = cut(ring, tmp_path / "out.mp4", 4.5, 8.0, mask)
    assert reading.shown[0].told_s == pytest.approx(0, abs=0.03)  # told 4.0 s: the last key frame
    assert reading.end_s == pytest.approx(4.0, abs=0.1)
    assert len(reading.shown) == pytest.approx(4 * 8, abs=1)
    assert abs(reading.shifts.picture_largest_s) < 0.05
    assert abs(reading.shifts.sound_median_s) < 0.03
    assert reading.errors == 0


def test_pictures_and_sound_are_copied_as_they_came(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    connect(ring, film)
    out = tmp_path / "out.mp4"
    ring.cut(out, at(2.0), at(5.0))
    with av.open(str(film)) as before, av.open(str(out)) as after:
        sent = [frame.to_ndarray() for frame in before.decode(video=0)]
        shown = [frame.to_ndarray() for frame in after.decode(video=0)]
    assert len(shown) == 75
    assert all(np.array_equal(a, b) for a, b in zip(sent[50:125], shown, strict=True))
    head = out.read_bytes()[:4096]
    assert head.index(b"moov") < len(head)  # a player can begin before it has the whole file


def test_late_packets_do_not_make_a_film_stutter(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    connect(ring, film, late_s=0.4)
    out = tmp_path / "out.mp4"
    ring.cut(out, at(3.5), at(7.0))
    with av.open(str(out)) as container:
        times = [float(frame.time) for frame in container.decode(video=0) if frame.time < 3.4]
    assert len(times) == 85
    assert np.diff(times) == pytest.approx(1 / 25, abs=1e-3)


def test_masked_pixels_are_in_no_picture_of_the_film(tmp_path: Path) -> None:
    bright = write_film(tmp_path / "camera.ts", 4.0, Picture(size=(320, 240), grey=200), None)
    ring = PacketRing(60, 64 << 20)
    connect(ring, bright)
    ring.cut(tmp_path / "out.mp4", at(0.5), at(3.5), MASK)
    with av.open(str(tmp_path / "out.mp4")) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert len(pictures) > 60
    assert max(picture[:, :120].max() for picture in pictures) < 30
    assert min(picture[:, 140:].min() for picture in pictures) > 150


def test_a_mask_covers_the_upright_picture_of_a_turned_stream(tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mp4", 2.0, Picture(size=(320, 240), grey=200), None)
    with av.open(str(plain)) as source, av.open(str(tmp_path / "turned.mp4"), "w") as turned:
        stream = turned.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height = 320, 240
        stream.set_display_rotation(90)
        for frame in source.decode(video=0):
            turned.mux(stream.encode(frame))
        turned.mux(stream.encode(None))
    ring = PacketRing(60, 64 << 20)
    connect(ring, tmp_path / "turned.mp4")
    ring.cut(tmp_path / "out.mp4", at(0.0), at(1.5), MASK)
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    assert picture.shape == (320, 240)
    assert picture[:, :92].max() < 30
    assert picture[:, 110:].min() > 150
    ring.cut(tmp_path / "copied.mp4", at(0.0), at(1.5))
    with av.open(str(tmp_path / "copied.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 90


@pytest.mark.parametrize(
    ("picture", "sound", "expected"),
    [
        (Picture("mjpeg", pixel_format="yuvj420p"), Sound("pcm_mulaw", 8_000, gains=(0.3,)), ["h264", "aac"]),
        (Picture("libx265"), None, ["hevc"]),
        (Picture(b_frames=2), Sound("pcm_alaw", 8_000, gains=(0.3,)), ["h264", "aac"]),
        (None, Sound("aac", 16_000, gains=(0.3,)), ["aac"]),
    ],
)
def test_what_no_browser_plays_is_encoded_again(
    tmp_path: Path, picture: Picture | None, sound: Sound | None, expected: list[str]
) -> None:
    source = write_film(tmp_path / "camera.mov", 6.0, picture, sound)
    ring = PacketRing(60, 64 << 20)
    connect(ring, source)
    reading = cut(ring, tmp_path / "out.mp4", 2.5, 5.0)
    assert codecs(tmp_path / "out.mp4") == expected
    assert reading.shown or not picture
    assert reading.sound or not sound
    if picture:
        assert abs(reading.shifts.picture_largest_s) < 0.05
    if sound:
        assert abs(reading.shifts.sound_median_s) < 0.05


def test_only_one_connection_is_in_a_film_and_it_says_so(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    connect(ring, film)
    connect(ring, write_film(tmp_path / "again.ts", 6.0, start_s=0.0), shift_s=15.0)
    found = ring.cut(tmp_path / "out.mp4", at(5.0), at(18.0))
    assert (found.from_ns - ZERO_NS) / NS == pytest.approx(5.0)
    assert (found.until_ns - ZERO_NS) / NS == pytest.approx(12.0, abs=0.1)
    assert "connected anew" in found.note
    later = ring.cut(tmp_path / "later.mp4", at(16.5), at(18.0))
    assert (later.from_ns - ZERO_NS) / NS == pytest.approx(16.0)
    assert later.note == ""


def test_a_camera_that_changes_its_size_begins_a_new_part(tmp_path: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    small = write_film(tmp_path / "small.ts", 4.0, Picture(size=(64, 48)), None)
    large = write_film(tmp_path / "large.ts", 6.0, Picture(size=(128, 96)), None)
    with av.open(str(small)) as container, av.open(str(large)) as other:
        ring.open(list(container.streams))
        for source, shift_s in ((container, 0.0), (other, 4.0)):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = container.streams.video[0]
                    ring.add(packet, at(float(packet.pts * packet.time_base) - TS_START_S + shift_s))
        found = ring.cut(tmp_path / "out.mp4", at(2.0), at(9.0))
    assert "changed its picture" in found.note
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert film.metadata["comment"] == found.note
        sets = film.streams.video[0].codec_context.extradata
        with av.open(str(large)) as plain:
            parameters = plain.streams.video[0].codec_context.extradata.split(b"\0\0\1")[1].rstrip(b"\0")
        assert parameters in sets
        assert (film.streams.video[0].width, film.streams.video[0].height) == (128, 96)
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(pictures) == 125
    assert picture_time_s(pictures[0]) == pytest.approx(0, abs=0.03)


def test_packets_of_a_connection_that_was_given_up_are_not_kept(film: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    with av.open(str(film)) as given_up, av.open(str(film)) as current:
        ring.open(list(current.streams))
        ring.add(next(given_up.demux(video=0)), at(0))
        assert ring.size_bytes == 0
        ring.add(next(current.demux(video=0)), at(0))
        assert ring.size_bytes > 0


def test_the_ring_is_bounded_by_age_and_keeps_whole_groups(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(3, 64 << 20)
    connect(ring, film)
    with pytest.raises(FilmError, match="nothing is kept"):
        ring.cut(tmp_path / "old.mp4", at(1.0), at(5.0))
    found = ring.cut(tmp_path / "out.mp4", at(5.0), at(12.0))
    # Packets end at 12 s; the last key frame that is three seconds older begins what is kept.
    assert (found.from_ns - ZERO_NS) / NS == pytest.approx(8.0, abs=1e-3)
    assert "begins 3.0 s late" in found.note


def test_the_ring_is_bounded_in_bytes(film: Path, tmp_path: Path) -> None:
    whole = PacketRing(60, 64 << 20)
    connect(whole, film)
    ring = PacketRing(60, whole.size_bytes // 3)
    connect(ring, film)
    assert 0 < ring.size_bytes <= whole.size_bytes // 3
    assert ring.cut(tmp_path / "out.mp4", at(0.0), at(12.0)).from_ns >= at(8.0)
    tiny = PacketRing(60, 100)
    connect(tiny, film)
    assert tiny.size_bytes <= 100
    with pytest.raises(FilmError, match="nothing is kept"):
        tiny.cut(tmp_path / "none.mp4", at(0.0), at(12.0))


def test_nothing_is_kept_where_no_film_is_wanted(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(0, 64 << 20)
    connect(ring, film)
    assert ring.size_bytes == 0
    with pytest.raises(FilmError):
        ring.cut(tmp_path / "out.mp4", at(0.0), at(12.0))


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, a file cannot grow."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_grow_is_a_sentence_and_leaves_nothing(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(60, 64 << 20)
    connect(ring, film)
    out = tmp_path / "films" / "out.mp4"
    with files_no_larger_than(8_000), pytest.raises(FilmError, match=r"^no film: File too large$"):
        ring.cut(out, at(1.0), at(11.0))
    assert list(out.parent.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(FilmError, match=r"^no film: (Not a directory|File exists)$"):
        ring.cut(tmp_path / "file" / "out.mp4", at(1.0), at(11.0))


def test_films_are_cut_while_packets_come(film: Path, tmp_path: Path) -> None:
    ring = PacketRing(4, 64 << 20)
    connect(ring, film)
    failures: list[BaseException] = []

    def add() -> None:
        try:
            for turn in range(1, 6):
                connect(ring, film, shift_s=12.0 * turn)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    films = 0
    while thread.is_alive() or not films:
        newest = ring.newest_ns
        with suppress(FilmError):  # what was newest may have been dropped meanwhile
            ring.cut(tmp_path / f"out{films}.mp4", newest - 3 * NS, newest)
            films += 1
    thread.join(20)
    assert failures == []
    for number in range(films):
        with av.open(str(tmp_path / f"out{number}.mp4")) as container:
            assert sum(1 for _ in container.decode(video=0)) >= 25


def test_parameter_sets_are_found_in_key_frames() -> None:
    key = b"\0\0\0\1\x67abc\0\0\0\1\x68d\0\0\1\x65slice"
    assert parameter_sets("h264", key) == b"\x67abc\0\0\1\x68d"
    assert parameter_sets("h264", b"\0\0\1\x65slice") == b""
    assert parameter_sets("h264", b"\0\0\0\5\x67abcd") == b""
    assert parameter_sets("h264", b"\0\0\1\x67abc\0\0\1\x65slice") == b""
    three = b"\x40\1v\0\0\1\x42\1s\0\0\1\x44\1p"
    assert parameter_sets("hevc", b"\0\0\1" + three + b"\0\0\1\x26\1") == three
    repeated = b"\0\0\1".join([*three.split(b"\0\0\1")] * 2)
    assert parameter_sets("hevc", b"\0\0\1" + repeated + b"\0\0\1\x26\1") == three
    assert parameter_sets("mjpeg", key) == b""


def piece(track: int, time_s: float | None, captured_s: float) -> Piece:
    return Piece(track, b"x", None if time_s is None else round(time_s * NS), round(captured_s * NS), True)


def seconds(times: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(round(shown / NS, 3), round(decoded / NS, 3)) for shown, decoded in times]


def test_times_of_a_film_are_those_of_the_stream_from_its_first_picture() -> None:
    pieces = [piece(0, 7 + n / 10, 100 + n / 10 + 0.3 * (n % 2)) for n in range(4)]
    assert seconds(film_times(pieces, [0])) == [(n / 10, n / 10) for n in range(4)]


def test_times_of_capture_count_where_the_streams_own_are_missing_or_wrong() -> None:
    missing = [piece(0, None, 100 + n) for n in range(4)]
    fast = [piece(0, n / 25, 100 + n) for n in range(8)]  # as of MJPEG over HTTP
    assert seconds(film_times(missing, [0])) == [(n, n) for n in range(4)]
    assert seconds(film_times(fast, [0])) == [(n, n) for n in range(8)]


def test_pictures_that_are_stored_in_the_order_of_decoding_keep_both_orders() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5]
    times = film_times([piece(0, each / 10, 100 + each / 10) for each in shown], [0])
    assert [round(each * 10 / NS) for each, _ in times] == shown
    assert all(decoded <= each for each, decoded in times)
    assert all(a < b for (_, a), (_, b) in pairwise(times))


def test_sound_keeps_its_step_with_the_picture() -> None:
    shared = [piece(0, 7.0, 100.0), piece(1, 7.02, 100.1), piece(0, 7.1, 100.1), piece(1, 7.06, 100.2)]
    assert seconds(film_times(shared, [0]))[1] == (0.02, 0.02)
    apart: list[Any] = [piece(0, 7.0, 100.0), piece(1, 3.0, 100.1), piece(0, 7.1, 100.1), piece(1, 3.1, 100.2)]
    assert seconds(film_times(apart, [0]))[1] == (0.1, 0.1)
