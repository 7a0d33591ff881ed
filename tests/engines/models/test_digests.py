"""Checksums that are kept: a file is read once, and again whenever it may have changed."""

import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from engines.models import digests
from engines.models.digests import sha256_of
from pipeline.errors import ModelError

OLD_NS = 10 * digests.SETTLED_NS


@pytest.fixture(autouse=True)
def another_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known at first, and files are as old as they must be to be kept."""
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + OLD_NS)
    forget()
    yield
    forget()


def forget() -> None:
    digests._read_here.clear()
    digests._kept.cache_clear()


def pretend(path: Path, cache: Path, digest: str) -> None:
    """Replace the digest that is kept, which shows whether a file is read."""
    kept = cache / "digests" / "sha256.txt"
    lines = kept.read_text().splitlines()
    kept.write_text("".join(f"{digest}{line[64:]}\n" if line.endswith(str(path)) else f"{line}\n" for line in lines))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weights 1.bin"
    path.write_bytes(b"abc")
    return path


ABC = sha256(b"abc").hexdigest()
PRETENDED = "0" * 64


def test_a_later_process_does_not_read_a_known_file(path: Path, tmp_path: Path) -> None:
    assert sha256_of(path, tmp_path) == ABC
    pretend(path, tmp_path, PRETENDED)
    forget()
    assert sha256_of(path, tmp_path) == PRETENDED
    assert sha256_of(path) == ABC, "without a cache it is read"


def test_a_file_is_read_again_if_it_has_changed_though_size_and_time_are_the_same(path: Path, tmp_path: Path) -> None:
    before = path.stat()
    sha256_of(path, tmp_path)
    forget()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of(path, tmp_path) == sha256(b"xyz").hexdigest()
    forget()
    assert sha256_of(path, tmp_path) == sha256(b"xyz").hexdigest()


def test_a_new_file_is_not_kept(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_mtime_ns + digests.SETTLED_NS // 2)
    sha256_of(path, tmp_path)
    assert not (tmp_path / "digests").exists()


def test_what_is_kept_may_be_damaged(path: Path, tmp_path: Path) -> None:
    sha256_of(path, tmp_path)
    kept = tmp_path / "digests" / "sha256.txt"
    kept.write_bytes(b"\xff\n1 2\n\n" + kept.read_bytes()[:40])
    forget()
    assert sha256_of(path, tmp_path) == ABC


def test_a_list_that_is_too_long_is_begun_anew(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "MOST_LINES", 3)
    kept = tmp_path / "digests" / "sha256.txt"
    kept.parent.mkdir()
    kept.write_text(f"{PRETENDED} 1-2-3-4 /gone\n" * 9)
    assert sha256_of(path, tmp_path) == ABC
    assert len(kept.read_text().splitlines()) == 1


def test_a_cache_that_cannot_be_written_keeps_nothing(path: Path, tmp_path: Path) -> None:
    (tmp_path / "digests").write_text("in the way")
    assert sha256_of(path, tmp_path) == ABC


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        sha256_of(tmp_path / "weights.bin", tmp_path)
