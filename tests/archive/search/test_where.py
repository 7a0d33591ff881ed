"""Conditions in SQL choose clips, and reach nothing else."""

from pathlib import Path

import pytest

from archive.local_store import LocalStore
from archive.search.where import Where
from pipeline.errors import ConfigError
from tests.archive.made import clip_of, write_shard
from tests.archive.search.archives import opened, random_units


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    vectors = random_units(0, 4, 8)
    for name, label, clips in (("2024/a.mp4", "dog", 4), ("2023/b.mp4", "rain", 2)):
        records = [
            clip_of(f"/data/{name}", clip, {"image": vectors[clip]}, [(label, 0.5), ("cat", 0.5 - 0.2 * (clip < 2))])
            for clip in range(clips)
        ]
        write_shard(tmp_path, name, records, {"device": "cam 'one'"} if clips == 4 else None)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("duration > 6 and source like '%2024%'", [2, 3, 4, 5]),
        ("start_s >= 2", [1, 3, 4, 5]),
        ("'cat' in labels", [4, 5]),
        ("labels[1] = 'rain' or end_s = 4", [0, 1, 3]),
        ("name = '2023/b.mp4' -- and nothing else", [0, 1]),
        ("device = 'cam ''one''' and recorded = ''", [2, 3, 4, 5]),
        ("recorded = ''", [0, 1, 2, 3, 4, 5]),
        ("null::bool", []),
        ("lower(device) like 'cam%' and length(name) = 10 and regexp_matches(source, '2024/[a-z]')", [2, 3, 4, 5]),
        ("len(labels) = 2 and list_contains(labels, 'cat') and round(duration) % 2 = 0", [4, 5]),
        ("coalesce(try_cast(recorded as timestamp), timestamp '2024-05-01') < now() - interval 1 day", list(range(6))),
        (
            "case when duration > 6 then labels && ['dog', 'bird'] else date_part('year', date '2023-01-01') = 1 end",
            [2, 3, 4, 5],
        ),
        ("name in ('2023/b.mp4', 'x') and not (end_s between 3 and 9) and name not like 'a!%' escape '!'", [0]),
        ("1 > 2", []),
    ],
)
def test_a_condition_chooses_clips(archive: Path, text: str, rows: list[int]) -> None:
    where = Where(text)
    assert where.rows(opened(archive, "image"), LocalStore(str(archive))).nonzero()[0].tolist() == rows
    where.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("durtion > 3", '"durtion" not found'),
        ("duration", "gives double, not true or false"),
        ("duration >", "cannot be understood"),
        ("", "cannot be understood"),
        ("true) union select (true", "more than a condition"),
        ("true) from clips where (true", "more than a condition"),
        ("true) where (false", "more than a condition"),
        ("1=1) or (1=1", "cannot be understood"),
        ("true) --", "cannot be understood"),
        ("true); drop table clips; select (true", "cannot be understood"),
        ("exists (select 1)", "a query of its own"),
        ("(select true)", "a query of its own"),
        ("row_number() over () > 1", "a window"),
        ("sum(duration) > 1", "has the function sum; expected"),
        ("getenv('HOME') = ''", "has the function getenv; expected"),
        ("len(range(10)) > 1", "has the function range"),
        ("source = main.repeat('a', 10)", "has the function repeat"),
        ("source.repeat(2) = ''", "has the function repeat"),
        ("len(generate_series(1, 3)) > 1", "has the function generate_series"),
        ("list_resize(labels, 3)[1] = ''", "has the function list_resize"),
        ("replace(source, 'a', 'bb') = ''", "has the function replace"),
        ("lpad(source, 3, 'a') = ''", "has the function lpad"),
        ("format('{:10}', source) = ''", "has the function format"),
        ("[label || label for label in labels] = []", "has the function list_apply"),
        ("null::int[3] is null", "has a cast to array"),
        ("'[]'::varchar[] = labels", "has a cast to list"),
        ("[[[[[device]::text]::text]::text]::text]::text = ''", "has 5 casts within each other"),
        ("labels['dog'] > 0.5", "asked for like this: 'dog' in labels"),
        ("labels.dog > 0.5", "asked for like this: 'dog' in labels"),
        ("struct_extract(labels, 'dog') > 0.5", "asked for like this: 'dog' in labels"),
        ("labels like '%dog%'", "asked for like this: 'dog' in labels"),
        ("read_text('/etc/passwd') = ''", "read_text"),
        ("'a' in (select content from read_text('/etc/passwd'))", "a query of its own"),
        ("unnest([true, false])", "has the function unnest"),
        ("x" * 20_000, "20,000 characters"),
    ],
)
def test_what_is_no_condition_is_refused_in_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match="--where") as raised:
        Where(text)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/out.db'",
        "INSTALL httpfs",
        "SET enable_external_access=true",
        "SELECT * FROM secret",
    ],
)
def test_the_database_itself_reads_and_writes_nothing(tmp_path: Path, statement: str) -> None:
    import duckdb

    secret = [1]
    assert secret
    where = Where("true")
    with pytest.raises(duckdb.Error):
        where._connection.sql(statement.format(folder=tmp_path)).fetchall()
    assert not list(tmp_path.iterdir())
    where.close()
