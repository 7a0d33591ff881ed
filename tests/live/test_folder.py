"""The state folder: made, locked, told about, and removed, without touching what is somebody else's."""

import os
import stat
from pathlib import Path

import pytest

from live.folder import StateFolder, default_directory
from pipeline.errors import ConfigError


def test_it_is_private_and_says_what_is_in_it(tmp_path: Path) -> None:
    folder = StateFolder(str(tmp_path / "state"))
    with folder.opened():
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert "history.sqlite" in (folder.path / "README.txt").read_text()
        assert folder.results.is_dir()
        assert folder.media.is_dir()


def test_a_second_watch_is_told_who_uses_it(tmp_path: Path) -> None:
    first, second = StateFolder(str(tmp_path)), StateFolder(str(tmp_path))
    with first.opened():
        first.tell({"pid": os.getpid(), "address": "http://127.0.0.1:1/"})
        with pytest.raises(ConfigError, match=rf"another watch uses this folder \(process {os.getpid()}\).*--state"):
            second.opened().__enter__()
        assert second.told()["address"] == "http://127.0.0.1:1/"
    assert second.told() == {}
    with second.opened():
        pass


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        StateFolder(str(tmp_path)).opened().__enter__()
    with pytest.raises(ConfigError, match="is no state folder"):
        StateFolder(str(tmp_path)).clean()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_cleaning_removes_what_a_watch_kept_and_nothing_else(tmp_path: Path) -> None:
    folder = StateFolder(str(tmp_path / "state"))
    with folder.opened():
        (folder.results / "a.jsonl").write_text("x" * 1000)
        (folder.media / "day").mkdir()
        (folder.media / "day" / "a.jpg").write_text("x" * 500)
        with pytest.raises(ConfigError, match="another watch"):
            StateFolder(str(folder.path)).clean()
    (folder.path / "notes.txt").write_text("mine")
    assert folder.clean() > 1500
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    (folder.path / "notes.txt").unlink()
    folder.path.rmdir()
    assert folder.clean() == 0


def test_the_usual_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "percept" / "watch"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_directory() == Path.home() / ".local" / "state" / "percept" / "watch"


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state FOLDER"):
        StateFolder(str(tmp_path / "file" / "state")).opened().__enter__()
