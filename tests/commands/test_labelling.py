"""`percept label` in processes of its own: resumed, claimed, retried, refused, and followed."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.compact import compact
from archive.local_store import LocalStore
from archive.run_claims import alone
from archive.shard import read_table
from tests.archive.made import damage_rows
from tests.commands.fake_archive import FakeArchive
from tests.conftest import ROOT

WAIT_S = 60.0


@pytest.fixture
def archive(tmp_path: Path) -> FakeArchive:
    return FakeArchive(tmp_path)


def account(said: str) -> dict[str, Any]:
    (found,) = (line for line in map(json.loads, said.splitlines()) if line["message"] == "account")
    for name in ("sources", "clips", "seconds"):
        parts = [found[f"{name}_{part}"] for part in ("labelled", "failed", "skipped")]
        assert found[name] == pytest.approx(sum(parts)), name
    return dict(found)


def wait_until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def until_more(archive: FakeArchive, process: "subprocess.Popen[str]") -> None:
    """Wait until one more file is there, or the run has ended."""
    before = len(archive.rows_so_far())
    wait_until(lambda: len(archive.rows_so_far()) > before or process.poll() is not None)


@pytest.fixture
def started(archive: FakeArchive) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts runs, of which none is left."""
    processes: list[subprocess.Popen[str]] = []

    def start(*more: str) -> "subprocess.Popen[str]":
        processes.append(archive.start(*more, start_new_session=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=WAIT_S)


def test_what_is_done_stays_what_failed_is_tried_when_asked_and_the_account_adds_up(archive: FakeArchive) -> None:
    archive.add("a", "clips=3")
    archive.add("b", "clips=4,decode_die=1")
    bad = archive.add("c", "clips=1,unopenable=1")
    code, said = archive.label("--vtt", "--csv")
    found = account(said)
    assert code == 1
    assert (found["sources_labelled"], found["sources_failed"], found["sources_skipped"]) == (2, 1, 0)
    assert (found["clips_labelled"], found["clips_failed"], found["seconds"]) == (6, 1, 14.0)
    assert f"{bad}: cannot be opened" in archive.facts("c").error
    beside = {path.name.removesuffix(".parquet") for path in archive.rows_so_far()} - {bad.name}
    assert {path.name for path in archive.labels.rglob("*.vtt")} == {f"{name}.vtt" for name in beside}
    assert all("mean 0" in path.read_text() for path in archive.labels.rglob("*.csv"))
    before = {path: path.stat().st_mtime_ns for path in archive.rows_so_far()}
    assert len(before) == 3
    code, said = archive.label()
    assert code == 0
    assert account(said)["done_before"] == 2
    assert account(said)["failed_before"] == 1
    assert {path: path.stat().st_mtime_ns for path in archive.rows_so_far()} == before
    code, said = archive.label("--retry-failed")
    assert (code, account(said)["sources_failed"], account(said)["done_before"]) == (1, 1, 1)
    assert archive.facts("c").tries == 2
    (failed,) = [path for path in archive.rows_so_far() if path.name.startswith(bad.name)]
    assert read_table(str(failed))["tries"].to_pylist() == [2]
    assert archive.leftovers() == []
    runs = [path.read_text() for path in sorted((archive.labels / ".percept" / "runs").iterdir())]
    assert [json.loads(line)["sources_failed"] for line in runs] == [1, 1], "a run that did nothing is not noted"


def test_exports_beside_the_files_follow_them(archive: FakeArchive) -> None:
    changed = archive.add("a", "clips=1")
    archive.add("b", "clips=2")
    archive.label("--vtt")
    vtt, mine = (archive.labels / "videos" / f"{changed.name}.{kind}" for kind in ("vtt", "csv"))
    vtt.write_text("old")
    mine.write_text("mine")
    os.utime(mine, (0, 0))
    archive.add("a", "clips=1", "other content")
    archive.label()
    assert vtt.read_text().startswith("WEBVTT"), "written again, though not asked for"
    assert mine.read_text() == "mine", "older than the labels: none of ours"
    code, said = archive.label("--csv", "--json")
    assert (code, account(said)["done_before"]) == (0, 2)
    assert "wrote 3 exports of sources that had been labelled before" in said
    assert all(path.with_suffix(suffix).is_file() for path in archive.rows_so_far() for suffix in (".csv", ".json"))


def test_changed_damaged_and_doubled_sources(archive: FakeArchive) -> None:
    archive.add("a", "clips=1")
    archive.add("b", "clips=1")
    touched = archive.add("d", "clips=3", "the same")
    archive.add("e", "clips=5", "the same")
    archive.add("f", "clips=2", "the Same")
    code, said = archive.label()
    assert (code, account(said)["copied"], account(said)["clips_labelled"]) == (0, 1, 10)
    archive.add("a", "clips=1", "other content")
    damaged = next(archive.labels.glob("videos/b*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    os.utime(touched)
    later = archive.add("g", "clips=7", "the same")
    code, said = archive.label()
    found = account(said)
    assert (code, found["sources_labelled"], found["copied"], found["sources_skipped"]) == (0, 3, 1, 3)
    assert "damaged" in said
    assert archive.facts("a").fingerprint.size == len("other content")  # type: ignore[union-attr]
    assert archive.facts("b").clips == 1
    assert archive.facts("g").same_as == archive.facts("e").same_as == f"videos/{touched.name}"
    assert archive.facts("f").same_as == ""
    (rows,) = (rows for name, rows in archive.rows().items() if name.startswith("g"))
    assert [(row["source"], row["clip"]) for row in rows] == [(str(later), clip) for clip in range(3)]


def test_the_same_content_as_a_source_that_is_named_otherwise_in_the_rows(archive: FakeArchive) -> None:
    for name in (b"/caf\xe9:clips=2,end=.mp4", b"/relative:clips=3,end=.mp4"):
        with open(os.fsencode(archive.videos) + name, "wb") as file:
            file.write(name)
    assert archive.label(sources=os.path.relpath(archive.videos, ROOT))[0] == 0
    (archive.videos / "x").mkdir()
    for number, path in enumerate(list(archive.videos.glob("*.mp4"))):
        (archive.videos / "x" / f"copy{number}:clips=9,end=.mp4").write_bytes(path.read_bytes())
    code, said = archive.label("-r")
    assert (code, account(said)["done_before"], account(said)["copied"]) == (0, 2, 2)


def test_a_copy_of_a_source_in_a_damaged_file_of_many_is_labelled(archive: FakeArchive) -> None:
    for name in "ab":
        archive.add(name, "clips=2", name)
    archive.label()
    compact(LocalStore(str(archive.labels)))
    damage_rows(next(archive.labels.glob("by-day/*.parquet")))
    archive.add("c", "clips=3", "a")
    code, said = archive.label()
    found = account(said)
    assert (code, found["sources_labelled"], found["copied"], found["clips_labelled"]) == (0, 1, 0, 3)


def test_an_archive_that_is_compacted_at_this_moment_is_not_looked_at(archive: FakeArchive) -> None:
    archive.add("a", "clips=1")
    archive.label()
    next(archive.labels.glob("videos/a*.parquet")).write_bytes(b"half")
    with alone(LocalStore(str(archive.labels))):
        code, said = archive.label()
    assert code == 5
    assert "relabels or compacts it; wait until it has ended" in said
    assert "damaged" not in said


def test_an_archive_is_of_one_kind(archive: FakeArchive) -> None:
    archive.add("a", "clips=1")
    archive.label()
    code, said = archive.label("--labels", "something else")
    assert code == 2
    assert "percept relabel" in said
    code, said = archive.label("--fps", "4")
    assert code == 2
    assert "labelled with other settings: clips.fps was 8.0, is 4.0. Give the same" in said
    assert "--redo" in said
    code, said = archive.label("--fps", "4", "--redo")
    assert (code, account(said)["sources_labelled"]) == (0, 1)
    assert archive.label("--fps", "4")[0] == 0


def test_names_that_are_not_utf8_links_in_circles_and_a_list_of_which_one_is_gone(
    archive: FakeArchive, tmp_path: Path
) -> None:
    with open(os.fsencode(archive.videos) + b"/caf\xe9:clips=2,end=.mp4", "w") as file:
        file.write("content")
    (archive.videos / "again").symlink_to(archive.videos)
    gone = tmp_path / "gone:clips=1,unopenable=1,end=.mp4"
    (tmp_path / "list.txt").write_text(f"videos\n{gone}\n")
    code, said = archive.label("-r", sources=str(tmp_path / "list.txt"))
    assert (code, account(said)["sources_labelled"], account(said)["sources_failed"]) == (1, 1, 1)
    assert archive.facts("caf%E9").source == f"{archive.videos}/caf%E9:clips=2,end=.mp4"
    assert archive.facts("gone").fingerprint is None
    gone.write_text("here")
    code, said = archive.label("-r", sources=str(tmp_path / "list.txt"))
    assert (account(said)["sources_failed"], account(said)["done_before"]) == (1, 1), "what is here now is tried"
    assert archive.facts("gone").tries == 2


def test_a_place_that_cannot_be_written_stops_the_run_with_a_sentence(archive: FakeArchive) -> None:
    archive.add("a", "clips=1")
    archive.labels.mkdir()
    (archive.labels / "videos").write_text("a file")
    code, said = archive.label()
    assert code == 5
    assert f"cannot write {archive.labels}/videos" in said
    assert archive.leftovers() == []


@pytest.mark.slow
def test_killed_at_random_and_resumed_the_rows_are_the_same(
    archive: FakeArchive, started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    for number in range(40):
        archive.add(f"s{number:02}", f"clips={number % 3 + 1},slow_decode_ms=25")
    (tmp_path / "whole").mkdir()
    whole = FakeArchive(tmp_path / "whole")
    whole.videos.rmdir()
    whole.videos = archive.videos
    assert whole.label()[0] == 0
    chance, kills = random.Random(7), 0
    for _ in range(3):
        process = started("--claim-expiry", "30")
        until_more(archive, process)
        time.sleep(chance.uniform(0, 0.1))
        kills += process.poll() is None
        process.kill()
        process.communicate(timeout=WAIT_S)
    assert kills >= 2
    assert 0 < len(archive.rows_so_far()) < 40
    code, said = archive.label()
    assert code == 0
    assert account(said)["sources_skipped"] > 0
    assert archive.rows() == whole.rows()


@pytest.mark.slow
def test_two_runs_share_the_work(archive: FakeArchive, started: Callable[..., "subprocess.Popen[str]"]) -> None:
    for number in range(20):
        archive.add(f"s{number:02}", "clips=2,slow_decode_ms=30")
    both = [started(), started()]
    accounts = [account(process.communicate(timeout=WAIT_S)[1]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(each["sources_labelled"] for each in accounts) == 20
    assert all(each["sources_labelled"] > 2 for each in accounts)
    assert len(archive.rows()) == 20
    assert archive.leftovers() == []


@pytest.mark.slow
def test_a_folder_is_followed_until_it_is_interrupted(
    archive: FakeArchive, started: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = started("--follow", "--settle", "0.5")
    growing = archive.add("a", "clips=2", "")
    for size in range(1, 9):
        growing.write_text("x" * size)
        time.sleep(0.1)
    wait_until(lambda: len(archive.rows_so_far()) == 1)
    archive.add("b", "clips=1")
    wait_until(lambda: len(archive.rows_so_far()) == 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, account(said)["exit_code"]) == (0, 0)
    assert account(said)["sources_labelled"] == 2, "the one that grew was labelled once"
    assert archive.facts("a").fingerprint.size == 8  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(archive: FakeArchive) -> None:
    archive.labels.mkdir()
    mount = f"mount -t tmpfs -o size=48k,nr_inodes=64 none {archive.labels}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    for number in range(12):
        archive.add(f"s{number:02}", "clips=1")
    process = archive.start()
    process.kill()
    process.communicate(timeout=WAIT_S)
    command = " ".join(f"'{part}'" for part in process.args)  # type: ignore[union-attr]
    find = f"find {archive.labels} -name '*.part' -o -name '*.parquet' -size 0"
    script = f"{mount} && {command}; echo code $?; {find}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert "no space left on device" in done.stderr
    assert done.stdout.splitlines() == ["code 5"]
