"""A file that is played again and again: its packets go on, and nobody disturbs their decoders."""

import threading
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.media import open_media
from stages.decode.live.pace import NS, paced
from tests.clock_film import Picture, Sound, write_film

LENGTH_S = 0.6


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pace")
    return write_film(folder / "film.mp4", LENGTH_S, Picture(b_frames=2), Sound())


def played(path: Path, streams: list[Any], container: Any, loop: bool = True) -> Iterator[tuple[Any, int]]:
    again = (lambda: open_media(str(path))) if loop else None
    return paced(container, streams, again, threading.Event())


def test_no_picture_is_lost_where_a_file_begins_again(film: Path) -> None:
    """The decoder holds pictures back, and goes on with them when the next round begins."""
    with open_media(str(film)) as container:
        video = container.streams.video[0]
        count = 3 * video.frames
        pictures = []
        for packet, _ in islice(played(film, [video], container), count):
            pictures += video.codec_context.decode(packet)
        pictures += video.codec_context.decode(None)
    assert len(pictures) == count
    assert all(after.pts > before.pts for before, after in pairwise(pictures))


def test_packets_of_every_round_are_of_the_first_streams_and_their_times_go_on(film: Path) -> None:
    with open_media(str(film)) as container:
        streams = [container.streams.video[0], container.streams.audio[0]]
        packets = [packet for packet, due in islice(played(film, streams, container), 150)]
        assert {id(packet.stream) for packet in packets} == set(map(id, streams))
        for stream in streams:
            times_s = [float(packet.dts * packet.time_base) for packet in packets if packet.stream is stream]
            assert times_s[-1] - times_s[0] > 2 * LENGTH_S, "it was played three times"
            step_s = times_s[1] - times_s[0]
            assert all(0 < after - before < step_s + 0.15 for before, after in pairwise(times_s))


def test_a_decoder_in_another_thread_is_not_disturbed(film: Path) -> None:
    """It decodes all the time while the file begins again, many times."""
    short = write_film(film.with_name("short.mp4"), 0.1, Picture(gop=2), None)
    ended = threading.Event()
    errors: list[Exception] = []
    with open_media(str(short)) as container, open_media(str(short)) as other:
        video = container.streams.video[0]
        packets = list(other.demux(other.streams.video[0]))[:-1]

        def decode() -> None:
            try:
                while not ended.is_set():
                    for packet in packets:
                        video.codec_context.decode(packet)
            except Exception as error:
                errors.append(error)

        thread = threading.Thread(target=decode)
        thread.start()
        try:
            for _ in islice(played(short, [video], container), 20 * len(packets)):
                pass
        finally:
            ended.set()
            thread.join(10)
    assert not errors


def test_a_file_that_has_become_another_one_is_lost(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film.read_bytes())
    with open_media(str(path)) as container:
        video = container.streams.video[0]
        packets = played(path, [video], container)
        for _ in range(video.frames):
            next(packets)
        write_film(path, LENGTH_S, Picture("mpeg4", size=(32, 32)), None)
        with pytest.raises(OSError, match="the file is another one now"):
            next(packets)


def test_a_file_that_is_played_once_ends(film: Path) -> None:
    with open_media(str(film)) as container:
        video = container.streams.video[0]
        packets = list(played(film, [video], container, loop=False))
    assert len(packets) == 15
    assert packets[-1][1] - packets[0][1] < LENGTH_S * NS
