"""Watches of fake cameras: real processes, which are killed and replaced, and commands while they work."""

import json
import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from live.folder import StateFolder
from live.status import Status
from pipeline.config import make_config
from pipeline.messages import Answer, Ask
from tests.live.watches import Watching, watch_tree


def clips_of(status: Status, name: str) -> int:
    return next((camera.clips for camera in status.cameras if camera.name == name), 0)


def has_come(count: int, *names: str) -> Any:
    return lambda watching, status: all(clips_of(status, name) >= count for name in names)


def test_every_clip_of_every_camera_comes_out_in_order(tmp_path: Path) -> None:
    watching = Watching(tmp_path, {"door": {}, "yard": {"period_s": 0.1}}).run(has_come(20, "door", "yard"))
    for camera in ("door", "yard"):
        clips = watching.clips(camera)
        assert clips == list(range(len(clips)))
        assert len(clips) >= 20
    assert watching.account.exit_code == 0
    first = next(record for record in watching.of("door") if record.is_result)
    assert (first.clock, first.measures, first.labels_version) == ("arrival", {"brightness": 0.5}, 1)
    assert first.wall_time.endswith("+00:00")
    assert 0 < first.age_s < 30
    assert first.tracks


def test_a_camera_that_shows_nothing_new_reuses_its_answers(tmp_path: Path) -> None:
    watching = Watching(tmp_path, {"door": {"still": True}}).run(has_come(25, "door"))
    records = watching.of("door")
    reused = [record for record in records if record.reused]
    assert len(reused) > 15
    assert all(record.labels and not record.tracks for record in reused if record.dropped is None)


def test_too_slow_a_model_drops_waiting_clips_and_never_makes_a_camera_wait(tmp_path: Path) -> None:
    tree = watch_tree()
    tree["stages"]["classify"]["busy_ms"] = 300.0
    watching = Watching(tmp_path, {"door": {}, "yard": {}}, make_config(tree)).run(has_come(60, "door", "yard"))
    records = watching.of("door")
    dropped = [record for record in records if record.dropped == "superseded"]
    assert len(dropped) > 20
    results = [record for record in records if record.is_result]
    counted = [record.tracks[0].id for record in results if record.tracks]
    missed = [record.clip for record in records if record.dropped == "no_slot"]
    seen = [record.clip + 1 - sum(clip < record.clip for clip in missed) for record in results]
    assert counted == seen, "the fold saw the dropped clips too"
    assert max(record.age_s for record in results[2:]) < 2.5, "one in work and one waiting per camera"
    assert watching.account.drops == sum(record.dropped is not None for record in watching.records())


def test_a_camera_that_lets_its_clips_wait_loses_none_and_leaves_room_for_others(tmp_path: Path) -> None:
    tree = watch_tree()
    tree["stages"]["classify"]["busy_ms"] = 100.0
    watching = Watching(tmp_path, {"door": {}, "yard": {}}, make_config(tree), every=("door",))
    watching.run(has_come(20, "door", "yard"))
    assert watching.clips("door") == list(range(len(watching.clips("door"))))
    assert {record.dropped for record in watching.of("door")} == {None}
    assert {record.dropped for record in watching.of("yard")} <= {None, "superseded", "no_slot", "late"}


@pytest.mark.slow
def test_whoever_is_killed_is_replaced_and_every_clip_comes_out_once(tmp_path: Path) -> None:
    """Kill the output process, workers, decoders and the clerk in turn."""
    killed: list[str] = []

    def step(watching: Watching, status: Status) -> bool:
        names = ("output", "label", "decode-door", "track", "clerk", "sense", "output", "decode-yard", "label")
        if len(killed) == len(names):
            return clips_of(status, "door") > 60
        workers = [each for each in watching.supervisor.processes.workers.values() if each.ready and each.pid > 0]
        for worker in workers:
            if worker.name == names[len(killed)] and clips_of(status, "door") > 3:
                os.kill(worker.pid, signal.SIGKILL)
                killed.append(worker.name)
                break
        return False

    watching = Watching(tmp_path, {"door": {}, "yard": {"still": True}}).run(step)
    assert len(killed) == 9
    for camera in ("door", "yard"):
        clips = watching.clips(camera)
        assert sorted(set(clips)) == list(range(max(clips) + 1)), "none is missing"
        gaps = {record.epoch for record in watching.of(camera) if record.gap}
        assert len(gaps) == 1, "each decoder died once"
    assert watching.account.in_flight == 0


class Asking:
    """Asks a watch as the page does, one command after another, and keeps the answers."""

    def __init__(self, watching: Watching) -> None:
        self.answers: list[dict[str, Any]] = []
        self._supervisor = watching.supervisor
        send = self._supervisor._send

        def listen(worker: Any, message: Any) -> None:
            if isinstance(message, Answer):
                self.answers.append(json.loads(message.body))
            else:
                send(worker, message)

        self._supervisor._send = listen  # type: ignore[method-assign]

    def ask(self, **command: Any) -> None:
        worker = next(iter(self._supervisor.processes.workers.values()))
        self._supervisor._handle_more(worker, Ask(1, json.dumps(command).encode()))


