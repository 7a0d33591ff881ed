"""What tells that a file is still the same."""

from pathlib import Path

import pytest

from archive.fingerprint import PIECE_BYTES, fingerprint_of, is_same


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("at", [0, 5 * PIECE_BYTES, 10 * PIECE_BYTES - 1])
def test_a_changed_byte_at_head_middle_or_tail_is_seen(tmp_path: Path, at: int, whole: bool) -> None:
    path = tmp_path / "a.mp4"
    content = bytearray(10 * PIECE_BYTES)
    path.write_bytes(content)
    before = fingerprint_of(str(path), whole)
    content[at] = 1
    path.write_bytes(content)
    assert not is_same(before, fingerprint_of(str(path), whole))


def test_only_the_whole_hash_sees_a_change_in_between(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    content = bytearray(10 * PIECE_BYTES)
    path.write_bytes(content)
    before = fingerprint_of(str(path)), fingerprint_of(str(path), whole=True)
    content[2 * PIECE_BYTES] = 1
    path.write_bytes(content)
    assert is_same(before[0], fingerprint_of(str(path)))
    assert not is_same(before[1], fingerprint_of(str(path), whole=True))
    assert not is_same(before[0], fingerprint_of(str(path), whole=True)), "they cannot be compared"


def test_a_copy_is_the_same_whatever_its_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"film")
    (tmp_path / "b").write_bytes(b"film")
    assert is_same(fingerprint_of(str(tmp_path / "a")), fingerprint_of(str(tmp_path / "b")))
    assert not is_same(None, fingerprint_of(str(tmp_path / "a")))
