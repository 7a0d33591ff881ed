"""Names in an archive do not depend on where a folder is mounted, and never collide."""

import os

from hypothesis import given
from hypothesis import strategies as st

from archive.names import file_of, name_of, names_of
from pipeline.sinks.file import without_secrets

PARTS = st.binary(min_size=1, max_size=250).filter(lambda part: not {0, 47} & set(part) and part not in (b".", b".."))


def test_the_folder_is_kept_and_what_is_above_it_is_not() -> None:
    assert name_of("/data/videos/2024/talk.mp4", "/data/videos") == "videos/2024/talk.mp4"
    assert name_of("/mnt/videos/2024/talk.mp4", "/mnt/videos/") == "videos/2024/talk.mp4"
    assert name_of("s3://bucket/prefix/a/b.mp4", "s3://bucket/prefix") == "prefix/a/b.mp4"
    assert file_of("videos/talk.mp4") == "videos/talk.mp4.parquet"


def test_what_is_not_utf8_is_escaped() -> None:
    assert name_of(os.fsdecode(b"/v/caf\xe9 100%.mp4"), "/v") == "v/caf%E9 100%25.mp4"


def test_two_folders_of_one_name_do_not_collide() -> None:
    names = names_of(
        [("/a/videos/x.mp4", "/a/videos"), ("/b/videos/x.mp4", "/b/videos"), ("/b/videos/y.mp4", "/b/videos")]
    )
    assert len(set(names.values())) == 3
    assert names["/b/videos/y.mp4"] == "videos/y.mp4"
    assert names["/a/videos/x.mp4"].startswith("videos/x~")


def test_a_mark_makes_no_name_that_another_source_has() -> None:
    two = [("/a/videos/x.mp4", "/a/videos"), ("/b/videos/x.mp4", "/b/videos")]
    marked = names_of(two)["/a/videos/x.mp4"]
    names = names_of([*two, (f"/c/{marked}", "/c/videos")])
    assert len(set(names.values())) == 3
    assert names["/b/videos/x.mp4"] == names_of(two)["/b/videos/x.mp4"]


def test_addresses_that_differ_in_a_secret_are_two_sources() -> None:
    addresses = [f"https://host/film.mp4?token={word}" for word in ("secret1", "secret2")]
    names = names_of([(each, "https://host") for each in addresses], without_secrets)
    assert len(set(names.values())) == 2
    assert "secret" not in str(list(names.values()))


@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
def test_different_sources_have_different_names_that_file_systems_take(one: list[bytes], other: list[bytes]) -> None:
    paths = ["/v/" + "/".join(map(os.fsdecode, parts)) for parts in (one, other)]
    names = names_of((path, "/v") for path in paths)
    assert len(set(names.values())) == len(set(paths))
    for name in names.values():
        assert all(len(part.encode()) <= 240 for part in file_of(name).split("/"))
