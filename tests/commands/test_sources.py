"""Files, URLs, globs, folders and playlists on a command line."""

import logging
import os
from pathlib import Path

import pytest

from commands.sources import find_sources
from pipeline.errors import ConfigError


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "percept")
    return caplog


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_in(folder: Path, *given: str, recursive: bool = False) -> list[str]:
    """The sources relative to a folder, if they are in it."""
    found = find_sources([str(folder / name) for name in given], recursive)
    return [os.path.relpath(name, folder) if name.startswith(str(folder)) else name for name in found]


def test_globs_are_sorted_and_the_given_order_is_kept(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.avi"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    found = find_sources(
        [str(tmp_path / "c.avi"), str(tmp_path / "*.mp4"), str(tmp_path / "a.mp4"), "rtsp://u:p@cam/1"]
    )
    assert [Path(name).name for name in found] == ["c.avi", "a.mp4", "b.mp4", "1"]


def test_a_file_with_brackets_in_its_name_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "talk [2024].mp4").touch()
    assert find_sources([str(tmp_path / "talk [2024].mp4")]) == [str(tmp_path / "talk [2024].mp4")]


def test_empty_globs_empty_folders_wrong_names_and_stdin_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        find_sources([str(tmp_path / "*.mp4"), str(tmp_path), "-", os.fsdecode(b"caf\xe9.mp4")])
    text = str(error.value)
    assert "matches no file" in text
    assert "no video, sound or image in this folder" in text
    assert "stdin" in text
    assert "caf\\udce9.mp4: the name is not UTF-8" in text


def test_a_folder_is_its_media_and_says_what_it_leaves_out(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a10.mp4", "a2.MKV", "photo.jpg", "talk.srt", "b.srt", "x.THM", "sub/deep.wav")
    assert found_in(tmp_path, ".") == ["a2.MKV", "a10.mp4", "photo.jpg"]
    assert [record.getMessage() for record in logged.records] == [
        f"{tmp_path / '.'}: 3 sources; passed over: 2 .srt, 1 .thm"
    ]
    assert found_in(tmp_path, ".", recursive=True)[-1] == "sub/deep.wav"


def test_a_folder_without_media_says_what_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(
        ConfigError, match=r"it has 1 \.txt\); looked for \.mp4, .* Name files of other kinds one by one"
    ):
        found_in(tmp_path, ".")
    touch(tmp_path, "a/b/deep.mp4")
    with pytest.raises(ConfigError, match="in the folders in it: add -r"):
        found_in(tmp_path, ".")
    assert found_in(tmp_path, ".", recursive=True) == ["a/b/deep.mp4"]


def test_a_bad_name_in_a_folder_costs_only_itself(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.mp4", os.fsdecode(b"caf\xe9.mp4"))
    assert found_in(tmp_path, ".") == ["a.mp4"]
    assert "caf\\udce9.mp4: passed over, as its name is not UTF-8" in logged.text


def test_a_playlist_is_its_entries_and_a_missing_one_stays_a_source(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "sub/b c.mp4", "folder/2.mp4", "folder/1.mp4")
    (tmp_path / "list.m3u").write_text(
        "#EXTM3U\n#EXTINF:3,Title\na.mp4\nsub/b c.mp4\ngone.mp4\nfolder\nhttp://host/x?y#z\n"
    )
    assert found_in(tmp_path, "list.m3u") == [
        "a.mp4", "sub/b c.mp4", "gone.mp4", "folder/1.mp4", "folder/2.mp4", "http://host/x?y#z",
    ]  # fmt: skip


def test_playlists_that_name_each_other_end(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "one.m3u").write_text("a.mp4\ntwo.pls\none.m3u\n")
    (tmp_path / "two.pls").write_text("[playlist]\nFile1=one.m3u\nFile2=b.mp4\n")
    assert found_in(tmp_path, "one.m3u") == ["a.mp4", "b.mp4"]


def test_a_broken_playlist_stops_only_if_it_was_named(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "prose.txt").write_text("Dear all,\nnothing here is a file.\n")
    (tmp_path / "list.m3u").write_text("prose.txt\na.mp4\n")
    with pytest.raises(ConfigError, match=r"prose\.txt: none of its 2 lines is a URL or a file"):
        found_in(tmp_path, "prose.txt")
    assert found_in(tmp_path, "list.m3u") == ["a.mp4"]
    assert found_in(tmp_path, "*.*") == ["a.mp4"]
    assert logged.text.count("none of its 2 lines") == 2


def test_a_text_file_is_a_list_with_and_without_the_sign_of_lists(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "list.txt").write_text("# comment\n\na.mp4\n")
    assert find_sources([str(tmp_path / "list.txt")]) == find_sources([f"@{tmp_path / 'list.txt'}"])


def test_an_hls_playlist_is_one_source(tmp_path: Path) -> None:
    (tmp_path / "live.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0.ts\n")
    assert found_in(tmp_path, "live.m3u8") == ["live.m3u8"]


def test_a_file_url_is_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "b c.mp4")
    assert find_sources([f"file://{tmp_path}/b%20c.mp4"]) == [str(tmp_path / "b c.mp4")]
