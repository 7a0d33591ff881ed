"""`percept label` on real files, in a process of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archive.shard import facts_of, names_of_vectors, read_table
from tests.conftest import ROOT

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"


def label(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "commands.main", "label", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_folder_is_labelled_once(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(SAMPLE, tmp_path / "videos" / "a.mp4")
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no film")
    first = label(str(tmp_path / "videos"), "-o", str(tmp_path / "labels"), "--labels", "dog, music")
    assert first.returncode == 1, first.stderr
    path = tmp_path / "labels" / "videos" / "a.mp4.parquet"
    facts, table = facts_of(str(path), "a"), read_table(str(path))
    assert facts.labels == ("dog", "music")
    assert facts.labelled == facts.clips == table.num_rows > 2
    assert {"image", "audio"} <= set(names_of_vectors(table))
    failed = facts_of(str(tmp_path / "labels" / "videos" / "broken.mp4.parquet"), "broken")
    assert failed.error
    assert failed.clips == 1
    before = path.stat().st_mtime_ns
    label(str(tmp_path / "videos"), "-o", str(tmp_path / "labels"), "--labels", "dog, music")
    assert path.stat().st_mtime_ns == before
