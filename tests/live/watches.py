"""Watches of fake cameras in this process, ended by a condition."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from live.folder import StateFolder
from live.settings import Camera, Settings
from live.status import Status
from live.watch import WatchSupervisor
from pipeline.build import WATCH_ROLES, make_plan
from pipeline.config import Config, make_config
from pipeline.result import ClipRecord, decode_json
from pipeline.run import place, private_directory
from pipeline.status import Account, Notice, OutputSpec
from tests.pipeline.fakes import SIDE

ROLES = {role: path for role, path in WATCH_ROLES.items() if role != "page"}
LONGEST_S = 60.0


def watch_tree(**sections: Any) -> dict[str, Any]:
    """A config tree for a watch of the fakes."""
    tree: dict[str, Any] = {
        "decode": {"factory": "tests.pipeline.fake_cameras:make_camera", "short_side_px": SIDE, "long_side_px": SIDE},
        "labels": {"words": ["anything"]},
        "keep": ["mean"],
        "queue": {"slots": 24},
        "sinks": {"appends": {"class": "tests.pipeline.fake_cameras:Appends"}},
        "groups": [
            {"name": "sense", "stages": ["fake_side"]},
            {"name": "label", "stages": ["classify"], "latest": True, "workers": 1},
            {"name": "track", "stages": ["fake_track"]},
        ],
        "stages": {
            "fake_side": {"class": "tests.pipeline.fakes:FakeSide"},
            "classify": {"class": "tests.pipeline.fake_cameras:AnswersQuestions"},
            "fake_track": {"class": "tests.pipeline.fakes:FakeTrack"},
        },
    }
    return tree | sections


class FakeWatch(WatchSupervisor):
    """A watch whose cameras get the options of a fake by their names."""

    cameras: dict[str, dict[str, Any]]

    def _options(self, camera: Camera) -> dict[str, Any]:
        return self.cameras[camera.name]


class Watching:
    """A watch that is set up and then run in this thread; `until` is asked with every status and ends it."""

    def __init__(
        self,
        tmp_path: Path,
        cameras: dict[str, dict[str, Any]],
        config: Config | None = None,
        every: tuple[str, ...] = (),
    ) -> None:
        self.path = tmp_path / "out.jsonl"
        self.cameras = cameras
        self.every = every
        self.config = config or make_config(watch_tree())
        self.folder = StateFolder(str(tmp_path / "state"))
        self.notices: list[Notice] = []
        self.statuses: list[Status] = []
        self.saved: list[Settings] = []
        self.supervisor: FakeWatch
        self.account: Account

    def run(self, step: Callable[["Watching", Status], bool]) -> "Watching":
        """`step` is called with every status, once a second; when it returns True, the watch is stopped."""
        settings = Settings(cameras=tuple(map(self._camera, self.cameras)))
        ends_s = time.monotonic() + LONGEST_S

        def on_watch(status: Status) -> None:
            self.statuses.append(status)
            if step(self, status) or time.monotonic() > ends_s:
                self.supervisor.interrupt()

        plan = msgspec.structs.replace(make_plan(self.config, len(self.cameras)), roles=ROLES)
        with self.folder.opened(), private_directory() as directory:
            plan = place(plan, directory, [OutputSpec(kind="appends", path=str(self.path))])
            self.supervisor = FakeWatch(
                plan,
                settings,
                self.folder,
                zero_ns=time.monotonic_ns(),
                url_of=lambda camera: "",
                check=lambda changed: [],
                save=self._save,
                test_alert=lambda changed: [],
                on_watch=on_watch,
                on_notice=self.notices.append,
            )
            self.supervisor.cameras = self.cameras
            self.account = self.supervisor.run()
        account = self.account
        assert account.clips_in == account.results + account.errors + account.drops + account.in_flight
        return self

    def _camera(self, name: str) -> Camera:
        return Camera(name=name, labels=("anything",), policy="every" if name in self.every else "latest")

    def _save(self, settings: Settings) -> dict[str, Any]:
        self.saved.append(settings)
        return {"path": "cameras.toml"}

    def records(self) -> list[ClipRecord]:
        return [decode_json(line) for line in self.path.read_text().splitlines()]

    def of(self, camera: str) -> list[ClipRecord]:
        return [record for record in self.records() if record.source == camera]

    def clips(self, camera: str) -> list[int]:
        """Indices of the camera's records, without gaps."""
        return [record.clip for record in self.of(camera) if not record.gap]

    def said(self, part: str) -> list[str]:
        return [notice.text for notice in self.notices if part in notice.text]
