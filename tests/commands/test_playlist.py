"""Playlists of other programs, as they are found on disks and in the net."""

from pathlib import Path

import pytest

from commands.playlist import entries, is_playlist
from pipeline.errors import ConfigError

XSPF = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<playlist version="1" xmlns="http://xspf.org/ns/0/"><title>no/source</title>'
    "<trackList><track><title>t</title><location>b%20c.mp4</location><location>second choice</location></track>"
    "<track><location>file:///x/%C3%A9.mp4</location></track><track><title>none</title></track>"
    "<track><location> https://host/a%20b.mp4?c=1&amp;d=2 </location></track></trackList></playlist>"
)


def of(tmp_path: Path, name: str, content: str | bytes) -> list[str]:
    """The entries, relative to the folder of the playlist if they are in it."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [entry.removeprefix(f"{tmp_path}/") for entry in entries(str(path))]


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXTINF:3,Title, with comma\ncaf\u00e9.mp4\n".encode(),
        "\ufeffcaf\u00e9.mp4\r\n\r\n".encode(),
        "caf\u00e9.mp4\n".encode("latin-1"),
        "\ufeffcaf\u00e9.mp4\n".encode("utf-16-le"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "Latin-1", "UTF-16"],
)
@pytest.mark.parametrize("suffix", [".m3u", ".M3U8", ".txt"])
def test_an_entry_is_found_in_any_encoding(tmp_path: Path, content: bytes, suffix: str) -> None:
    (tmp_path / "caf\u00e9.mp4").touch()
    assert of(tmp_path, f"list{suffix}", content) == ["caf\u00e9.mp4"]


def test_a_pls_file_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    text = "[playlist]\nNumberOfEntries=3\nFile10=http://host/last\nTitle1=File9=no\nfile2 = b c.mp4 \nFile1=/a.mp4\n"
    assert of(tmp_path, "list.pls", text) == ["/a.mp4", "b c.mp4", "http://host/last"]


def test_an_xspf_file_names_uris(tmp_path: Path) -> None:
    assert of(tmp_path, "list.xspf", XSPF) == ["b c.mp4", "/x/\u00e9.mp4", "https://host/a%20b.mp4?c=1&d=2"]


@pytest.mark.parametrize("entity", ['SYSTEM "file:///etc/hostname"', '"aaaaaaaaaa"'])
def test_entities_of_xml_are_refused(tmp_path: Path, entity: str) -> None:
    track = "<playlist><trackList><track><location>&e;</location></track></trackList></playlist>"
    text = f"<!DOCTYPE p [<!ENTITY e {entity}>]>{track}"
    for data in (text.encode(), text.encode("utf-16")):
        with pytest.raises(ConfigError, match=r"list\.xspf: has a document type"):
            of(tmp_path, "list.xspf", data)


def test_what_is_no_xml_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"list\.xspf: is no XSPF playlist \(syntax error"):
        of(tmp_path, "list.xspf", "a.mp4")


def test_names_from_windows_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mp4").touch()
    (tmp_path / "back\\slash.mp4").touch()
    assert of(tmp_path, "list.m3u", "sub\\a.mp4\r\nback\\slash.mp4\r\n") == ["sub/a.mp4", "back\\slash.mp4"]


@pytest.mark.parametrize(
    "name", ["concat:a.ts|/etc/passwd", "concat:///etc/passwd", "subfile,,start,0,end,9,,:file:///etc/passwd", "pipe:0"]
)
def test_a_playlist_cannot_name_protocols_that_read_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """They are names of files: FFmpeg sees no protocol in a name that begins with a folder."""
    assert of(tmp_path, "list.m3u", name) == [name]
    monkeypatch.chdir(tmp_path)
    assert entries("list.m3u") == [f"./{name}"]


def test_an_empty_playlist_and_a_giant_one_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="names no file and no URL"):
        of(tmp_path, "list.m3u", "#EXTM3U\n\n")
    monkeypatch.setattr("commands.playlist.MOST_BYTES", 4)
    with pytest.raises(ConfigError, match="expected a playlist"):
        of(tmp_path, "list.m3u", "a.mp4\n")


def test_only_lists_of_sources_are_playlists(tmp_path: Path) -> None:
    for name in ("a.m3u", "hls.m3u", "b.PLS", "c.mp4"):
        (tmp_path / name).write_text("#EXTM3U\n#EXTINF:2,\n0.ts\n")
    (tmp_path / "hls.m3u").write_text("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:4\n#EXTINF:2,\n0.ts\n")
    names = ["a.m3u", "hls.m3u", "b.PLS", "c.mp4", "missing.m3u"]
    assert [is_playlist(str(tmp_path / name)) for name in names] == [True, False, True, False, False]
