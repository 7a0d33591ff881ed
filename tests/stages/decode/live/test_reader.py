"""The live reader, against real servers: what comes at which time, and what happens when a camera is lost."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.clip import DecodedClip, Gap
from stages.decode.live.film import FilmError
from stages.decode.live.reader import LiveReader
from tests.clock_film import Picture, Sound, restarted, write_film
from tests.clock_reading import picture_time_s
from tests.rtsp_farm import LENGTH_S, Farm, camera, farm
from tests.stages.decode.live.recording import NS, Recording, apart_s, reader_of, record, shifts_s
from tests.stages.decode.live.senders import hls_server, picture_server, send_ts

SMALL = Picture()
LOGIN = "viewer:very secret"
TOGETHER_S = 0.1
UPPER = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
LOWER = ((0.0, 0.55), (1.0, 0.55), (1.0, 1.0), (0.0, 1.0))
CHANGE_S = 6.4
CELL_S = 0.125
SECONDS = 8.5
NO_DATA = "no data came for 1 s"
Reading = Callable[[], Recording]

pytestmark = pytest.mark.paced


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cameras")


@pytest.fixture(scope="module")
def cameras(folder: Path) -> Iterator[Farm]:
    still = Picture(grey=90, gop=12)
    paths = {
        "both": camera(folder, "both"),
        "aac": camera(folder, "aac", Picture("libx265"), sound="aac"),
        "pictures": camera(folder, "pictures", Picture("mjpeg", rate=10), sound=""),
        "sound": camera(folder, "sound", None),
        "hushed": camera(folder, "hushed", sound_until_s=3.5),
        "turned": camera(folder, "turned", [(SMALL, 3.0), (Picture(size=(48, 64)), LENGTH_S)]),
        "enlarged": camera(folder, "enlarged", [(SMALL, 3.0), (Picture(size=(128, 96)), LENGTH_S)]),
        "rare": camera(folder, "rare", Picture(grey=90, gop=400), sound=""),
        "still": camera(folder, "still", [(still, CHANGE_S), (SMALL, LENGTH_S)], sound=""),
    }
    with farm(paths) as running:
        yield running


class Recordings:
    """What was read from all cameras that have to be read for a while.

    Those of a group are read at the same time, when one of them is asked for. All at once would make each other late.
    """

    def __init__(self, cameras: Farm, folder: Path) -> None:
        self._cameras, self._folder = cameras, folder
        self._done: dict[str, Recording] = {}
        self._groups = [self._streams, self._uses, self._accidents, self._senders]

    def __getitem__(self, name: str) -> Recording:
        while name not in self._done:
            with ExitStack() as servers, ThreadPoolExecutor(10) as threads:
                waiting = {each: threads.submit(read) for each, read in self._groups.pop(0)(servers).items()}
                self._done |= {each: read.result(100) for each, read in waiting.items()}
        return self._done[name]

    def _streams(self, servers: ExitStack) -> dict[str, Reading]:
        """Cameras of all kinds."""
        names = ("both", "aac", "pictures", "sound", "hushed", "turned", "enlarged")
        return {name: partial(record, reader_of(self._cameras.url(name)), SECONDS) for name in names}

    def _uses(self, servers: ExitStack) -> dict[str, Reading]:
        """One camera, and what is done with it."""
        both, still, folder = self._cameras.url("both"), self._cameras.url("still"), self._folder
        filmed = reader_of(both, keep_s=20.0, audio_context_s=2.5)
        woken = reader_of(still, clip_s=0.5)
        seen = folder / "seen"
        masked = reader_of(both, directory=str(seen), masks=(UPPER,), zones={"top": UPPER, "low": LOWER})
        return {
            "masked": partial(record, masked, SECONDS, react=lambda so_far: (seen / "watched").touch()),
            "rare": partial(record, reader_of(self._cameras.url("rare"), clip_s=0.5), SECONDS),
            "still": partial(record, reader_of(still, clip_s=0.5), SECONDS),
            "woken": partial(record, woken, SECONDS, react=lambda so_far: wake(woken, so_far)),
            "filmed": partial(record, filmed, SECONDS, react=lambda so_far: cut(filmed, so_far, folder)),
        }

    def _accidents(self, servers: ExitStack) -> dict[str, Reading]:
        lost, stuck = (servers.enter_context(farm({"cam": camera(self._folder, "cam")})) for _ in range(2))
        paused = reader_of(self._cameras.url("both"), every=False)
        accidents = Accidents(lost)
        return {
            "paused": partial(record, paused, SECONDS, react=pause, enough=lambda so_far: len(so_far.clips) >= 3),
            "lost": partial(record, reader_of(lost.url("cam")), SECONDS, react=accidents, enough=is_lost_again),
            "stuck": partial(
                record, stuck_reader(stuck), SECONDS, react=lambda so_far: stuck.stall(), enough=lambda so_far: False
            ),
        }

    def _senders(self, servers: ExitStack) -> dict[str, Reading]:
        """Files, and what is sent without a camera."""
        folder = self._folder
        film = write_film(folder / "film.mp4", 2.5, Picture(), Sound())
        clock = restarted(3.0)
        reset = write_film(folder / "reset.ts", 8.0, Picture(clock=clock, b_frames=2), Sound(codec="mp2", clock=clock))
        long = write_film(folder / "long.ts", 9.0, Picture(gop=100), Sound(codec="mp2"))
        segments = write_film(folder / "segments.ts", 14.0, Picture(gop=8), Sound(codec="mp2"))
        readers = {
            "file": reader_of(str(film), realtime=True, loop=True),
            "once": reader_of(str(film), realtime=True),
            "reset": reader_of(servers.enter_context(send_ts(reset))),
            "midway": reader_of(servers.enter_context(send_ts(long, skip=long.stat().st_size // 20))),
            "segments": reader_of(servers.enter_context(hls_server(segments, folder / "hls"))),
            "arriving": reader_of(servers.enter_context(picture_server()), reuse=False),
        }
        return {name: partial(record, reader, SECONDS) for name, reader in readers.items()}


@pytest.fixture(scope="module")
def recordings(cameras: Farm, folder: Path) -> Recordings:
    return Recordings(cameras, folder)


def is_lost_again(recording: Recording) -> bool:
    return any(NO_DATA in text for _, state, text, _ in recording.connections if state == "lost")


def stuck_reader(server: Farm) -> LiveReader:
    """One that may leave no thread behind."""
    reader = reader_of(server.url("cam"))
    reader.most_left = 0
    return reader


def pause(recording: Recording) -> None:
    """Take nothing for a while."""
    if len(recording.clips) == 1:
        time.sleep(5.0)


def wake(reader: LiveReader, recording: Recording) -> None:
    """Wake the reader after the first clip that was reused."""
    if is_reused(recording.clips[-1]) and sum(map(is_reused, recording.clips)) == 1:
        reader.wake()


def cut(reader: LiveReader, recording: Recording, folder: Path) -> None:
    """Write a film of the second clip, and none of a time before the start."""
    if len(recording.clips) == 3:
        info, zero_ns = recording.clips[1].info, recording.zero_ns
        reader.film(str(folder / "cut.mp4"), info.start_ns + zero_ns, info.end_ns + zero_ns)
        with pytest.raises(FilmError):
            reader.film(str(folder / "none.mp4"), zero_ns - 100 * NS, zero_ns - 90 * NS)


class Accidents:
    """A server is killed after the second clip and starts again; after the third it hangs for ever."""

    def __init__(self, server: Farm) -> None:
        self.server = server

    def __call__(self, recording: Recording) -> None:
        if len(recording.clips) == 2:
            self.server.kill()
            time.sleep(0.3)
            self.server.start()
            recording.notes["back_s"] = (time.monotonic_ns() - recording.zero_ns) / NS
        elif len(recording.clips) == 3:
            self.server.stall()


def is_reused(clip: DecodedClip) -> bool:
    return clip.info.live is not None and clip.info.live.reused


def check_tiling(recording: Recording) -> None:
    """Clips follow each other without overlap, and what lies between two epochs is a gap."""
    end_ns, epoch, index = None, 0, 0
    for item in recording.items:
        if isinstance(item, Gap):
            assert (item.start_ns, item.epoch, item.next_index) == (end_ns, epoch + 1, index)
            assert item.end_ns > item.start_ns
            end_ns = item.end_ns
            continue
        info = item.info
        assert info.index == index
        assert info.epoch in (epoch, epoch + 1)
        assert end_ns is None or info.start_ns == end_ns
        assert info.live is not None
        assert info.start_ns <= info.live.captured_ns - recording.zero_ns <= info.end_ns
        index, epoch, end_ns = index + 1, info.epoch, info.end_ns


@pytest.mark.parametrize(
    "name",
    [
        "both",
        "aac",
        "pictures",
        "sound",
        "hushed",
        "turned",
        "enlarged",
        "still",
        "paused",
        "file",
        "reset",
        "arriving",
        "lost",
        "woken",
    ],
)
def test_clips_tile_the_time(recordings: Recordings, name: str) -> None:
    assert len(recordings[name].clips) >= 3
    check_tiling(recordings[name])
    if name not in ("paused", "lost"):
        assert recordings[name].longest_silence_s < 1.0


@pytest.mark.parametrize("name", ["both", "aac"])
def test_pictures_and_sound_of_one_moment_are_at_one_time(recordings: Recordings, name: str) -> None:
    recording = recordings[name]
    assert recording.states == ["connecting", "live"]
    start_s = None
    for clip in recording.clips:
        pictures, sounds = shifts_s(clip)
        assert 7 <= len(pictures) <= 9
        assert len(sounds) >= 17
        picture_s, sound_s = float(np.median(pictures)), float(np.median(sounds))
        assert apart_s(picture_s, sound_s) < TOGETHER_S
        start_s = picture_s if start_s is None else start_s
        assert apart_s(picture_s, start_s) < TOGETHER_S
    assert all("previous_frame" in clip.arrays for clip in recording.clips[1:])


def test_sound_before_the_clip_goes_with_it(recordings: Recordings) -> None:
    clips = recordings["filmed"].clips
    masks = [clip.arrays["audio_mask"] for clip in clips]
    assert {len(mask) for mask in masks} == {40_000}
    assert masks[0].sum() < 17_000 < masks[3].sum()
    assert masks[3].all()
    assert clips[3].arrays["audio_start_ns"][0] == pytest.approx(clips[3].info.end_ns - 2.5 * NS, abs=100_000)


def test_a_clip_comes_soon_after_its_end(recordings: Recordings) -> None:
    assert all(0 <= age_s < 1.5 for age_s in recordings["both"].ages_s)


def test_the_camera_tells_the_wall_time(recordings: Recordings) -> None:
    """The server is on this machine, and its sender reports hold the same clock."""
    recording = recordings["both"]
    here_ns = time.time_ns() - time.monotonic_ns()
    told = [clip.info.live for clip in recording.clips if clip.info.live]
    assert told[-1].clock == "camera"
    for clip in recording.clips:
        assert clip.info.live is not None
        assert abs(clip.info.live.wall_ns - here_ns - recording.zero_ns - clip.info.start_ns) < NS // 2
    assert abs(told[-1].measures["clock_offset_s"]) < 0.5


def test_a_camera_has_pictures_or_sound_alone(recordings: Recordings) -> None:
    (pictures,) = recordings["pictures"].opened
    assert (pictures.has_video, pictures.has_audio, pictures.width, pictures.height) == (True, False, 64, 48)
    assert all(clip.absent["audio"] == "no_stream" for clip in recordings["pictures"].clips if clip.arrays)
    (sound,) = recordings["sound"].opened
    assert (sound.has_video, sound.has_audio, sound.sample_rate_hz) == (False, True, 8000)
    assert all(clip.absent["frames"] == "no_stream" for clip in recordings["sound"].clips if clip.arrays)
    assert all(len(clip.arrays["audio"]) == 16_000 for clip in recordings["sound"].clips[:2])


def test_pictures_go_on_when_the_sound_is_lost(recordings: Recordings) -> None:
    clips = recordings["hushed"].clips
    assert "audio" in clips[1].arrays
    assert len(clips) >= 6
    assert all(clip.absent.get("audio") == "gap" and len(clip.arrays["frames"]) >= 7 for clip in clips[5:])
    assert {clip.info.epoch for clip in clips} == {0}
    assert min(recordings["hushed"].ages_s[5:]) < 1.0, "the later ones do not wait for the sound"


def test_another_shape_begins_an_epoch_and_another_size_does_not(recordings: Recordings) -> None:
    turned, enlarged = recordings["turned"].clips, recordings["enlarged"].clips
    assert {(clip.info.epoch, clip.arrays["frames"].shape[1:3]) for clip in turned} == {(0, (48, 64)), (1, (64, 48))}
    assert {(clip.info.epoch, clip.arrays["frames"].shape[1:3]) for clip in enlarged} == {(0, (48, 64))}
    assert all(apart_s(*map(np.median, shifts_s(clip))) < TOGETHER_S for clip in (turned[-1], enlarged[-1]))


def test_what_nobody_takes_is_thrown_away(recordings: Recordings) -> None:
    """Packets that waited too long are gone; clips that were come to late are told, and not decoded."""
    recording = recordings["paused"]
    (gap,) = recording.gaps
    assert gap.next_index >= 1
    assert gap.wall_ns == pytest.approx(
        time.time_ns() - (time.monotonic_ns() - recording.zero_ns - gap.start_ns), abs=1e9
    )
    assert {missed.reason for missed in recording.missed} == {"late"}
    after = {item.info.index: item.info for item in (*recording.clips, *recording.missed)}
    assert sorted(after) == list(range(len(after)))
    live = after[gap.next_index].live
    assert live is not None
    assert live.measures["shed_packets"] > 25
    assert after[gap.next_index].decode_errors >= 1
    assert apart_s(*map(np.median, shifts_s(recording.clips[-1]))) < TOGETHER_S
    assert recording.states == ["connecting", "live"], "the connection was kept"


def test_a_file_plays_at_its_own_pace_again_and_again(recordings: Recordings) -> None:
    recording = recordings["file"]
    assert 7 <= len(recording.clips) <= 9
    assert {clip.info.epoch for clip in recording.clips} == {0}
    assert all(len(clip.arrays["frames"]) >= 7 for clip in recording.clips)


def test_a_file_that_is_not_looped_ends(recordings: Recordings) -> None:
    clips = recordings["once"].clips
    assert [round((clip.info.end_ns - clip.info.start_ns) / NS, 1) for clip in clips[:2]] == [1.0, 1.0]
    assert 2.4 < (clips[-1].info.end_ns - clips[0].info.start_ns) / NS < 2.6


def test_whole_segments_at_once_are_no_error(recordings: Recordings) -> None:
    """HLS. What becomes of a clip of which nothing was decoded is tried in `test_clips`."""
    recording = recordings["segments"]
    assert sum("frames" in clip.arrays for clip in recording.clips) >= 2
    check_tiling(recording)


def test_a_clock_that_is_set_begins_an_epoch(recordings: Recordings) -> None:
    recording = recordings["reset"]
    assert {clip.info.epoch for clip in recording.clips} == {0, 1}
    last = recording.clips[-2]
    pictures, sounds = shifts_s(last)
    assert apart_s(float(np.median(pictures)), float(np.median(sounds))) < TOGETHER_S
    spans = [(clip.info.end_ns - clip.info.start_ns) / NS for clip in recording.clips]
    assert sum(spans) > 6.0


def test_before_the_first_key_frame_there_are_no_pictures_and_no_errors(recordings: Recordings) -> None:
    """The camera is read from the middle of a long group of pictures; their size is told when it is known."""
    recording = recordings["midway"]
    assert [(info.width, info.height) for info in recording.opened] == [(0, 0), (64, 48)]
    assert recording.clips[0].absent["frames"] == "gap"
    assert len(recording.clips[-1].arrays["frames"]) >= 4
    assert not any(clip.info.decode_errors for clip in recording.clips)
    assert apart_s(*map(np.median, shifts_s(recording.clips[-1]))) < TOGETHER_S


def test_pictures_without_times_have_that_of_their_arrival(recordings: Recordings) -> None:
    """Ten a second; FFmpeg numbers them at 25."""
    clips = recordings["arriving"].clips
    shifts = [float(np.median(shifts_s(clip)[0])) for clip in clips[1:]]
    assert max(apart_s(shift, shifts[0]) for shift in shifts) < 0.5, "numbers alone would be 0.6 s off after 1 s"


def test_while_nothing_changes_clips_are_reused_and_a_change_is_not_missed(recordings: Recordings) -> None:
    clips = recordings["still"].clips
    reused = [clip for clip in clips if is_reused(clip)]
    assert len(reused) >= 3
    assert all(not clip.arrays and clip.absent["frames"] == "not_asked" for clip in reused)
    assert all("change" in clip.info.live.measures for clip in reused if clip.info.live)
    moving = clips[reused[-1].info.index + 1]
    still_ns = [clip.info.live.still_ns for clip in clips if clip.info.live and not clip.info.live.reused]
    assert sum(still_ns) == sum(clip.info.end_ns - clip.info.start_ns for clip in reused), "told by the next clip"
    lower = moving.arrays["frames"][:, 30:42].astype(int).mean(axis=(1, 2, 3))
    assert np.ptp(lower) > 5, "the change is in the first clip that was decoded"
    is_grey = abs(lower[0] - 86) < 3
    told_s = picture_time_s(moving.arrays["frames"][0])
    assert is_grey or CHANGE_S <= told_s < CHANGE_S + CELL_S, "no more of it than one cell of the grid was missed"


def test_without_key_frames_a_still_camera_is_decoded_and_its_clips_are_reused(
    recordings: Recordings,
) -> None:
    assert sum(map(is_reused, recordings["rare"].clips)) >= 3


def test_what_is_masked_is_black_wherever_it_is_seen(recordings: Recordings, folder: Path) -> None:
    clips = recordings["masked"].clips
    for clip in clips:
        assert clip.info.live is not None
        assert not clip.arrays["frames"][:, :24].any()
        assert clip.arrays["frames"][:, 30:].any()
    assert clips[2].info.live is not None
    assert clips[2].info.live.measures["zone:low"] > 0.5
    assert clips[2].info.live.measures["zone:top"] < 0.1
    stills = {file.name for file in (folder / "seen").glob("*.jpg")}
    assert stills == {"live.jpg", *(f"clip-{clip.info.index}.jpg" for clip in clips)}
    lower = []
    for name in stills:
        with av.open(str(folder / "seen" / name)) as file:
            picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
        assert picture[:20].max() < 40
        lower.append(float(picture[30:].mean()))
    assert max(lower) > 30


def test_a_wake_up_makes_the_next_clip_whole(recordings: Recordings) -> None:
    clips = recordings["woken"].clips
    first = next(place for place, clip in enumerate(clips) if is_reused(clip))
    assert not is_reused(clips[first + 1])
    assert is_reused(clips[first + 2])


def test_a_lost_server_leaves_a_gap(recordings: Recordings) -> None:
    recording = recordings["lost"]
    assert recording.states[:3] == ["connecting", "live", "lost"]
    gap, clips = recording.gaps[0], recording.clips
    assert (gap.epoch, gap.next_index) == (1, 2)
    assert [clip.info.epoch for clip in clips[:3]] == [0, 0, 1]
    assert clips[2].info.start_ns / NS - recording.notes["back_s"] < 5.0
    assert apart_s(*map(np.median, shifts_s(clips[2]))) < TOGETHER_S
    assert is_lost_again(recording)


def test_too_many_connections_that_hang_end_the_reader(recordings: Recordings) -> None:
    """FFmpeg gives a hanging camera up a little later than the reader."""
    assert recordings["stuck"].stuck == "door: 1 connections hang and cannot be ended"
    assert len(recordings["stuck"].clips) == 1


def test_a_film_is_cut_from_what_was_sent(recordings: Recordings, folder: Path) -> None:
    assert len(recordings["filmed"].clips) >= 3
    assert (folder / "cut.mp4").stat().st_size > 1000


def test_a_wrong_password_is_told_once_without_it(folder: Path) -> None:
    with farm({"cam": camera(folder, "locked")}, login=LOGIN) as server:
        wrong = record(reader_of(server.url("cam", login="viewer:quite wrong")), seconds=0.7)
        assert wrong.states == ["connecting", "refused"]
        text = wrong.connections[-1][2]
        assert "password" in text
        assert not any(word in text for word in ("viewer", "quite", "wrong", "127.0.0.1"))
        missing = record(reader_of(server.url("nowhere")), seconds=0.4)
        assert missing.states == ["connecting", "refused"]
        assert "404" in missing.connections[-1][2]
        assert record(reader_of(server.url("cam")), clips=1).clips


def test_a_camera_without_tcp_is_read_by_udp(folder: Path) -> None:
    with farm({"cam": camera(folder, "udp")}, transport="udp") as server:
        recording = record(reader_of(server.url("cam")), clips=2)
    assert recording.connections[-1][1:] == ("live", "", "udp")
    assert apart_s(*map(np.median, shifts_s(recording.clips[-1]))) < TOGETHER_S


def test_a_camera_that_is_not_there_is_waited_for(unused_tcp_url: str) -> None:
    recording = record(reader_of(unused_tcp_url), seconds=1.5)
    assert not recording.items
    assert recording.states == ["connecting", "lost"]
    assert recording.longest_silence_s < 0.5


@pytest.fixture
def unused_tcp_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"rtsp://user:secret@127.0.0.1:{port}/cam"
