"""The cache of built networks: entries are complete or absent, damage is detected, one process builds at a time."""

import multiprocessing
import time
from pathlib import Path

import pytest

from engines.cache import cache as cache_module
from engines.cache.cache import Cache, key_of
from pipeline.errors import ModelError

FACTS = {"weights": "abc"}
KEY = key_of(FACTS)


def write(into: Path) -> None:
    (into / "network.onnx").write_bytes(b"network")


def never(into: Path) -> None:
    raise AssertionError("should not be built")


def test_it_is_built_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find(KEY) is None
    built = cache.get(KEY, FACTS, write)
    assert (built / "network.onnx").read_bytes() == b"network"
    assert Cache(tmp_path).get(KEY, FACTS, never) == built == cache.find(KEY)


def test_the_key_depends_on_the_facts_not_on_their_order() -> None:
    assert key_of({"a": "1", "b": "2"}) == key_of({"b": "2", "a": "1"}) != key_of({"a": "2", "b": "1"})


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "meta", "other key"])
def test_a_damaged_entry_is_set_aside_with_a_warning_and_rebuilt(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    entry = cache.get(KEY, FACTS, write)
    file = entry / "network.onnx"
    match damage:
        case "flip":
            file.write_bytes(b"netwark")
        case "cut":
            file.write_bytes(b"net")
        case "remove":
            file.unlink()
        case "meta":
            (entry / "meta.json").write_text("{")
        case "other key":
            (entry / "meta.json").write_text((entry / "meta.json").read_text().replace(KEY, "0" * 40))
    assert cache.get(KEY, FACTS, write) == entry
    assert file.read_bytes() == b"network"
    assert "set aside" in caplog.text
    assert [path.name for path in entry.parent.glob("*.bad-*")] == [f"{KEY}.bad-0"]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(into: Path) -> None:
        write(into)
        raise ModelError("it failed")

    cache = Cache(tmp_path)
    with pytest.raises(ModelError, match="it failed"):
        cache.get(KEY, FACTS, fail)
    assert [path.name for path in cache.directory.iterdir()] == [f"{KEY}.lock"]
    assert cache.get(KEY, FACTS, write).is_dir()


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written.*PERCEPT_CACHE"):
        Cache(tmp_path / "file").get(KEY, FACTS, write)


def build_slowly(directory: Path, log: Path) -> None:
    def build(into: Path) -> None:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.5)
        write(into)

    Cache(directory).get(KEY, FACTS, build)


def test_one_process_builds_and_the_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=build_slowly, args=(tmp_path, tmp_path / "log")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_an_entry_that_is_being_replaced_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    cache.get(KEY, FACTS, write)
    seen: list[Path] = []
    real = cache_module._fault_of

    def replaced_meanwhile(entry: Path, key: str, digests: Path) -> str:
        """The first read sees the old meta.json and the new files."""
        seen.append(entry)
        return "network.onnx is damaged" if len(seen) == 1 else real(entry, key, digests)

    monkeypatch.setattr(cache_module, "_fault_of", replaced_meanwhile)
    assert cache.find(KEY) is not None
    assert not list(cache.directory.glob("*.bad-*"))


def test_nothing_is_set_aside_while_another_process_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    entry = cache.get(KEY, FACTS, write)
    (entry / "network.onnx").write_bytes(b"half")
    with cache_module.locked(cache.directory / f"{KEY}.lock"):
        assert cache.find(KEY) is None
        assert entry.is_dir()
    assert cache.find(KEY) is None
    assert not entry.is_dir()


def test_an_entry_that_has_changed_is_not_set_aside(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get(KEY, FACTS, write)
    old = cache.meta(KEY)
    cache.note(KEY, {"gate": "another"})
    cache.set_aside(KEY, old)
    assert cache.find(KEY) is not None
    cache.set_aside(KEY, cache.meta(KEY))
    assert cache.find(KEY) is None


def test_an_os_error_in_the_builder_is_reported_as_a_failed_build(tmp_path: Path) -> None:
    def build(into: Path) -> None:
        (into / "nowhere" / "file").write_bytes(b"")

    with pytest.raises(ModelError, match=r"cannot be built.*No such file"):
        Cache(tmp_path).get(KEY, FACTS, build)
