"""`percept label` with fakes in place of decoder and networks, on files that say in their names what is to happen."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from archive.index import known_file
from archive.local_claims import LOCK
from archive.local_store import LocalStore
from archive.schema import Facts
from archive.shard import read_table
from tests.conftest import ROOT

CONFIG = """
[decode]
factory = "tests.pipeline.fakes:make_reader"
short_side_px = 8
long_side_px = 8
[[groups]]
name = "model"
stages = ["fake_model"]
workers = 1

[[groups]]
name = "track"
stages = ["fake_track"]

[stages.fake_model]
class = "tests.pipeline.fakes:FakeModel"

[stages.fake_track]
class = "tests.pipeline.fakes:FakeTrack"
"""


class FakeArchive:
    """A folder of sources, and the archive that is made of it."""

    def __init__(self, folder: Path) -> None:
        self.videos, self.labels, self.config = folder / "videos", folder / "labels", folder / "fake.toml"
        self.videos.mkdir()
        self.config.write_text(CONFIG)

    def add(self, name: str, wishes: str, content: str | None = None) -> Path:
        """A source such as `a`, with wishes such as "clips=3,die=1": see `tests.pipeline.fakes`."""
        path = self.videos / f"{name}:{wishes},end=.mp4"
        path.write_text(name if content is None else content)
        return path

    def start(self, *more: str, sources: str = "", output: str = "", **options: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-P", "-m", "commands.main", "label", sources or str(self.videos)]
        command += [
            "-o",
            output or str(self.labels),
            "-c",
            str(self.config),
            "--labels",
            "anything",
            "--log-json",
            *more,
        ]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, **options)

    def label(self, *more: str, sources: str = "", output: str = "") -> tuple[int, str]:
        """Label. Returns the exit code and what was said."""
        process = self.start(*more, sources=sources, output=output)
        _, said = process.communicate(timeout=120)
        return process.returncode, said

    def facts(self, name: str) -> Facts:
        """Of the source that begins with this name."""
        (path,) = (path for path in self.rows_so_far() if path.name.startswith(name))
        known = known_file(LocalStore(str(self.labels)), str(path.relative_to(self.labels)).removesuffix(".parquet"))
        assert isinstance(known, Facts), known
        return known

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows, by name of the file."""
        return {path.name: read_table(str(path)).to_pylist() for path in sorted(self.labels.rglob("*.parquet"))}

    def rows_so_far(self) -> list[Path]:
        """Files that are there by now."""
        return list(self.labels.rglob("*.parquet"))

    def leftovers(self) -> list[str]:
        """Claims, and files that are half written."""
        found = [*self.labels.rglob("*.part"), *self.labels.rglob("claims/*")]
        return [str(path) for path in found if path.name != LOCK]
