"""What a hit tells of its clip comes from the archive, as far as it is there."""

from pathlib import Path

import numpy as np

from archive.search.opened import Opened
from archive.search.question import Question
from archive.search.search import search
from archive.shard import encoded, read_table
from pipeline.config import Config
from tests.archive.made import clip_of, write_shard


def test_a_file_without_labels_has_hits_without_them(tmp_path: Path) -> None:
    path = write_shard(tmp_path, "a.mp4", [clip_of("/v/a.mp4", 0, {"image": np.eye(16)[0]}, [("dog", 0.5)])])
    table = read_table(str(path))
    path.write_bytes(encoded(table.drop_columns(["labels"]).replace_schema_metadata(table.schema.metadata)))
    (hit,) = search(Opened(str(tmp_path), Config()), Question(like="a.mp4@0s", modalities=("image",)))
    assert (hit.name, hit.labels) == ("a.mp4", ())
