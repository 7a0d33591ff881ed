"""Files that are written whole or not at all, and the messages of failed writes."""

import contextlib
import errno
import os
import resource
from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.sinks.file import WholeFile, companion, is_special, output_error, part_name, printable, without_secrets


def test_a_file_appears_under_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "talk.vtt"
    file = WholeFile(str(path))
    file.open()
    file.write("häl")
    file.write("lo\r\n")
    assert [each.name for each in path.parent.iterdir()] == [".talk.vtt.part"]
    file.close(complete=True)
    assert path.read_bytes() == "hällo\r\n".encode()
    assert [each.name for each in path.parent.iterdir()] == ["talk.vtt"]
    file.close(complete=False)
    assert path.exists(), "it is closed once"


def test_a_file_that_is_incomplete_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "talk.vtt"
    path.write_text("old")
    file = WholeFile(str(path))
    file.open()
    file.write("new")
    file.close(complete=False)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_that_are_not_utf8_are_written_with_backslashes(tmp_path: Path) -> None:
    file = WholeFile(str(tmp_path / "a"))
    file.open()
    file.write(os.fsdecode(b"caf\xe9"))
    file.close(complete=True)
    assert (tmp_path / "a").read_text() == "caf\\udce9"
    assert printable(os.fsdecode(b"caf\xe9")) == "caf\\udce9"


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = WholeFile(str(path))
    file.open()
    file.write("line\n")
    file.close(complete=False)
    assert os.read(reader, 99) == b"line\n"
    os.close(reader)
    assert path.exists()


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    file = WholeFile(str(tmp_path / "talk.vtt"))
    file.open()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*/talk\.vtt: file size limit reached"):
            file.write("x" * 100_000)
        with contextlib.suppress(OutputError):  # the rest of its buffer
            file.close(complete=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*/file/a\.vtt: "):
        WholeFile(str(tmp_path / "file" / "a.vtt")).open()


@pytest.mark.parametrize(
    ("number", "path", "safe", "text"),
    [
        (errno.ENOSPC, "a.jsonl", None, "cannot write a.jsonl: no space left on device"),
        (errno.EPIPE, "-", None, "cannot write to stdout: its reader has closed it after 0 results"),
        (errno.EPIPE, "-", 7, "cannot write to stdout: its reader has closed it after 7 results"),
        (
            errno.EDQUOT,
            "a",
            3,
            "cannot write a: disk quota exceeded; 3 results are safe. Free space and run again with --resume.",
        ),
        (errno.EIO, "-", 0, "cannot write stdout: input/output error; 0 results are safe. Run again with --resume."),
        (errno.ENOTCONN, "a", None, "cannot write a: Transport endpoint is not connected"),
    ],
)
def test_a_failed_write_is_reported_in_words(number: int, path: str, safe: int | None, text: str) -> None:
    assert str(output_error(path, OSError(number, os.strerror(number)), safe)) == text


def test_only_devices_pipes_and_stdout_are_special(tmp_path: Path) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_text("")
    assert [is_special(str(path)) for path in ("-", "/dev/null", pipe)] == [True] * 3
    assert [is_special(str(path)) for path in (file, tmp_path, tmp_path / "missing")] == [False] * 3


def test_the_temporary_name_is_hidden_and_in_the_same_folder() -> None:
    assert part_name("talk.vtt") == ".talk.vtt.part"
    assert part_name("/a/b/talk.vtt") == "/a/b/.talk.vtt.part"


def test_secrets_are_removed_from_urls_only() -> None:
    assert without_secrets("rtsp://me:hidden@cam/1: it broke") == "rtsp://***@cam/1: it broke"
    assert without_secrets("folder/x?token=1.mp4") == "folder/x?token=1.mp4", "a file keeps its name"


def test_companions_of_the_longest_name_can_be_created(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 249 + ".jsonl")
    names = [
        part_name(str(path)),
        companion(str(path), "", ".progress"),
        part_name(companion(str(path), "", ".progress")),
    ]
    for name in names:
        Path(name).touch()
    assert len({*names, str(path)}) == 4
    assert names[1] == companion(str(path), "", ".progress"), "a resumed run finds it again"
