"""Rows of another source are taken only if it has the same content."""

import os
from pathlib import Path

import pytest

from archive.copies import is_original
from archive.fingerprint import PIECE_BYTES, fingerprint_of
from archive.schema import Facts
from archive.ticket import Ticket

CONTENT = bytes(8 * PIECE_BYTES)
CUT = 2 * PIECE_BYTES
OTHER = CONTENT[:CUT] + b"other" + CONTENT[CUT + 5 :]
"""Differs where only a hash of the whole sees it."""


def facts(path: Path, source: str, whole: bool = False) -> Facts:
    return Facts(source=source, name="videos/a.mp4", fingerprint=fingerprint_of(str(path), whole))


def ticket(path: Path, whole: bool = False) -> Ticket:
    return Ticket(source=str(path), name="b.mp4", path=str(path), fingerprint=fingerprint_of(str(path), whole))


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An original, a copy, and a file whose fingerprint is the same."""
    paths = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    for path, content in zip(paths, (CONTENT, CONTENT, OTHER), strict=True):
        path.write_bytes(content)
    return paths


def test_an_original_is_compared_where_this_run_has_it(paths: tuple[Path, Path, Path]) -> None:
    original, copy, other = paths
    assert ticket(other).fingerprint.hash == facts(original, "").fingerprint.hash  # type: ignore[union-attr]
    assert is_original(facts(original, "elsewhere/a.mp4"), str(original), ticket(copy))
    assert not is_original(facts(original, "elsewhere/a.mp4"), str(original), ticket(other))


def test_an_original_that_is_not_here_is_trusted_only_by_a_hash_of_the_whole(paths: tuple[Path, Path, Path]) -> None:
    original, copy, _ = paths
    assert is_original(facts(original, "elsewhere/a.mp4", whole=True), "", ticket(copy, whole=True))
    assert not is_original(facts(original, "elsewhere/a.mp4"), "", ticket(copy))


def test_a_file_that_only_has_the_path_of_the_original_is_not_it(
    paths: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, copy, other = paths
    assert is_original(facts(original, str(original)), "", ticket(copy))
    os.utime(other, (1, 1))
    monkeypatch.chdir(other.parent)
    assert not is_original(facts(original, other.name), "", ticket(other)), "it was labelled in another folder"
