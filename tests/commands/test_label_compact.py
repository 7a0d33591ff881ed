"""`percept label --compact` on a folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from archive.local_store import LocalStore
from archive.pieces import pieces_of
from tests.archive.made import random_archive
from tests.conftest import ROOT


def compact(archive: Path | str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "commands.main", "label", "-o", str(archive), "--compact"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_folder_is_compacted_and_says_so(tmp_path: Path) -> None:
    random_archive(tmp_path, sources=4)
    (tmp_path / ".percept").mkdir()
    (tmp_path / ".percept" / "other.parquet").write_bytes(b"not a file of a source")
    done = compact(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 files before, 1 now; 4 sources with 20 rows moved" in done.stderr
    assert [piece.is_merged for piece in pieces_of(LocalStore(str(tmp_path)), print)] == [True] * 4
    assert "1 files before, 1 now; 0 sources" in compact(tmp_path).stderr


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    done = compact(tmp_path / "missing")
    assert done.returncode == 2
    assert "no such folder; expected an archive" in done.stderr


def test_a_folder_without_files_of_an_archive_is_told_and_stays_empty(tmp_path: Path) -> None:
    done = compact(tmp_path)
    assert done.returncode == 2
    assert "has no file of an archive. Make one: percept label videos/ -o" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_in_s3_without_objects_is_told() -> None:
    pytest.importorskip("moto")
    from pipeline import s3
    from tests.archive.s3_server import s3_server, using

    with s3_server() as address, using(address):
        s3.client().create_bucket(Bucket="archive-test")
        done = compact("s3://archive-test/nothing")
    assert done.returncode == 2
    assert "s3://archive-test/nothing: has no file of an archive" in done.stderr
