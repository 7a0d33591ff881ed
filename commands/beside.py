"""Exports beside the files of an archive, written as sources are done."""

import os
from collections.abc import Sequence

from archive.exports.export import check_format, export_source
from archive.exports.formats import FORMATS
from archive.names import file_of
from archive.schema import Facts
from archive.shard import read_table
from archive.store import Store
from pipeline.errors import ConfigError
from pipeline.s3 import S3

KINDS = ("vtt", "csv", "json")


class Beside:
    """Called with the facts of a file of the archive in `folder`, it writes `talk.mp4.vtt` and the like beside it."""

    def __init__(self, store: Store, folder: str, kinds: Sequence[str]) -> None:
        """Raises: ConfigError: the archive is in S3."""
        if kinds and folder.startswith(S3):
            raise ConfigError(f"--{kinds[0]}: goes into a folder of this machine. Run percept export {folder} instead.")
        for kind in kinds:
            check_format(kind)
        self._store, self._folder, self._kinds = store, folder, kinds

    def __call__(self, facts: Facts) -> None:
        """Raises: OutputError: it cannot be written. ShardError, OSError: the file cannot be read."""
        if facts.error or not self._kinds:
            return
        with self._store.open(file_of(facts.name)) as file:
            table = read_table(file)
        for kind in self._kinds:
            export_source(table, facts, kind, os.path.join(self._folder, facts.name + FORMATS[kind].suffix))
