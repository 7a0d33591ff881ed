"""What of a folder is media, in which order, and that searching it ends."""

import os
from pathlib import Path

from commands.folder import list_folder, natural
from tests.commands.test_sources import touch


def names(folder: Path, recursive: bool = False) -> list[str]:
    return [os.path.relpath(path, folder) for path in list_folder(str(folder), recursive).files]


def test_numbers_in_names_count_as_numbers() -> None:
    given = ["b1", "a10", "A2", "a2b", "a02", "9", "10", "a", "é1"]
    assert sorted(given, key=natural) == ["9", "10", "a", "A2", "a02", "a2b", "a10", "b1", "é1"]


def test_files_come_before_those_of_the_folders_below(tmp_path: Path) -> None:
    touch(tmp_path, "z.mp4", "day 10/b.mp4", "day 2/c.mp4", "day 2/part/a.mp4", "day 2/d.mp4")
    assert names(tmp_path, True) == ["z.mp4", "day 2/c.mp4", "day 2/d.mp4", "day 2/part/a.mp4", "day 10/b.mp4"]
    assert names(tmp_path) == ["z.mp4"]


def test_what_is_no_medium_is_passed_over_by_kind(tmp_path: Path) -> None:
    touch(tmp_path, "talk.mp4", "talk.srt", ".hidden.mp4", "@eaDir/thumb.jpg", "x.mp4.part", "y.mp4", "y.mp4.part")
    touch(tmp_path, "z.mkv.crdownload", "README", "strange.\x1b[31m")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself.mp4").symlink_to(tmp_path / "itself.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    listing = list_folder(str(tmp_path), True)
    assert [Path(path).name for path in listing.files] == ["talk.mp4"]
    assert dict(listing.passed) == {
        ".srt": 1, "hidden": 2, "unfinished": 4, "dangling": 2, "special": 1, "others": 2,
    }  # fmt: skip
    assert listing.passed_text.startswith("4 unfinished, 2 hidden, ")
    assert listing.passed_text.endswith(", 2 others")


def test_many_kinds_are_told_briefly(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{copy}.{kind}" for copy in range(2) for kind in "abcdefgh"))
    text = list_folder(str(tmp_path), False).passed_text
    assert len(text.split(", ")) == 7
    assert text.endswith(", 4 others")


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.mp4", "elsewhere/b.mp4")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "up").symlink_to("..")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "in", True) == ["a.mp4", "other/b.mp4"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    listing = list_folder(str(tmp_path / "gone"), True)
    assert listing.problems == [f"{tmp_path / 'gone'}: the folder cannot be read (No such file or directory)"]


def test_typescript_is_no_transport_stream(tmp_path: Path) -> None:
    (tmp_path / "code.ts").write_text("export const answer = 42\n")
    (tmp_path / "video.ts").write_bytes(b"\x47\x40\x00\x10\x00" + bytes(183))
    assert names(tmp_path) == ["video.ts"]


def test_the_parts_of_an_hls_playlist_are_no_sources_of_their_own(tmp_path: Path) -> None:
    for name in ("0.ts", "1.ts", "other.ts", "init.mp4"):
        (tmp_path / name).write_bytes(bytes(9))
    (tmp_path / "low.m3u8").write_text(
        '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:2,\n0.ts\n1.ts\n'
    )
    (tmp_path / "main.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n")
    (tmp_path / "songs.m3u8").write_text("#EXTM3U\nother.ts\n")
    assert names(tmp_path) == ["main.m3u8", "other.ts"]
