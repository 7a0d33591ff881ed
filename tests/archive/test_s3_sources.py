"""Sources in S3 are found, recognised and decoded as files are."""

from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

from archive.fingerprint import PIECE_BYTES, fingerprint_of, is_same
from archive.s3_sources import is_match, sources_below
from commands.archive_sources import find_wanted
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


@pytest.mark.parametrize(
    ("name", "glob", "fits"),
    [
        ("a/b/c", "a/**/c", True),
        ("a/c", "a/**/c", True),
        ("a/b/c", "a/**/b", False),
        ("a/b", "**", True),
        ("a", "a/**", True),
        ("a", "a/**/**", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/b/c/b/d", "**/b/**/d", True),
        ("a/b/c/b/d", "*/**/c/*/d/**", True),
    ],
)
def test_parts_of_names_fit_a_glob(name: str, glob: str, fits: bool) -> None:
    assert is_match(name.split("/"), glob.split("/")) == fits


def test_many_wildcards_are_no_more_work_than_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def counted(part: str, glob: str) -> bool:
        nonlocal calls
        calls += 1
        return fnmatchcase(part, glob)

    monkeypatch.setattr("archive.s3_sources.fnmatchcase", counted)
    assert not is_match(["a"] * 40, ["**", "a"] * 20 + ["b"])
    assert calls <= 40 * 41


def test_names_of_a_glob_are_those_of_local_files(bucket: str, tmp_path: Path) -> None:
    for key in ("top.mp4", "v/pre1/x1.mp4", "v/pre1/x2.mp4", "v/pre2/x1.mp4", "v/pre2/deep/x1.mp4"):
        put(bucket, key)
        path = tmp_path / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)

    def named(*given: str) -> set[str]:
        return {each.name for each in find_wanted(given, recursive=True)}

    for glob, expected in {
        "v/pre*/x*.mp4": {"v/pre1/x1.mp4", "v/pre1/x2.mp4", "v/pre2/x1.mp4"},
        "v/pre2/**/x1.mp4": {"pre2/x1.mp4", "pre2/deep/x1.mp4"},
        "*/pre1/x1.mp4": {f"{bucket}/v/pre1/x1.mp4"},
        "v/pre1": {"pre1/x1.mp4", "pre1/x2.mp4"},
        "v/pre1/x1.mp4": {"pre1/x1.mp4"},
        "top.mp4": {f"{bucket}/top.mp4"},
    }.items():
        assert named(f"s3://{bucket}/{glob}") == named(f"{tmp_path}/{bucket}/{glob}") == expected
    both = find_wanted([f"s3://{bucket}/v/pre1/x*.mp4", f"{tmp_path}/{bucket}/v/pre1"], recursive=True)
    assert len({each.name for each in both}) == len(both) == 4, "the same names under two roots"


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
