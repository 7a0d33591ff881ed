"""A player of the machine opens a hit at its second."""

from pathlib import Path

import pytest

from archive.search.player import command_for, play
from pipeline.errors import ConfigError, SourceError


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    path = tmp_path / "--fullscreen.mp4"
    path.write_bytes(b"film")
    return path


def install(folder: Path, name: str) -> None:
    player = folder / "bin" / name
    player.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/heard\nexit 3\n')
    player.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "start"), [("mpv", "--start=12.500"), ("ffplay", "12.500"), ("vlc", "--start-time=12.500")]
)
def test_the_player_that_is_there_gets_the_file_and_the_second(
    film: Path, monkeypatch: pytest.MonkeyPatch, name: str, start: str
) -> None:
    install(film.parent, name)
    monkeypatch.chdir(film.parent)
    assert play(film.name, 12.5) == 3
    heard = (film.parent / "heard").read_text().splitlines()
    assert start in heard
    assert str(film) in heard, "a name that begins with - is no option"


def test_the_first_of_several_players_is_taken(film: Path) -> None:
    for name in ("vlc", "mpv"):
        install(film.parent, name)
    assert Path(command_for(str(film), 0.0)[0]).name == "mpv"


def test_what_is_missing_is_told(film: Path) -> None:
    with pytest.raises(ConfigError, match=r"found none of mpv, ffplay, vlc.*at 2\.0 s"):
        command_for(str(film), 2.0)
    with pytest.raises(SourceError, match="is not a file on this machine"):
        command_for("rtsp://camera/1", 2.0)
