"""What is written is a condition of a search, and is found by itself."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from archive.local_store import LocalStore
from archive.search.opened import Opened
from archive.search.question import Question
from archive.search.search import search
from archive.search.where import Where
from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, TextLine
from stages.text.phrases import split_text
from tests.archive.made import clip_of, write_shard
from tests.archive.search.archives import random_units

WRITTEN = {1: [("EXIT", 0.8)], 2: [("No exit here", 0.95), ("Platform 9", 0.7)], 4: [("Platform 9", 0.9)]}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that was read, and one that was not."""
    folder = tmp_path_factory.mktemp("read")
    vectors = random_units(0, 6, 8)

    def record(name: str, clip: int, **parts: Any) -> ClipRecord:
        made = clip_of(f"/data/{name}", clip, {"image": vectors[clip]})
        return msgspec.structs.replace(made, parts=made.parts | parts)

    lines = {
        clip: [TextLine(text, sure, 2.0 * clip, (0, 0, 9, 9)) for text, sure in each] for clip, each in WRITTEN.items()
    }
    write_shard(folder, "a.mp4", [record("a.mp4", clip, text=lines.get(clip, [])) for clip in range(6)])
    write_shard(folder, "b.mp4", [record("b.mp4", clip) for clip in range(2)])
    return folder


def test_words_and_phrases_are_told_apart() -> None:
    assert split_text('a door text:"Way Out" at night text:exit') == ("a door at night", ("Way Out", "exit"))
    assert split_text("context:street") == ("context:street", ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("text:exit", [(2.0, 6.0, 0.95)]),
        ('text:"platform 9"', [(8.0, 10.0, 0.9), (4.0, 6.0, 0.7)]),
        ('text:"platform 9" text:EXIT', [(4.0, 6.0, 0.7)]),
        ("text:nothing", []),
    ],
)
def test_what_is_written_is_found(archive: Path, text: str, found: list[tuple[float, float, float]]) -> None:
    opened = Opened(str(archive), load_config())
    hits = search(opened, Question(text=text))
    assert [(hit.start_s, hit.end_s, hit.score) for hit in hits] == found
    assert {hit.scale for hit in hits} <= {"confidence"}
    only = search(opened, Question(text=text, where="start_s < 4"))
    assert [hit.start_s for hit in only] == ([2.0] if text == "text:exit" else [])


def test_a_condition_in_sql_may_name_the_text(archive: Path) -> None:
    where = Where("text ilike '%platform%'")
    rows = where.rows(Opened(str(archive), load_config()).rows, LocalStore(str(archive)))
    assert rows.nonzero()[0].tolist() == [2, 4]
    where.close()


def test_an_archive_that_was_not_read_is_told(tmp_path: Path) -> None:
    write_shard(tmp_path, "b.mp4", [clip_of("/data/b.mp4", 0, {"image": random_units(0, 1, 8)[0]})])
    with pytest.raises(ConfigError, match="label it with --text"):
        search(Opened(str(tmp_path), load_config()), Question(text="text:exit"))
