"""What is missing of an HLS source is noticed, counted where it is missing, and moves nothing else."""

import shutil
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from stages.decode.hls import Losses
from stages.decode.reader import NS
from tests.media import Sound, make_video, read_time_ms
from tests.stages.decode.reading import Reading, read

SEGMENTS = {"mpegts": ".ts", "fmp4": ".m4s"}
SECONDS = 12


def segment(film: Path, playlist: Path, segment_type: str, segment_s: str = "2", flags: str = "") -> Path:
    """Cut a film into the segments of a recorded playlist."""
    playlist.parent.mkdir(parents=True, exist_ok=True)
    options = {"hls_time": segment_s, "hls_list_size": "0", "hls_segment_type": segment_type}
    options |= {"hls_flags": flags} if flags else {}
    with av.open(str(film)) as source, av.open(str(playlist), "w", format="hls", options=options) as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return playlist


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with a playlist `film.m3u8` and its segments `film0.ts`, … of 2 s."""
    folder = tmp_path_factory.mktemp("films")
    film = make_video(folder / "film.mp4", SECONDS, 25, (160, 120), gop=50, audio=Sound())
    for segment_type in SEGMENTS:
        segment(film, folder / segment_type / "film.m3u8", segment_type)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the files in `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def check_times(reading: Reading, tolerance_ms: int = 80) -> None:
    """Check that every picture has the time that is drawn into it."""
    for clip in reading.clips:
        for picture, time_ns in zip(clip.arrays.get("frames", ()), clip.arrays.get("frame_times_ns", ()), strict=True):
            assert abs(read_time_ms(picture) - time_ns / 1e6) < tolerance_ms


def errors(reading: Reading) -> list[int]:
    return [clip.info.decode_errors for clip in reading.clips]


@pytest.mark.parametrize("segment_type", SEGMENTS)
@pytest.mark.parametrize("how", ["removed", "empty"])
def test_a_missing_segment_is_an_error_of_its_clips(
    segment_type: str, how: str, films: Path, tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(films / segment_type, tmp_path / "hls")
    lost = [tmp_path / f"hls/film{number}{SEGMENTS[segment_type]}" for number in (2, 3)]
    for path in lost:
        path.unlink() if how == "removed" else path.write_bytes(b"")
    for source in (str(tmp_path / "hls/film.m3u8"), f"{server}/hls/film.m3u8"):
        caplog.clear()
        reading = read(source)
        assert [start_s for start_s, _ in reading.spans_s] == [0, 2, 4, 6, 8, 10]
        assert errors(reading) == [0, 0, 1, 1, 0, 0]
        assert [clip.absent.get("frames") for clip in reading.clips] == [None, None, "failed", "failed", None, None]
        assert reading.clips[2].absent["audio"] == "failed"
        check_times(reading)
        assert [record.getMessage() for record in caplog.records if record.name == "percept.decode"] == [
            f"{source}: segments {lost[0].name}, {lost[1].name} are missing; 4.0 s are lost, from 4.0 to 8.0 s"
        ]


@pytest.mark.parametrize("segment_type", SEGMENTS)
def test_what_is_missing_at_the_start_moves_nothing(
    segment_type: str, films: Path, tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(films / segment_type, tmp_path / "hls")
    (tmp_path / f"hls/film0{SEGMENTS[segment_type]}").unlink()
    for source in (str(tmp_path / "hls/film.m3u8"), f"{server}/hls/film.m3u8"):
        reading = read(source)
        assert [start_s for start_s, _ in reading.spans_s] == [0, 2, 4, 6, 8, 10]
        assert errors(reading) == [1, 0, 0, 0, 0, 0]
        assert not {"frames", "audio"} & set(reading.clips[0].arrays)
        check_times(reading)
        assert f"{source}: segment film0{SEGMENTS[segment_type]} is missing; 2.0 s are lost, from 0.0" in caplog.text


@pytest.mark.parametrize("segment_type", SEGMENTS)
def test_what_is_missing_at_the_end_is_an_error_of_the_last_clip(
    segment_type: str, films: Path, tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(films / segment_type, tmp_path / "hls")
    (tmp_path / f"hls/film5{SEGMENTS[segment_type]}").unlink()
    for source in (str(tmp_path / "hls/film.m3u8"), f"{server}/hls/film.m3u8"):
        reading = read(source)
        assert [start_s for start_s, _ in reading.spans_s] == [0, 2, 4, 6, 8]
        assert errors(reading) == [0, 0, 0, 0, 1]
        assert f"{source}: segment film5{SEGMENTS[segment_type]} is missing; 2.0 s are lost, from 10.0" in caplog.text


@pytest.mark.parametrize("segment_type", SEGMENTS)
def test_a_segment_that_was_cut_off_costs_no_other(
    segment_type: str, films: Path, tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(films / segment_type, tmp_path / "hls")
    cut = tmp_path / f"hls/film2{SEGMENTS[segment_type]}"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    for source in (str(tmp_path / "hls/film.m3u8"), f"{server}/hls/film.m3u8"):
        reading = read(source)
        assert [start_s for start_s, _ in reading.spans_s] == [0, 2, 4, 6, 8, 10]
        assert errors(reading)[2] > 0
        assert errors(reading)[3:] == [0, 0, 0]
        for clip in reading.clips[3:]:
            assert len(clip.arrays["frames"]) >= 15
            assert np.mean(clip.arrays["audio_mask"]) > 0.95
        check_times(reading)
        assert f"{source}: segment {cut.name} was cut off; up to" in caplog.text


@pytest.mark.parametrize("segment_type", SEGMENTS)
@pytest.mark.parametrize("kind", ["slides", "film", "short sound", "rounded"])
def test_a_whole_playlist_has_no_losses(
    kind: str, segment_type: str, films: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    playlist = films / segment_type / "film.m3u8"
    if kind == "slides":
        times = [0.0, 0.1, 2.0, 2.2, 2.4, 7.0, 7.04, 7.08, 7.2, 12.0]
        film = make_video(tmp_path / "slides.mp4", 12, 25, times_s=times, gop=2, b_frames=0)
        playlist = segment(film, tmp_path / "slides/film.m3u8", segment_type)
    elif kind == "short sound":
        film = make_video(tmp_path / "short.mp4", 9, 25, gop=25, audio=Sound(seconds=3.0))
        playlist = segment(film, tmp_path / "short/film.m3u8", segment_type)
    elif kind == "rounded":
        film = make_video(tmp_path / "rounded.mp4", 12, 25, gop=35, audio=Sound())
        playlist = segment(film, tmp_path / "rounded/film.m3u8", segment_type, "1.4", "round_durations")
        assert "#EXTINF:1,\n" in playlist.read_text()
    reading = read(playlist)
    assert errors(reading) == [0] * len(reading.clips)
    assert not [record for record in caplog.records if record.name == "percept.decode"]


@pytest.mark.parametrize("flags", ["", "round_durations"])
def test_the_chosen_variant_of_a_master_playlist_is_looked_at(
    flags: str, tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ["#EXTM3U"]
    for name, size in (("small", (160, 120)), ("large", (320, 240))):
        film = make_video(tmp_path / f"{name}.mp4", 8, 25, size, gop=25, audio=Sound())
        segment(film, tmp_path / name / "film.m3u8", "mpegts", flags=flags)
        lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={size[0] * 1000},RESOLUTION={size[0]}x{size[1]}", f"{name}/film.m3u8"]
    (tmp_path / "master.m3u8").write_text("\n".join([*lines, ""]))
    (tmp_path / "large/film1.ts").unlink()
    reading = read(f"{server}/master.m3u8")
    assert (reading.info.width, reading.info.height) == (320, 240)
    assert errors(reading) == [0, 1, 0, 0]
    check_times(reading)
    assert "segment film1.ts is missing; 2.0 s are lost, from 2.0 to 4.0 s" in caplog.text


def test_a_live_playlist_may_miss_a_segment(tmp_path: Path, server: str, caplog: pytest.LogCaptureFixture) -> None:
    """A segment of 1 s is added every 0.4 s; the list has the last five."""
    film = make_video(tmp_path / "film.mp4", 14, 25, (160, 120), gop=25, audio=Sound())
    recorded = segment(film, tmp_path / "live/film.m3u8", "mpegts", "1")
    (tmp_path / "live/film7.ts").unlink()
    names = [line for line in recorded.read_text().splitlines() if line.endswith(".ts")]

    def publish(count: int) -> None:
        first = max(0, count - 5)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for name in names[first:count]:
            lines += ["#EXTINF:1.0,", name]
        text = "\n".join([*lines, *["#EXT-X-ENDLIST"] * (count == len(names)), ""])
        (tmp_path / "live/new").write_text(text)
        (tmp_path / "live/new").replace(tmp_path / "live/now.m3u8")

    def go_on() -> None:
        for count in range(5, len(names) + 1):
            time.sleep(0.4)
            publish(count)

    publish(4)
    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    reading = read(f"{server}/live/now.m3u8", modalities=("image",))
    thread.join(20)
    messages = [record.getMessage() for record in caplog.records if record.name == "percept.decode"]
    assert len(messages) == 1
    assert "segment film7.ts is missing; 1.0 s are lost" in messages[0]
    pictures = [
        (time_ns / 1e6, read_time_ms(picture))
        for clip in reading.clips
        for picture, time_ns in zip(clip.arrays["frames"], clip.arrays["frame_times_ns"], strict=True)
    ]
    starts = {round((drawn_ms - time_ms) / 1000) for time_ms, drawn_ms in pictures}
    assert len(starts) == 1
    assert not [drawn_ms for _, drawn_ms in pictures if 7000 <= drawn_ms < 8000]
    (begin_s,) = starts
    concerned = [
        number
        for number, (start_s, end_s) in enumerate(reading.spans_s)
        if start_s < 8 - begin_s and end_s > 7 - begin_s
    ]
    assert [number for number, count in enumerate(errors(reading)) if count] == concerned


def test_a_loss_that_both_streams_meet_is_one(caplog: pytest.LogCaptureFixture) -> None:
    losses = Losses("film")
    losses.add(4 * NS, 6 * NS)
    losses.add(4 * NS + 3_000_000, 6 * NS + 20_000_000)
    losses.add(8 * NS, 9 * NS)
    assert [losses.count(second * NS, (second + 2) * NS) for second in (0, 2, 4, 6, 8)] == [0, 0, 1, 0, 1]
    assert losses.count(0, 20 * NS) == 2
    assert len(caplog.records) == 2
