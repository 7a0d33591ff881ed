"""`percept label --compact`: fewer, larger files."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from archive.compact import compact
from archive.names import SUFFIX
from commands.console import Console
from pipeline.errors import ConfigError
from pipeline.sinks.file import output_error


class File(msgspec.Struct, frozen=True):
    name: str


class Folder:
    """The files of an archive in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> Iterator[File]:
        for path in self._path.rglob(f"*{SUFFIX}"):
            name = path.relative_to(self._path)
            if not any(part.startswith(".") for part in name.parts):
                yield File(str(name))

    def open(self, name: str) -> IO[bytes]:
        return open(self._path / name, "rb")

    def put(self, name: str, data: bytes) -> None:
        path = self._path / name
        half = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(data)
            half.replace(path)
        except OSError as error:
            half.unlink(missing_ok=True)
            raise output_error(str(path), error) from error

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)


def compact_archive(archive: str, console: Console) -> int:
    """Merge the files of an archive by day. Returns the exit code."""
    if not Path(archive).is_dir():
        raise ConfigError(f"-o {archive}: is no folder; expected an archive, such as percept label -o labels/ writes")
    done = compact(Folder(Path(archive)), console.warn)
    console.say(
        f"{done.files_before} files before, {done.files_after} now; {done.sources} sources with {done.rows} rows moved"
        + (f"; {done.damaged} damaged" if done.damaged else "")
    )
    return int(done.damaged > 0)
