"""Sources in S3 are found, recognised and decoded as files are."""

from pathlib import Path

import numpy as np
import pytest

from archive.fingerprint import PIECE_BYTES, fingerprint_of, is_same
from archive.s3_sources import sources_below
from pipeline import s3
from pipeline.errors import SourceError
from stages.decode.reader import ReaderOptions
from stages.decode.reader_av import AvReader
from stages.decode.source import open_container
from tests.archive.s3_server import SECRET
from tests.media import Sound, make_video

MEDIA = {".mp4", ".mov"}


def put(bucket: str, key: str, data: bytes = b"x") -> str:
    s3.client().put_object(Bucket=bucket, Key=key, Body=data)
    return f"s3://{bucket}/{key}"


def test_media_below_a_prefix_are_found(bucket: str) -> None:
    for key in ("v/a.mp4", "v/b c%20?#.MOV", "v/deep/er/d.mp4", "v/", "v/notes.txt", "v/.trash/e.mp4", "v/.f.mp4"):
        put(bucket, key)
    put(bucket, "video2/g.mp4")
    put(bucket, "v2.mp4")
    found = ["v/a.mp4", "v/b c%20?#.MOV", "v/deep/er/d.mp4"]
    for url in (f"s3://{bucket}/v", f"s3://{bucket}/v/"):
        assert [source.url for source in sources_below(url, MEDIA)] == [f"s3://{bucket}/{key}" for key in found]
    assert [source.url for source in sources_below(f"s3://{bucket}/v2.mp4", MEDIA)] == [f"s3://{bucket}/v2.mp4"]
    assert len(list(sources_below(f"s3://{bucket}", MEDIA))) == 5


def test_a_glob_stands_for_names(bucket: str) -> None:
    keys = ["v/2023/a.mp4", "v/2024-1/a.mp4", "v/2024-1/deep/b.mp4", "v/2024-2/c.mov", "v/[x].mp4"]
    for key in keys:
        put(bucket, key)

    def found(glob: str) -> list[str]:
        return [source.url.removeprefix(f"s3://{bucket}/") for source in sources_below(f"s3://{bucket}/{glob}", MEDIA)]

    assert found("v/2024-*/*") == ["v/2024-1/a.mp4", "v/2024-2/c.mov"]
    assert found("v/**/*.mp4") == ["v/2023/a.mp4", "v/2024-1/a.mp4", "v/2024-1/deep/b.mp4", "v/[x].mp4"]
    assert found("*/2024-1/**") == ["v/2024-1/a.mp4", "v/2024-1/deep/b.mp4"]
    assert found("v/[x].mp4") == ["v/[x].mp4"], "a name that is there is no glob"
    assert found("v/2025*") == []


def test_a_copy_in_s3_is_recognised(bucket: str, tmp_path: Path) -> None:
    content = np.random.default_rng(1).bytes(10 * PIECE_BYTES)
    (tmp_path / "a.mp4").write_bytes(content)
    url = put(bucket, "a.mp4", content)
    for whole in (False, True):
        there, here = fingerprint_of(url, whole), fingerprint_of(str(tmp_path / "a.mp4"), whole)
        assert (there.size, there.hash, there.whole) == (here.size, here.hash, whole)
        assert is_same(here, there)
    assert is_same(fingerprint_of(url), fingerprint_of(put(bucket, "b.mp4", content)))


def test_a_change_between_the_pieces_is_seen_by_the_etag(bucket: str) -> None:
    content = bytearray(10 * PIECE_BYTES)
    before = fingerprint_of(put(bucket, "a.mp4", bytes(content)))
    content[2 * PIECE_BYTES] = 1
    after = fingerprint_of(put(bucket, "a.mp4", bytes(content)))
    assert before.hash == after.hash
    assert not is_same(before, after)


def test_a_source_that_is_gone_is_told(bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no such object: 's3://{bucket}/gone.mp4'"):
        fingerprint_of(f"s3://{bucket}/gone.mp4")


def test_the_reader_decodes_from_s3(bucket: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "film.mp4", seconds=3, audio=Sound())
    url = put(bucket, "v/a film #1%.mp4", path.read_bytes())
    assert same_clips(str(path), url) == 2


def same_clips(path: str, url: str) -> int:
    count = 0
    readers = [AvReader(source, 0, ReaderOptions()) for source in (path, url)]
    for reader in readers:
        reader.open()
    for one, other in zip(*(reader.clips() for reader in readers), strict=True):
        assert other.info.source == url
        np.testing.assert_array_equal(one.arrays["frames"], other.arrays["frames"])
        np.testing.assert_array_equal(one.arrays["audio"], other.arrays["audio"])
        count += 1
    for reader in readers:
        reader.close()
    return count


def test_no_link_is_in_an_error(bucket: str) -> None:
    for url in (f"s3://{bucket}/gone.mp4", put(bucket, "text.mp4", b"no film"), "s3://nowhere/a.mp4"):
        with pytest.raises(SourceError) as failed:
            open_container(url, ReaderOptions())
        error: BaseException | None = failed.value
        while error is not None:
            assert "X-Amz" not in str(error)
            assert SECRET not in str(error)
            error = error.__cause__ or error.__context__
        assert url in str(failed.value)
