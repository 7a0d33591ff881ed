"""`percept label` on real files, in a process of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archive.shard import facts_of, names_of_vectors, read_table
from tests.conftest import ROOT
from tests.media import Sound, make_video

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


@pytest.mark.slow
def test_key_frames_have_no_motion_and_rows_say_where_they_come_from(tmp_path: Path) -> None:
    tags = {"timecode": "10:11:12:13", "make": "Canon", "model": "Canon EOS R5"}
    make_video(tmp_path / "a.mov", 5.0, size=(160, 96), gop=30, audio=Sound(), metadata=tags)
    done = label(str(tmp_path / "a.mov"), "-o", str(tmp_path / "labels"), "--labels", "dog, music", "--keyframes")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "labels").rglob("*.parquet")
    table = read_table(str(path))
    assert {"image", "motion", "audio"} <= set(names_of_vectors(table)), "every file has the columns of the model"
    empty = {name for name in names_of_vectors(table) if table[f"{name}_vector"].null_count == table.num_rows}
    assert empty & {"image", "motion", "audio"} == {"motion"}
    rows = table.to_pylist()
    assert [(row["start_s"], row["end_s"]) for row in rows] == [(0, 2), (2, 4), (4, pytest.approx(5, abs=0.05))]
    assert {(row["timecode"], row["device"]) for row in rows} == {("10:11:12:13", "Canon EOS R5")}
    assert all(dict(row["absent"])["motion"] == "key_frames" for row in rows)
