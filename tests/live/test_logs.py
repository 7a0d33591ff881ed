"""Logs of workers stay small, and their writers go on at the end."""

from pathlib import Path

from live.logs import KEPT_BYTES, KEPT_DEAD, MOST_BYTES, tidy_logs


def test_a_long_log_keeps_its_newest_lines_and_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "worker-3.log"
    with path.open("ab", buffering=0) as log:
        number = 0
        while log.tell() <= MOST_BYTES:
            log.write(b"line %d\n" % number)
            number += 1
        tidy_logs(tmp_path, {3})
        log.write(b"after\n")
    lines = path.read_bytes().splitlines()
    assert path.stat().st_size <= KEPT_BYTES + 100
    assert lines[0] == b"(older lines were cut off)"
    assert lines[-2:] == [b"line %d" % (number - 1), b"after"]
    assert lines[1:-1] == [b"line %d" % each for each in range(number - len(lines) + 2, number)], "no line is torn"


def test_logs_of_processes_that_ended_are_removed_oldest_first(tmp_path: Path) -> None:
    for worker in range(1, 41):
        (tmp_path / f"worker-{worker}.log").write_text("short")
    (tmp_path / "plan").write_text("mine")
    tidy_logs(tmp_path, {1, 2})
    left = sorted(int(path.stem.partition("-")[2]) for path in tmp_path.glob("worker-*.log"))
    assert left == [1, 2, *range(41 - KEPT_DEAD, 41)]
    assert (tmp_path / "plan").exists()
