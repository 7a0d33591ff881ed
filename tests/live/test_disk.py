"""A disk that is full, really and by a limit: a state of the watch, not its end."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from live.disk import RETRY_S, Disk, disk_reason
from tests.conftest import ROOT


class Clock:
    """A monotonic clock and a wall clock that go together."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall(self) -> datetime:
        return datetime(2026, 1, 31, 14, 3, 22, tzinfo=UTC) + timedelta(seconds=self.now_s)


def test_a_full_disk_is_one_event_that_says_what_was_not_written() -> None:
    clock = Clock()
    disk = Disk(clock.monotonic, clock.wall)
    assert disk.is_due
    assert disk.works_again() is None
    begun = disk.failed("no space left on the disk")
    assert begun is not None
    assert (begun.name, begun.state, begun.kind) == ("disk_full", "open", "health")
    assert not disk.is_due
    disk.missed += 400
    clock.now_s = RETRY_S
    assert disk.is_due
    assert disk.failed("no space left on the disk") is None
    assert not disk.is_due
    disk.missed += 12
    clock.now_s = 108.0
    over = disk.works_again()
    assert over is not None
    assert (over.id, over.state, over.duration_s) == (begun.id, "closed", 108.0)
    begin, end = (f"{clock.wall() - timedelta(seconds=ago):%s}" for ago in (108, 0))
    local = [datetime.fromtimestamp(int(each)).strftime("%H:%M:%S") for each in (begin, end)]
    assert over.text == f"412 clips were not written from {local[0]} to {local[1]}: no space left on the disk"
    assert over.evidence["clips_not_written"] == 412
    assert not disk.is_full


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, ""), "no space left on the disk"),
        (OSError(122, ""), "the disk quota is used up"),
        (OSError(30, ""), "the disk is read-only"),
        (OSError(9, ""), ""),
        (sqlite3.OperationalError("syntax"), ""),
        (KeyError(), ""),
    ],
)
def test_only_what_may_pass_is_a_state_of_the_disk(error: Exception, reason: str) -> None:
    assert disk_reason(error) == reason


SCRIPT = """
import sys, time
from pathlib import Path
import live.disk
from live.history import History, FILE
from live.settings import Alerts, Webhook
from pipeline.result import decode_json
from tests.live.receivers import hook, wait_until
from tests.live.stream import camera, make_sink, settings, stream

live.disk.RETRY_S = 0.05
{room}
directory = Path(sys.argv[1])
with hook() as server:
    sink = make_sink(directory, settings(camera("door"), alerts=Alerts(webhooks=(Webhook(url=server.url),))))
    sink.open()
    records = iter(stream(4000))
    for record in records:
        sink.write(record)
        if sink._archive.disk.is_full:
            break
    first_missed = record.clip
    for record in records:
        sink.write(record)
        sink.tick()
        if record.clip >= first_missed + 400:
            break
    assert sink._archive.disk.is_full
    last_missed = record.clip
    make_room()
    time.sleep(0.1)
    sink.tick()
    assert not sink._archive.disk.is_full
    for record in records:
        sink.write(record)
        if record.clip >= last_missed + 200:
            break
    told = [each.text for each in sink.told]
    sink.close(True)
    wait_until(lambda: len(server.requests) >= 2 * sum(sink.counts.values()) + 2, "all alerts", 5)

state = directory / "state"
clips = [
    decode_json(line).clip
    for path in sorted((state / "results").iterdir())
    for line in path.read_bytes().splitlines()
]
assert clips == [*range(first_missed), *range(last_missed + 1, record.clip + 1)], clips
history = History(state / FILE)
events = history.events(limit=10_000)
disk = [each for each in events if each.name == "disk_full"]
assert [each.state for each in disk] == ["closed"], disk
missed = last_missed - first_missed + 1
assert disk[0].evidence["clips_not_written"] == missed, (disk, missed)
assert f"{{missed}} clips were not written from" in disk[0].text
dogs = [each for each in events if each.name == "dog barking"]
assert len(dogs) == len([clip for clip in range(record.clip + 1) if clip % 20 == 5]), len(dogs)
assert all(each.state == "closed" for each in events)
print("missed", missed, "of", record.clip + 1, "events", len(events), "alerts", len(server.requests))
"""
LIMIT = """
import resource
def make_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, resource.RLIM_INFINITY))
"""
FILLER = """
def make_room():
    (Path(sys.argv[1]) / "filler").unlink()
filler = (Path(sys.argv[1]) / "filler").open("wb")
filler.write(bytes(4 << 20))
filler.close()
"""


def test_a_limit_on_files_is_a_state_of_the_watch(tmp_path: Path) -> None:
    done = run([sys.executable, "-P", "-c", SCRIPT.format(room=LIMIT), str(tmp_path)])
    assert done.returncode == 0, done.stderr
    assert "missed" in done.stdout


def test_a_full_disk_is_a_state_of_the_watch(tmp_path: Path) -> None:
    """On a real, tiny file system, where this machine lets us mount one."""
    mount = f"mount -t tmpfs -o size=6m tmpfs {tmp_path}"
    if run(["unshare", "-rm", "sh", "-c", mount]).returncode:
        pytest.skip("no file system can be mounted here")
    script = tmp_path.parent / f"{tmp_path.name}.py"
    script.write_text(SCRIPT.format(room=FILLER))
    done = run(["unshare", "-rm", "sh", "-c", f"{mount} && {sys.executable} -P {script} {tmp_path}"])
    assert done.returncode == 0, done.stderr
    assert "missed" in done.stdout


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
