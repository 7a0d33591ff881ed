"""Exports beside the files of an archive, which follow them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from archive.exports.export import check_format, columns_of, export_source
from archive.exports.formats import FORMATS
from archive.names import file_of
from archive.pieces import pieces_of, tables
from archive.schema import Facts
from archive.shard import read_table
from archive.store import Store
from archive.verdict import Known
from pipeline.errors import ConfigError
from pipeline.s3 import S3
from pipeline.sinks.file import output_error

KINDS = ("vtt", "csv", "json")
SLACK_S = 60.0
"""By which the clocks of a file server and of this machine may differ."""


class Beside:
    """Called with the facts of a file of the archive in `folder` that was just written, it writes `talk.mp4.vtt` and
    the like beside it: those of `kinds`, and those that lie there already. For a source that failed they are removed.

    before: what the archive had. A file that lies beside and is older than the labels, or none were there, is not ours.
    """

    def __init__(self, store: Store, folder: str, kinds: Sequence[str], before: Mapping[str, Known]) -> None:
        """Raises: ConfigError: the archive is in S3."""
        self._is_local = not folder.startswith(S3)
        if kinds and not self._is_local:
            raise ConfigError(f"--{kinds[0]}: goes into a folder of this machine. Run percept export {folder} instead.")
        for kind in kinds:
            check_format(kind)
        self._store, self._folder, self._kinds, self._before = store, folder, kinds, before

    def __call__(self, facts: Facts) -> None:
        """Raises: OutputError: it cannot be written. ShardError, OSError: the file cannot be read."""
        lying = self._lying(facts.name)
        if facts.error:
            for kind in lying:
                self._remove(facts.name, kind)
        elif kinds := [kind for kind in KINDS if kind in lying or kind in self._kinds]:
            with self._store.open(file_of(facts.name)) as file:
                table = read_table(file)
            for kind in kinds:
                export_source(table, facts, kind, self._path(facts.name, kind))

    def fill(self, names: Iterable[str], damaged: Callable[[str], None]) -> int:
        """Write exports that are missing beside these sources, from the stored rows. Returns how many.

        damaged: is told of files that cannot be read.

        Raises: OutputError: one cannot be written.
        """
        missing = {
            name: [kind for kind in self._kinds if not os.path.lexists(self._path(name, kind))]
            for name in (names if self._kinds else ())
        }
        return self._write({name: kinds for name, kinds in missing.items() if kinds}, damaged)

    def renew(self, damaged: Callable[[str], None]) -> int:
        """Write again what lies beside the files that were there before. Otherwise as `fill`."""
        lying = {name: self._lying(name) for name in self._before}
        return self._write({name: kinds for name, kinds in lying.items() if kinds}, damaged)

    def _write(self, kinds: Mapping[str, Sequence[str]], damaged: Callable[[str], None]) -> int:
        if not kinds:
            return 0
        pieces = [each for each in pieces_of(self._store, damaged) if each.name in kinds and not each.facts.error]
        count = 0
        for piece, table in tables(self._store, pieces, columns_of(FORMATS["json"]), damaged):
            for kind in kinds[piece.name]:
                export_source(table, piece.facts, kind, self._path(piece.name, kind))
                count += 1
        return count

    def _lying(self, name: str) -> list[str]:
        """The exports of a source that lie beside its file."""
        before = self._before.get(name)
        if before is None or not self._is_local:
            return []
        oldest_s = datetime.fromisoformat(before.made).timestamp() if isinstance(before, Facts) and before.made else 0.0
        return [kind for kind in KINDS if is_file_since(self._path(name, kind), oldest_s - SLACK_S)]

    def _remove(self, name: str, kind: str) -> None:
        try:
            os.unlink(self._path(name, kind))
        except OSError as error:
            raise output_error(self._path(name, kind), error) from error

    def _path(self, name: str, kind: str) -> str:
        return os.path.join(self._folder, name + FORMATS[kind].suffix)


def is_file_since(path: str, time_s: float) -> bool:
    """Whether there is a file that was written then or later."""
    try:
        return os.path.isfile(path) and os.path.getmtime(path) >= time_s
    except OSError:
        return False
