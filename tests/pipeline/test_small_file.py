"""Small files: only regular ones are read, and what is nested too deeply is refused."""

import os
from pathlib import Path

import pytest

from pipeline.small_file import DEEPEST, parse_toml, read_small_file


def test_a_file_is_read_whole_or_in_part(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b"dog\ncat\n")
    (tmp_path / "link").symlink_to("words")
    assert read_small_file(tmp_path / "link") == b"dog\ncat\n"
    assert read_small_file(str(tmp_path / "words"), 3) == b"dog"
    with pytest.raises(FileNotFoundError):
        read_small_file(tmp_path / "none")


def test_what_may_never_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "named pipe"), (Path("/dev/zero"), "device"), (tmp_path, "directory")):
        with pytest.raises(OSError, match=f"(?i){kind}"):
            read_small_file(path)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5_000 + "]" * 5_000,
        "a = " + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        ".".join("a" * 2_000) + " = 1",
        "[" + ".".join("a" * 2_000) + "]",
    ],
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"nested in more than {DEEPEST} levels"):
        parse_toml(text)


def test_usual_depths_are_read() -> None:
    text = "a = " + "[" * (DEEPEST - 2) + "1" + "]" * (DEEPEST - 2)
    assert parse_toml(text)["a"]
    assert parse_toml("a.b = 1\n[[c]]\n") == {"a": {"b": 1}, "c": [{}]}
    with pytest.raises(ValueError, match="Invalid value"):
        parse_toml("a = [")
