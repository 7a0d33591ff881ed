"""When a source was recorded, as its container tells it."""

from datetime import datetime
from pathlib import Path

import av
import pytest

from stages.decode.reader import ReaderOptions
from stages.decode.reader_av import AvReader
from stages.decode.wall_time import start_wall
from tests.media import make_video


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"creation_time": "2026-05-06T10:34:56.000000Z"}, "2026-05-06T10:34:56.000+00:00"),
        (
            {"com.apple.quicktime.creationdate": "2026-05-06T12:34:56+0200", "creation_time": "2026-05-06T10:34:56Z"},
            "2026-05-06T12:34:56.000+02:00",
        ),
        ({"com.apple.quicktime.creationdate": "yesterday", "creation_time": "2026-05-06 10:34:56"},
         "2026-05-06T10:34:56.000+00:00"),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, ""),
        ({"creation_time": "1904-01-01T00:00:00Z"}, ""),
        ({"creation_time": "<script>"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_only_a_usable_date_counts(metadata: dict[str, str], expected: str) -> None:
    assert start_wall(metadata) == expected


def test_a_reader_tells_when_a_file_was_recorded(tmp_path: Path) -> None:
    plain, dated = make_video(tmp_path / "plain.mp4", seconds=1), tmp_path / "dated.mp4"
    with av.open(str(plain)) as source, av.open(str(dated), "w") as copy:
        copy.metadata["creation_time"] = "2026-05-06T10:34:56Z"
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert told(plain) == ""
    assert datetime.fromisoformat(told(dated)) == datetime.fromisoformat("2026-05-06T10:34:56Z")


def told(path: Path) -> str:
    reader = AvReader(str(path), 0, ReaderOptions())
    try:
        return reader.open().start_wall
    finally:
        reader.close()
