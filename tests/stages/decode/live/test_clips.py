"""Clips of a camera, made of packets that waited for so long as a test says."""

import time
from pathlib import Path

import av
import numpy as np

from pipeline.clip import DecodedClip
from stages.decode.live.connection import track_of
from stages.decode.live.queue import Arrived, Connected
from stages.decode.live.stamps import restamp
from stages.decode.source import nanoseconds
from tests.clock_film import Picture, write_film
from tests.stages.decode.live.recording import NS, reader_of


def test_a_clip_of_which_nothing_was_decoded_when_it_is_whole_has_its_pictures(tmp_path: Path) -> None:
    """Its first packets waited for long, so that pictures were not decoded as they came; its last ones did not.

    Segments of HLS come like this. No size of pictures is known then but that of the key frames.
    """
    film = write_film(tmp_path / "film.ts", 2.0, Picture(gop=8))
    reader = reader_of("http://cam/list.m3u8", every=False)
    reader.open()
    items = []
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        session = reader._begin(Connected((track_of("video", stream),), ""))
        packets = [packet for packet in container.demux(stream) if packet.dts is not None]
        first_ns = nanoseconds(packets[0].dts, packets[0].time_base)
        for packet in packets:
            decode_ns = nanoseconds(packet.dts, packet.time_base) - first_ns
            restamp(packet, decode_ns, decode_ns)
            waited_ns = 1.5 * NS if decode_ns < NS // 2 else 0
            arrived = Arrived("video", packet, decode_ns, time.monotonic_ns() - int(waited_ns))
            items += reader._follow(session, arrived, 0)
    assert [type(item) for item in items] == [DecodedClip]
    assert isinstance(items[0], DecodedClip)
    assert items[0].arrays["frames"].shape[1:] == (48, 64, 3)
    assert len(items[0].arrays["frames"]) >= 7
    assert np.ptp(items[0].arrays["frame_times_ns"]) > NS // 2
