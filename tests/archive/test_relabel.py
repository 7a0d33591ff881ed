"""Archives are relabelled file by file: whole or not at all, once, and never with the words of another model."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from archive import relabel as relabelling
from archive.local_store import LocalStore
from archive.records import records_of
from archive.relabel import Asked, Plan, plan, relabel
from archive.shard import GROUP_ROWS, facts_of, read_table, vectors_in
from pipeline.errors import ConfigError, ModelError, OutputError
from pipeline.result import SCHEMA_VERSION
from tests.archive.made import MODEL, archive_with_features, clip_of, random_archive, unit, write_shard
from tests.archive.worded import label_set

LABELS = ("cat", "sea > wave")


def asked_for(labels: tuple[str, ...] = LABELS, top_k: int = 2, **more: Any) -> Asked:
    return Asked(label_set(np.random.default_rng(3), labels, **more), labels, MODEL, top_k)


def files_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in LocalStore(str(folder)).list())


def planned(folder: Path, output: Path, asked: Asked) -> Plan:
    return plan(LocalStore(str(folder)), LocalStore(str(output)), asked)


def relabelled(folder: Path, output: Path, names: list[str], asked: Asked) -> list[str]:
    return relabel(LocalStore(str(folder)), LocalStore(str(output)), names, asked, lambda *_: None)


def run(folder: Path, asked: Asked, output: Path | None = None) -> tuple[int, list[str]]:
    """How many files there were to do, and what failed."""
    output = output or folder
    found = planned(folder, output, asked)
    return len(found.names), found.damaged + relabelled(folder, output, found.names, asked)


def test_labels_change_and_nothing_else_does(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3)
    before = {name: read_table(str(tmp_path / name)) for name in files_in(tmp_path)}
    assert run(tmp_path, asked_for()) == (3, [])
    for name, old in before.items():
        facts, new = facts_of(str(tmp_path / name), name), read_table(str(tmp_path / name))
        assert (facts.labels, facts.top_k) == (LABELS, 2)
        assert facts.words == asked_for().words != facts_of
        assert new.schema.equals(old.schema)
        assert {row["label"] for clip in new["labels"].to_pylist() for row in clip} == {"cat", "wave"}
        for column in set(old.schema.names) - {"labels", "category", "open_set"}:
            assert new[column].equals(old[column]), column
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []


def test_features_stay_as_they_were(tmp_path: Path) -> None:
    made = archive_with_features(tmp_path)
    before = {name: read_table(str(tmp_path / name)) for name in files_in(tmp_path)}
    assert run(tmp_path, asked_for()) == (2, [])
    for name, features in made.items():
        path = str(tmp_path / f"{name}.parquet")
        table, facts = read_table(path), facts_of(path, name)
        assert facts.labels == LABELS
        assert facts.features["audio"] == 6
        assert table.schema.equals(before[f"{name}.parquet"].schema)
        np.testing.assert_array_equal(vectors_in(table["audio_features"]), features)


def test_files_of_version_1_of_the_records_become_those_of_now(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=1)
    (name,) = files_in(tmp_path)
    assert run(tmp_path, asked_for(top_k=1)) == (1, [])
    new = read_table(str(tmp_path / name))
    old = pyarrow.table([_of_version_1(new, column) for column in new.schema.names], new.schema.names)
    pyarrow.parquet.write_table(old.replace_schema_metadata(new.schema.metadata), tmp_path / name)
    (record, *_) = records_of(read_table(str(tmp_path / name)))
    assert record.schema_version == 1
    assert [label.base_log_odds for label in record.labels or ()] == [None]
    assert run(tmp_path, asked_for()) == (1, [])
    table = read_table(str(tmp_path / name))
    assert table.schema.field("labels").equals(new.schema.field("labels"))
    for record in records_of(table):
        assert record.schema_version == SCHEMA_VERSION
        for label in record.labels or ():
            odds = (label.base_log_odds or 0) + sum(one.contribution or 0 for one in label.evidence.values())
            assert 1 / (1 + np.exp(-odds)) == pytest.approx(label.probability, abs=1e-5)


def _of_version_1(table: Any, column: str) -> Any:
    """A column as it was before evidence had contributions."""
    if column == "schema_version":
        return pyarrow.repeat(1, table.num_rows)
    if column != "labels":
        return table[column].combine_chunks()
    rows = table[column].to_pylist()
    for label in (label for clip in rows for label in clip or ()):
        del label["base_log_odds"]
        for one in filter(None, label["evidence"].values()):
            del one["contribution"]
    return pyarrow.array(rows)


def test_vectors_of_several_row_groups_stay_what_and_how_they_were(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(4).standard_normal((GROUP_ROWS + 5, 16))).astype(np.float16)
    path = write_shard(
        tmp_path, "a.mp4", [clip_of("a.mp4", clip, {"image": each}) for clip, each in enumerate(vectors)]
    )
    assert run(tmp_path, asked_for()) == (1, [])
    np.testing.assert_array_equal(vectors_in(read_table(str(path))["image_vector"]), vectors)
    metadata = pyarrow.parquet.ParquetFile(path).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [GROUP_ROWS, 5]
    group = metadata.row_group(0)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    assert "PLAIN" in columns["image_vector.list.element"].encodings


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3)
    asked = asked_for()
    names = planned(tmp_path, tmp_path, asked).names
    relabelled(tmp_path, tmp_path, names[:2], asked)
    assert planned(tmp_path, tmp_path, asked).names == names[2:]
    assert planned(tmp_path, tmp_path, asked_for(top_k=1)).names == names
    assert run(tmp_path, asked) == (1, [])
    assert run(tmp_path, asked) == (0, [])


def test_a_copy_leaves_the_archive_alone(tmp_path: Path) -> None:
    random_archive(tmp_path / "labels", sources=2)
    before = {name: (tmp_path / "labels" / name).read_bytes() for name in files_in(tmp_path / "labels")}
    assert run(tmp_path / "labels", asked_for(), tmp_path / "other") == (2, [])
    assert {name: (tmp_path / "labels" / name).read_bytes() for name in files_in(tmp_path / "labels")} == before
    assert list(files_in(tmp_path / "other")) == list(before)
    assert run(tmp_path / "labels", asked_for(), tmp_path / "other") == (0, [])


def test_a_clip_that_failed_has_no_labels_and_a_source_that_failed_stays_failed(tmp_path: Path) -> None:
    image = unit(np.ones(16)).astype(np.float32)
    path = write_shard(tmp_path, "a.mp4", [clip_of("a.mp4", 0, {"image": image}), clip_of("a.mp4", 1, {})])
    failed = write_shard(tmp_path, "b.mp4", [clip_of("b.mp4", -1)], error="b.mp4: no video", model="")
    assert run(tmp_path, asked_for()) == (2, [])
    assert [clip and len(clip) for clip in read_table(str(path))["labels"].to_pylist()] == [2, None]
    assert facts_of(str(failed), "b").error == "b.mp4: no video"
    assert facts_of(str(failed), "b").labels == LABELS


def test_stored_embeddings_of_the_fusion_head_count(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    own, fused = unit(random.standard_normal((2, 16))).astype(np.float32)
    write_shard(tmp_path / "without", "a.mp4", [clip_of("a.mp4", 0, {"image": own})])
    write_shard(tmp_path / "with", "a.mp4", [clip_of("a.mp4", 0, {"image": own, "fused_image": fused})])
    found = {}
    for name in ("with", "without"):
        asked = asked_for(has_head=True)
        assert planned(tmp_path / name, tmp_path / name, asked).has_head is (name == "with")
        run(tmp_path / name, asked)
        table = read_table(str(tmp_path / name / "a.mp4.parquet"))
        found[name] = {row["label"]: row for row in table["labels"].to_pylist()[0]}
    for label in ("cat", "wave"):
        one, other = found["with"][label], found["without"][label]
        of, its = ({**row["evidence"]["image"]} for row in (one, other))
        assert of.pop("contribution") != its.pop("contribution"), "what it adds is that of modality and head"
        assert of == its, "the rest is that of the modality itself"
        assert abs(one["probability"] - other["probability"]) > 1e-3


def test_an_archive_of_another_model_is_refused_before_anything_changes(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=2)
    write_shard(tmp_path, "z.mp4", [clip_of("z.mp4", 0, {"image": unit(np.ones(16))})], model="clip@1")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    with pytest.raises(ModelError, match=r"z\.mp4\.parquet: was labelled by clip@1.* give it with --model"):
        run(tmp_path, asked_for())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before
    (tmp_path / "z.mp4.parquet").unlink()
    with pytest.raises(ModelError, match="embeddings have 16 values, but percept-mini@3 has 8"):
        run(tmp_path, asked_for(size=8))


def test_a_damaged_file_is_told_and_costs_no_other(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=3)
    name = list(files_in(tmp_path))[1]
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:-9])
    todo, failed = run(tmp_path, asked_for())
    assert (todo, len(failed)) == (2, 1)
    assert name in failed[0]
    (tmp_path / name).write_bytes(whole[:4] + bytes(200) + whole[204:])
    todo, failed = run(tmp_path, asked_for())
    assert todo == len(failed) == 1
    assert "cannot be read" in failed[0]
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []


def test_a_file_that_is_written_meanwhile_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_archive(tmp_path, sources=1)
    (name,) = files_in(tmp_path)
    rescored = relabelling.rescored

    def meanwhile(*given: Any) -> Iterator[Any]:
        yield from rescored(*given)
        write_shard(tmp_path, name.removesuffix(".parquet"), [clip_of("new", 0)], made="2027-01-01T00:00:00+00:00")

    monkeypatch.setattr(relabelling, "rescored", meanwhile)
    _, failed = run(tmp_path, asked_for())
    assert failed == [f"{name}: was written by somebody else meanwhile; run the same command again"]
    assert facts_of(str(tmp_path / name), name).made == "2027-01-01T00:00:00+00:00"


def test_a_full_disk_stops_it_and_leaves_what_was_there(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=2)
    before = {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)}
    names = planned(tmp_path, tmp_path, asked_for()).names
    with small_files(1000), pytest.raises(OutputError, match="file size limit reached"):
        relabelled(tmp_path, tmp_path, names, asked_for())
    assert {name: (tmp_path / name).read_bytes() for name in files_in(tmp_path)} == before
    assert sorted(path.name for path in tmp_path.rglob("*.part")) == []
    assert run(tmp_path, asked_for()) == (2, [])


@contextlib.contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """No file can grow beyond that: as on a full disk, the kernel refuses to write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_folder_without_an_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no file of an archive"):
        planned(tmp_path, tmp_path, asked_for())
