"""Files of an archive: what goes in comes out, and what is damaged is told."""

import io
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from archive.shard import ShardError, batches_of, facts_of, names_of_vectors, read_table, vectors_in
from tests.archive.made import archive_with_features, clip_of, random_archive, unit, write_shard

RANDOM = np.random.default_rng(5)


def test_rows_and_vectors_come_back(tmp_path: Path) -> None:
    vectors = unit(RANDOM.standard_normal((3, 24))).astype(np.float32)
    records = [
        clip_of("a.mp4", 0, {"image": vectors[0]}, [("dog", 0.75)], thumbnail=b"\xff\xd8jpeg"),
        clip_of("a.mp4", 1, {}),
        clip_of("a.mp4", 2, {"image": vectors[2], "fused_image": vectors[1]}),
    ]
    path = write_shard(tmp_path, "videos/a.mp4", records, {"timecode": "10:00:00:00"})
    table = read_table(str(path))
    assert names_of_vectors(table) == ["image", "fused_image"]
    found = vectors_in(table["image_vector"])
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found[[0, 2]], vectors[[0, 2]].astype(np.float16))
    assert not found[1].any()
    assert table["image_vector"].is_null().to_pylist() == [False, True, False]
    np.testing.assert_array_equal(vectors_in(table.slice(1, 2)["image_vector"])[1], vectors[2].astype(np.float16))
    assert table["fused_image_vector"].is_null().to_pylist() == [True, True, False]
    assert table["labels"][0].as_py()[0]["label"] == "dog"
    assert table["thumbnail"].to_pylist() == [b"\xff\xd8jpeg", None, None]
    assert set(table["timecode"].to_pylist()) == {"10:00:00:00"}
    assert table["other_parts"].to_pylist() == [None] * 3, "vectors are no part of the record"


def test_facts_say_what_the_file_holds(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "videos/a.mp4", [clip_of("a.mp4", clip, {"image": np.ones(4)}) for clip in range(2)])
    facts = facts_of(str(path), "a")
    assert (facts.name, facts.clips, facts.labelled, facts.failed, facts.seconds) == ("videos/a.mp4", 2, 2, 0, 4.0)
    assert facts.dims == {"image": 4}
    assert facts_of(io.BytesIO(path.read_bytes()), "a") == facts


def test_other_tools_read_an_archive_as_it_is(tmp_path: Path) -> None:
    """Also one in which some sources have no sound."""
    import duckdb
    import pandas
    import polars

    vectors = unit(RANDOM.standard_normal((2, 4))).astype(np.float32)
    dims = {"image": 4, "audio": 4}
    for name, given in (("a", {"image": vectors[0]}), ("b", {"image": vectors[1], "audio": vectors[0]})):
        write_shard(tmp_path, f"{name}.mp4", [clip_of(f"{name}.mp4", 0, given, [("dog", 0.75)])], columns=dims)
    files = str(tmp_path / "**" / "*.parquet")
    query = f"SELECT source, labels[1].label, image_vector, audio_vector FROM '{files}' ORDER BY source"
    rows = duckdb.sql(query).fetchall()
    assert [row[:2] for row in rows] == [("a.mp4", "dog"), ("b.mp4", "dog")]
    np.testing.assert_allclose([row[2] for row in rows], vectors, atol=1e-3)
    assert [row[3] is None for row in rows] == [True, False]
    assert polars.read_parquet(files)["audio_vector"].null_count() == 1
    assert len(pandas.read_parquet(tmp_path)) == 2


def test_all_columns_are_packed(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=1)
    (path,) = tmp_path.rglob("*.parquet")
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    assert {group.column(place).compression for place in range(group.num_columns)} == {"ZSTD"}


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_a_cut_file_is_told(tmp_path: Path, cut: int) -> None:
    path = write_shard(tmp_path, "a.mp4", [clip_of("a.mp4", 0, {"image": np.ones(4)})])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ShardError, match=r"videos/a: is no whole Parquet file"):
        facts_of(str(path), "videos/a")


def test_a_parquet_file_of_others_is_told(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ShardError, match="percept label did not write it"):
        facts_of(str(tmp_path / "a.parquet"), "a.parquet")


def test_a_large_file_is_read_piece_by_piece_and_not_ahead(tmp_path: Path) -> None:
    vectors = RANDOM.standard_normal((4000, 256)).astype(np.float16)
    flat = pyarrow.array(vectors.reshape(-1))
    table = pyarrow.table({"image_vector": pyarrow.FixedSizeListArray.from_arrays(flat, 256)})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    with (tmp_path / "a.parquet").open("rb") as opened, pyarrow.parquet.ParquetFile(opened) as file:
        pieces = batches_of(file, ["image_vector"], rows=600)
        first = next(pieces)
        assert opened.tell() < (tmp_path / "a.parquet").stat().st_size / 2
        tables = [first, *pieces]
    assert [len(table) for table in tables] == [600, 400] * 4
    np.testing.assert_array_equal(np.concatenate([vectors_in(each["image_vector"]) for each in tables]), vectors)


def test_features_are_columns_of_their_own_and_no_vectors_to_search(tmp_path: Path) -> None:
    features = 300 * RANDOM.standard_normal((2, 40)).astype(np.float16)
    records = [
        clip_of("a.mp4", 0, {"image": np.full(4, 0.5)}, features={"image": features[0]}),
        clip_of("a.mp4", 1, {}, features={}),
        clip_of("a.mp4", 2, {"image": np.full(4, 0.5)}, features={"image": features[1]}),
    ]
    path = write_shard(tmp_path, "a.mp4", records)
    table, facts = read_table(str(path)), facts_of(str(path), "a")
    assert (facts.dims, facts.features) == ({"image": 4}, {"image": 40})
    assert names_of_vectors(table) == ["image"]
    assert table["image_features"].is_null().to_pylist() == [False, True, False]
    np.testing.assert_array_equal(vectors_in(table["image_features"])[[0, 2]], features)
    group = pyarrow.parquet.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    stored = columns["image_features.list.element"]
    assert stored.compression == "ZSTD"
    assert not {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(stored.encodings)


def test_a_file_without_features_says_nothing_of_them(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "a.mp4", [clip_of("a.mp4", 0, {"image": np.full(4, 0.5)})])
    assert b"features" not in pyarrow.parquet.read_metadata(path).metadata[b"percept.archive"]
    assert not [name for name in read_table(str(path)).schema.names if "features" in name]


def test_other_tools_read_features_as_they_are(tmp_path: Path) -> None:
    """As docs/label.md says."""
    import duckdb
    import pandas
    import polars

    features = archive_with_features(tmp_path)["v/a.mp4"].astype(np.float32)
    path = tmp_path / "v" / "a.mp4.parquet"
    by_numpy = np.stack(pyarrow.parquet.read_table(path)["audio_features"].drop_null().to_numpy())
    by_pandas = np.stack(pandas.read_parquet(path)["audio_features"].dropna())
    by_polars = polars.read_parquet(path)["audio_features"].drop_nulls().to_numpy()
    by_duckdb = [row[0] for row in duckdb.sql(f"SELECT audio_features FROM '{path}'").fetchall()]
    for found in (by_numpy, by_pandas, by_polars, by_duckdb):
        np.testing.assert_allclose(np.asarray(found, np.float32), features)