def test_labels_change_at_a_clip_boundary_and_records_say_which_they_answer(tmp_path: Path) -> None:
    asking: list[Asking] = []

    def step(watching: Watching, status: Status) -> bool:
        if not status.ready or clips_of(status, "door") < 3:
            return False
        if not asking:
            asking.append(Asking(watching))
            asking[0].ask(do="change", camera="door", change={"labels": ["cat"]})
            asking[0].ask(do="change", camera="door", change={"labels": ["bad"]})
            asking[0].ask(do="change", camera="nowhere", change={})
            asking[0].ask(do="change", camera="door", change={"fps": 100})
            asking[0].ask(do="change", camera="door", change={"colour": "red"})
            asking[0].ask(do="preview", camera="door", labels=["dog"])
            asking[0].ask(do="add", camera={"name": "yard", "labels": ["bird"]})
            asking[0].ask(do="add", camera={"name": "yard"})
            asking[0].ask(do="save")
            return False
        if clips_of(status, "yard") > 5 and len(asking[0].answers) == 9:
            asking[0].ask(do="remove", camera="yard")
        return len(asking[0].answers) == 10 and len(status.cameras) == 1

    watching = Watching(tmp_path, {"door": {}})
    watching.cameras = {"door": {}}
    options = {"door": {}, "yard": {}}

    class Both(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return options[name]

    watching.cameras = Both({"door": {}})
    watching.run(step)
    answers = asking[0].answers
    assert answers[0] == {"ok": True, "version": 2, "labels_versions": {"door": 2}}
    assert (answers[1]["ok"], answers[1]["error"]) == (False, "labels: 'bad' is no word")
    assert (answers[2]["status"], answers[3]["status"], answers[4]["status"]) == (404, 409, 400)
    assert "colour" in answers[4]["error"]
    assert answers[5]["ok"]
    assert answers[5]["clips"][0]["labels"][0]["label"] == "dog"
    assert answers[6]["ok"]
    assert answers[7]["status"] == 409
    assert answers[8] == {"ok": True, "path": "cameras.toml"}
    assert [camera.labels for camera in watching.saved[0].cameras] == [("cat",), ("bird",)]
    records = [record for record in watching.of("door") if record.labels]
    versions = [record.labels_version for record in records]
    assert versions == sorted(versions)
    assert set(versions) == {1, 2}
    assert [record.labels[0].label for record in records if record.labels] == [f"version {each}" for each in versions]
    clips = watching.clips("yard")
    assert clips == list(range(len(clips)))


def test_a_state_folder_that_is_removed_ends_the_watch_and_that_of_another_is_left_alone(tmp_path: Path) -> None:
    another = StateFolder(str(tmp_path / "state"))
    with ExitStack() as stack:

        def step(watch: Watching, status: Status) -> bool:
            if clips_of(status, "door") and not another.is_held():
                shutil.rmtree(another.path)
                stack.enter_context(another.opened())
                another.tell({"pid": 1})
            return False

        watch = Watching(tmp_path, {"door": {"pace_s": 0.1}}).run(step)
        assert watch.account.exit_code == 5
        assert [text for text in watch.account.messages if f"{another.path}: was removed or replaced" in text]
        assert another.told() == {"pid": 1}
        assert another.is_held()


def test_a_camera_that_comes_back_goes_on_counting_in_a_new_epoch(tmp_path: Path) -> None:
    watching = Watching(tmp_path, {"door": {"die_at": (8,)}}).run(has_come(20, "door"))
    records = watching.of("door")
    clips = watching.clips("door")
    assert clips == list(range(len(clips)))
    assert [record.epoch for record in records] == sorted(record.epoch for record in records)
    assert len({record.epoch for record in records}) == 2
    (gap,) = [record for record in records if record.gap]
    last = next(record for record in reversed(records) if not record.gap and record.epoch < gap.epoch)
    first = next(record for record in records if not record.gap and record.epoch == gap.epoch)
    assert last.wall_time <= gap.wall_time <= first.wall_time
    assert watching.said("decode-door"), "its death is told"


def test_a_camera_that_is_opened_again_with_other_settings_is_no_fault(tmp_path: Path) -> None:
    asking: list[Asking] = []
    before: list[int] = []

    def step(watching: Watching, status: Status) -> bool:
        if not status.ready or clips_of(status, "door") < 5:
            return False
        if not asking:
            asking.append(Asking(watching))
            before.append(clips_of(status, "door"))
            asking[0].ask(do="change", camera="door", change={"stall_s": 11.0})
        return clips_of(status, "door") > before[0] + 10 and len({each.epoch for each in watching.of("door")}) == 2

    watching = Watching(tmp_path, {"door": {}}).run(step)
    assert asking[0].answers[0]["ok"]
    assert not watching.said("killed"), "it was wanted"
    assert watching.said("door: opened again with its new settings")
    assert not any(process.deaths for process in watching.statuses[-1].processes)
    clips = watching.clips("door")
    assert clips == list(range(len(clips)))
    assert sum(record.gap for record in watching.of("door")) == 1
