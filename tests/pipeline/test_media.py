"""How FFmpeg is given a name: colons, and recorded playlists without an end mark."""

import tempfile
from pathlib import Path

import av
import pytest

from pipeline.media import create_media, open_media
from tests.media import Sound, make_sound

SEGMENTS = ["one.ts", "two.ts"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in SEGMENTS:
        make_sound(tmp_path / name, 1.0, Sound(codec="aac"))
    return tmp_path


def lines_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The playlist as FFmpeg gets it."""
    opened: list[str] = []

    def open_instead(name: str, *arguments: object, **options: object) -> None:
        opened.extend(Path(name).read_text().splitlines())

    monkeypatch.setattr(av, "open", open_instead)
    open_media(str(path))
    monkeypatch.undo()
    return opened


def test_a_name_with_a_colon_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with create_media("10:30:05.wav", "wav", {}) as output:
        output.add_stream("pcm_s16le", rate=8000)
        output.start_encoding()
    assert (tmp_path / "10:30:05.wav").exists()
    with open_media("10:30:05.wav") as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_a_playlist_without_end_mark_gets_one_and_absolute_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "live.m3u8"
    given = ["#EXTM3U", '#EXT-X-KEY:METHOD=AES-128,URI="a.key",IV=0x1', "#EXTINF:1.0,", "one.ts", "", "#EXTINF:1.0,"]
    path.write_text("\n".join([*given, "http://127.0.0.1/two.ts"]))
    assert lines_of(path, monkeypatch) == [
        "#EXTM3U",
        f'#EXT-X-KEY:METHOD=AES-128,URI="{folder}/a.key",IV=0x1',
        "#EXTINF:1.0,",
        f"{folder}/one.ts",
        "#EXTINF:1.0,",
        "http://127.0.0.1/two.ts",
        "#EXT-X-ENDLIST",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1.0,\none.ts\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n",
        "one.ts\ntwo.ts\n",
    ],
    ids=["has an end mark", "a list of playlists", "a list of files"],
)
def test_other_lists_stay_as_they_are(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "list.m3u8"
    path.write_text(text)
    assert lines_of(path, monkeypatch) == text.splitlines()


def test_an_endless_playlist_is_read_to_its_end_and_leaves_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = folder / "live.m3u8"
    path.write_text("\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *(f"#EXTINF:1.0,\n{name}" for name in SEGMENTS)]))
    with open_media(str(path)) as container:
        assert list(scratch.iterdir()) == []
        seconds = sum(float(packet.duration * packet.time_base) for packet in container.demux() if packet.duration)
    assert seconds == pytest.approx(2.0, abs=0.15)
