"""The search cache follows the archive, whatever happened to either."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from archive.local_store import LocalStore
from archive.schema import Facts
from archive.search import updating
from archive.search.cache import place_of, update
from archive.search.catalog import FILE, load
from archive.search.rows import Rows
from archive.shard import Shard, encoded
from pipeline.errors import OutputError
from tests.archive.search.archives import SIZE, opened, random_units, write_source
from tests.conftest import ROOT


def living(rows: Rows, name: str) -> dict[str, np.ndarray]:
    """The vectors of every file that counts, by name."""
    return {
        segment.name: rows.column(name)[segment.first : segment.stop]
        for segment in rows.catalog.segments
        if not segment.dead
    }


def agree(rows: Rows, made: dict[str, np.ndarray], name: str = "image") -> None:
    found = living(rows, name)
    assert found.keys() == made.keys()
    for key, values in made.items():
        np.testing.assert_array_equal(found[key], values)


def write(folder: Path, made: dict[str, np.ndarray], *names: str) -> None:
    for name in names:
        write_source(folder, name, {"image": made[name], "audio": -made[name]})


def vectors(*names: str, clips: int = 4) -> dict[str, np.ndarray]:
    return {name: random_units(place + 7, clips, SIZE) for place, name in enumerate(names)}


def test_files_are_added_changed_and_removed(tmp_path: Path) -> None:
    made = vectors("v/a.mp4", "v/b.mp4", "v/c.mp4", "v/d.mp4", "v/e.mp4")
    write(tmp_path, made, "v/a.mp4", "v/b.mp4", "v/c.mp4", "v/d.mp4")
    agree(opened(tmp_path, "image"), {name: made[name] for name in list(made)[:4]})
    write(tmp_path, made, "v/e.mp4")
    made["v/b.mp4"] = random_units(50, 6, SIZE)
    write(tmp_path, made, "v/b.mp4")
    rows = opened(tmp_path, "image")
    agree(rows, made)
    assert rows.alive.sum() == 4 * 4 + 6
    assert len(rows) > rows.alive.sum(), "the rows of the old file are still there, but dead"
    for name in ("v/a.mp4", "v/c.mp4"):
        (tmp_path / f"{name}.parquet").unlink()
        del made[name]
    rows = opened(tmp_path, "image")
    agree(rows, made)
    assert len(rows) == rows.alive.sum(), "so many dead rows are removed"
    np.testing.assert_array_equal(rows.column("start_s")[:4], [0, 2, 4, 6])
    (folder,) = (path for path in (tmp_path / ".percept/search").iterdir() if path.is_dir())
    assert folder.name == str(rows.catalog.generation)


def test_what_is_there_is_not_read_again(tmp_path: Path) -> None:
    made = vectors("a.mp4", "b.mp4")
    write(tmp_path, made, *made)
    before = opened(tmp_path, "image").catalog
    (tmp_path / "a.mp4.parquet").chmod(0o600)
    assert opened(tmp_path, "image").catalog == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_no_numbers_are_told_and_not_searched(tmp_path: Path, value: float) -> None:
    made = vectors("a.mp4", "b.mp4")
    made["a.mp4"] = made["a.mp4"].copy()
    made["a.mp4"][2, 5] = value
    write(tmp_path, made, *made)
    told: list[str] = []
    place = place_of(str(tmp_path))
    rows = Rows(place, update(LocalStore(str(tmp_path)), place, {"image"}, told.append))
    assert told == [
        "a.mp4.parquet: 1 vectors have values that are no numbers; they are not searched. Label their source again."
    ]
    found = living(rows, "image")["a.mp4"]
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[[0, 1, 3]], made["a.mp4"][[0, 1, 3]])
    log_sums = living(rows, "image_log_sum")
    assert np.isnan(log_sums["a.mp4"]).tolist() == [False, False, True, False], "it counts as a clip without pictures"
    assert not np.isnan(log_sums["b.mp4"]).any()


def test_vectors_that_are_asked_for_later_are_filled_in(tmp_path: Path) -> None:
    made = vectors("a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4")
    write(tmp_path, made, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    assert not opened(tmp_path, "image").has("audio")
    (tmp_path / "b.mp4.parquet").unlink()
    write(tmp_path, made, "e.mp4")
    del made["b.mp4"]
    rows = opened(tmp_path, "audio")
    agree(rows, made)
    agree(rows, {name: -values for name, values in made.items()}, "audio")


def test_a_modality_that_first_files_lack_is_found_in_later_ones(tmp_path: Path) -> None:
    silent, loud = random_units(1, 3, SIZE), random_units(2, 3, SIZE)
    write_source(tmp_path, "a.mp4", {"image": silent})
    write_source(tmp_path, "b.mp4", {"image": loud, "audio": -loud})
    rows = opened(tmp_path, "image", "audio")
    np.testing.assert_array_equal(rows.column("audio"), np.concatenate([np.zeros_like(silent), -loud]))
    assert np.isnan(rows.column("audio_log_sum")).tolist() == [True] * 3 + [False] * 3


def test_files_of_another_model_and_damaged_ones_are_passed_over_and_told(tmp_path: Path) -> None:
    made = vectors("a.mp4", "b.mp4", "c.mp4")
    write(tmp_path, made, "a.mp4", "b.mp4")
    write_source(tmp_path, "c.mp4", {"image": made["c.mp4"]}, model="other@1")
    path = tmp_path / "b.mp4.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    rows = opened(tmp_path, "image")
    agree(rows, {"a.mp4": made["a.mp4"]})
    reasons = {name: each.reason for name, each in rows.catalog.passed_over.items()}
    assert "other@1" in reasons["c.mp4.parquet"]
    assert "no whole Parquet file" in reasons["b.mp4.parquet"]
    write(tmp_path, made, "b.mp4")
    agree(opened(tmp_path, "image"), {name: made[name] for name in ("a.mp4", "b.mp4")})


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "catalogue", "other version"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, harm: str) -> None:
    made = vectors("a.mp4", "b.mp4")
    write(tmp_path, made, *made)
    rows = opened(tmp_path, "image")
    place = tmp_path / ".percept" / "search"
    column = place / str(rows.catalog.generation) / "image.f16"
    del rows
    if harm == "cut":
        os.truncate(column, column.stat().st_size - 1)
    elif harm == "changed":
        column.write_bytes(bytes(column.stat().st_size))
    elif harm == "gone":
        column.unlink()
    elif harm == "catalogue":
        (place / FILE).write_bytes((place / FILE).read_bytes()[:50])
    else:
        (place / FILE).write_bytes((place / FILE).read_bytes().replace(b'"version":1', b'"version":9'))
    agree(opened(tmp_path, "image"), made)


def test_a_copied_cache_is_taken_as_it_is(tmp_path: Path) -> None:
    made = vectors("a.mp4")
    write(tmp_path, made, *made)
    catalog = opened(tmp_path, "image").catalog
    for path in (tmp_path / ".percept/search" / str(catalog.generation)).iterdir():
        os.utime(path)
    assert opened(tmp_path, "image").catalog.generation == catalog.generation


def test_an_update_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    made = vectors(*(f"{number:02}.mp4" for number in range(12)))
    write(tmp_path, made, *made)
    place = place_of(str(tmp_path))
    script = (
        "import os\nfrom pathlib import Path\nfrom archive.search import updating\n"
        "from archive.search.cache import update\nfrom archive.local_store import LocalStore\n"
        "updating.COMMIT_S = 0.0\nadd, count = updating.Update._add, [0]\n"
        "def dying(self, entry):\n    add(self, entry)\n    count[0] += 1\n"
        "    [each._file.flush() for each in self._open.values()]\n    count[0] == 8 and os._exit(9)\n"
        "updating.Update._add = dying\n"
        f"update(LocalStore({str(tmp_path)!r}), Path({str(place)!r}), ['image'])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 9, run.stderr
    half = load(place)
    assert half is not None
    assert half.rows == 7 * 4
    column = place / str(half.generation) / "image.f16"
    assert column.stat().st_size == 8 * 4 * SIZE * 2, "rows that the catalogue does not know are there"
    rows = opened(tmp_path, "image")
    assert rows.catalog.generation == half.generation, "the update goes on"
    agree(rows, made)


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = vectors("a.mp4", "b.mp4")
    write(tmp_path, made, "a.mp4")
    opened(tmp_path, "image")
    write(tmp_path, made, "b.mp4")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(updating.Appender, "append", full)
        with pytest.raises(OutputError, match="No space left"):
            opened(tmp_path, "image")
    agree(opened(tmp_path, "image"), made)


def test_an_archive_that_cannot_be_written_is_searched_with_a_cache_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "labels").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        real = Path.mkdir
        patch.setattr(
            Path, "mkdir", lambda self, *a, **k: refuse() if ".percept" in self.parts else real(self, *a, **k)
        )
        place = place_of(str(tmp_path / "labels"))
    assert place.is_relative_to(tmp_path / "cache" / "search")
    made = vectors("a.mp4")
    write(tmp_path / "labels", made, *made)
    agree(Rows(place, update(LocalStore(tmp_path / "labels"), place, ["image"])), made)


def test_a_file_with_fewer_rows_than_none_is_passed_over(tmp_path: Path) -> None:
    made = vectors("a.mp4")
    write(tmp_path, made, "a.mp4")
    odd = tuple(Facts(source=name, name=name, clips=clips) for name, clips in (("b", -1), ("c", 1)))
    (tmp_path / "b.parquet").write_bytes(encoded(Shard({}).table(Facts(source="", name="", sources=odd))))
    rows = opened(tmp_path, "image")
    agree(rows, made)
    assert "says that b has -1 rows" in rows.catalog.passed_over["b.parquet"].reason
