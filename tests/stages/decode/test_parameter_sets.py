"""Sequence parameter sets in packets, as encoders write them."""

from pathlib import Path

import av
import pytest

from stages.decode.nvdec import codec_of
from stages.decode.parameter_sets import parameter_sets
from tests.media import make_video


@pytest.mark.parametrize(
    ("name", "codec", "repeats"),
    [("a.ts", "libx264", True), ("a.mp4", "libx264", False), ("a.ts", "libx265", True), ("a.mp4", "libsvtav1", True)],
)
def test_they_are_found_where_packets_have_them(tmp_path: Path, name: str, codec: str, repeats: bool) -> None:
    found = {}
    for size in ((160, 96), (128, 96)):
        path = make_video(tmp_path / f"{size[0]}{name}", 1.0, size=size, codec=codec, gop=10)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            extradata = stream.codec_context.extradata or b""
            keys = [bytes(each) for each in container.demux(stream) if each.is_keyframe and each.size]
            found[size] = [parameter_sets(codec_of(stream.codec_context), each, extradata) for each in keys]
            assert len(keys) > 1
    if not repeats:
        assert [*found.values()] == [[[]] * len(sets) for sets in found.values()]
        return
    one, other = found.values()
    assert all(sets == one[0] for sets in one)
    assert len(one[0]) == 1
    assert one[0] != other[0]
