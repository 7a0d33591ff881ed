"""`percept cache`: every place is shown with its size, and only Percept's own folders are removed."""

import json
from pathlib import Path

import pytest

from commands.cache import KEPT
from commands.main import main
from engines.cache.cache import locked


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with some files, in a folder that has something else in it; and a download of the hub."""
    for name, size in (("engines/a/plan.bin", 3000), ("text-vectors/b/c", 2000), ("diary.txt", 10)):
        (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).write_bytes(b"x" * size)
    blobs = tmp_path / "hub" / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "weights").write_bytes(b"x" * 5000)
    (blobs.parent / "weights").symlink_to(blobs / "weights")
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


def test_every_place_is_shown_with_its_size(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert {place["name"]: place["size_bytes"] for place in shown["places"]} == {"engines": 3000, "text-vectors": 2000}
    assert shown["path"] == str(cache)
    assert (shown["downloads"], shown["downloads_bytes"]) == (str(cache.parent / "hub"), 5000)
    assert main(["cache"]) == 0
    out = capfd.readouterr().out
    assert f"5.0 kB in {cache}\nTo remove it: percept cache --clear" in out
    assert "hf cache rm" in out


def test_clear_removes_what_percept_made_and_nothing_else(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear"]) == 0
    assert capfd.readouterr().out == f"freed 5.0 kB in {cache}\n"
    assert [path.name for path in cache.iterdir()] == ["diary.txt"]
    assert (cache.parent / "hub" / "models--a--b").is_dir()
    (cache / "diary.txt").unlink()
    assert main(["cache", "--clear"]) == 0
    assert not cache.exists(), "an empty folder is removed too"
    assert main(["cache", "--clear"]) == 0


def test_one_part_can_be_removed(cache: Path) -> None:
    assert main(["cache", "--clear", "text-vectors"]) == 0
    assert (cache / "engines" / "a" / "plan.bin").exists()
    assert not (cache / "text-vectors").exists()


def test_nothing_is_removed_while_an_engine_is_being_built(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with locked(cache / "engines" / "a.lock"):
        assert main(["cache", "--clear"]) == 1
    assert "an engine is being built" in capfd.readouterr().err
    assert (cache / "text-vectors").exists()


def test_a_part_that_does_not_exist_is_refused(cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear", "everything"]) == 2
    shown = capfd.readouterr().err
    assert [name for name in KEPT if f"'{name}'" not in shown] == []
    assert (cache / "engines").exists()


def test_an_empty_cache_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert main(["cache"]) == 0
    assert capfd.readouterr().out == f"nothing in {tmp_path / 'none'} yet\n"
    assert not (tmp_path / "none").exists()
