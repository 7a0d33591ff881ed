"""The supply side of a watch: a decode process per camera, and the slots that it may fill."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.clip import ClipInfo, Gap, Missed
from pipeline.live_ledger import LiveLedger
from pipeline.messages import (
    CloseSource,
    Connection,
    Decoded,
    Ended,
    Film,
    GapFound,
    Grants,
    MissedClip,
    Open,
    Opened,
    SourceFailed,
    ToWorker,
    Wake,
)
from pipeline.places import Places
from pipeline.processes import Processes, Worker
from pipeline.slots import Slots

GRANTS = 2
"""Slots that a camera holds for its next clips."""
MOST_WAITING = 8
"""Clips in work or waiting of a camera whose clips wait for their turn, so that others have slots too."""
RESTART_S = 1.0
"""A decode process that has died is replaced at once, and after that no sooner than this after its last start."""
LONGEST_RESTART_S = 60.0


@dataclass(slots=True)
class Watched:
    """One camera: its decode process and what is known of its connection."""

    index: int
    name: str
    options: dict[str, Any]
    every: bool = False
    """Its clips wait for their turn."""
    labels_version: int = 1
    places: Places | None = None
    worker: Worker | None = None
    grants: dict[int, int] = field(default_factory=dict)
    """Slots and their generations."""
    is_open: bool = False
    is_leaving: bool = False
    is_over: bool = False
    """It has come to its end, as a file does."""
    deaths: int = 0
    lived_clips: int = 0
    """Clips since the last death."""
    start_at_s: float = 0.0
    """When its process may be started again."""
    state: str = "connecting"
    since_s: float = field(default_factory=time.time)
    text: str = ""
    transport: str = ""
    connections: int = 0
    epoch: int = 0
    end_ns: int = 0
    """End of its newest clip."""
    is_new: bool = False
    """Its process was started again, and has given no clip yet."""
    is_told: bool = False
    """That the connection is lost was said."""


class LiveFeed:
    """Keeps a decode process for every camera alive, grants it slots, and never makes it wait for one.

    What is asked of a clip, the version of its camera's labels and where tracks are counted, is stamped on it as it
    arrives.

    on_connection: called whenever the connection of a camera changes.
    """

    def __init__(
        self,
        ledger: LiveLedger,
        slots: Slots,
        processes: Processes,
        send: Callable[[Worker, ToWorker], None],
        on_connection: Callable[[Watched], None],
    ) -> None:
        self.closing = False
        self.cameras: dict[int, Watched] = {}
        self._ledger = ledger
        self._slots = slots
        self._processes = processes
        self._send = send
        self._on_connection = on_connection
        self._free: deque[int] = deque(range(slots.count))
        self.next_index = 0
        """Of the next camera that is added."""

    # -- cameras ----------------------------------------------------------------------------------------------------

    def add(self, name: str, options: dict[str, Any], every: bool) -> Watched:
        """Watch one more camera. `options`: of its reader."""
        camera = Watched(self.next_index, name, options, every)
        self.next_index += 1
        self._ledger.add_camera(camera.index, name, every)
        self.cameras[camera.index] = camera
        return camera

    def remove(self, index: int) -> None:
        """Stop reading a camera; its clips in work come out."""
        camera = self.cameras[index]
        camera.is_leaving = True
        if camera.worker is None:
            self._gone(camera)
        elif camera.is_open:
            self._send(camera.worker, CloseSource())

    def reopen(self, index: int, options: dict[str, Any]) -> None:
        """Go on with other options of the reader, in a new process; one that still loads takes them once ready."""
        camera = self.cameras[index]
        camera.options = options
        camera.start_at_s = 0.0
        if camera.worker is not None and camera.is_open:
            camera.worker.expect_exit()
            self._processes.kill(camera.worker)

    def wake(self, index: int) -> None:
        """The camera's next clip is decoded in full."""
        camera = self.cameras.get(index)
        if camera is not None and camera.worker is not None and camera.is_open:
            self._send(camera.worker, Wake())

    def film(self, name: str, film: Film) -> bool:
        """Ask for a film. Returns False if the camera's process is not there."""
        camera = self.named(name)
        if camera is None or camera.worker is None or not camera.is_open:
            return False
        self._send(camera.worker, film)
        return True

    def named(self, name: str) -> Watched | None:
        return next((each for each in self.cameras.values() if each.name == name and not each.is_leaving), None)

    def of_worker(self, worker: Worker) -> Watched | None:
        return next((each for each in self.cameras.values() if each.worker is worker), None)

    def start(self) -> None:
        """The processes start with `dispatch`."""

    @property
    def finished(self) -> bool:
        is_over = self.closing or (bool(self.cameras) and all(camera.is_over for camera in self.cameras.values()))
        return is_over and not self._ledger.open_sources

    # -- slots ------------------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        return len(self._free)

    def release(self, slot: int) -> None:
        if slot >= 0:
            self._slots.retire(slot)
            self._free.append(slot)

    def introduce(self, worker: Worker) -> None:
        """A decode process is ready."""
        camera = self.of_worker(worker)
        if camera is not None and not camera.is_leaving and not self.closing:
            source = self._ledger.sources[camera.index]
            camera.is_open = True
            self._send(worker, Open(camera.name, camera.index, source.received, camera.options, camera.every))

    def has_work(self, worker: Worker) -> bool:
        camera = self.of_worker(worker)
        return camera is not None and camera.is_open

    def dispatch(self, hold_back: bool) -> None:
        """Start processes that are missing, and grant slots. `hold_back` is not heeded: cameras do not wait."""
        now_s = time.monotonic()
        for camera in list(self.cameras.values()):
            is_wanted = not (self.closing or camera.is_leaving or camera.is_over)
            if camera.worker is None and is_wanted and now_s >= camera.start_at_s:
                camera.worker = self._processes.spawn("decode", f"decode-{camera.name}")
            if camera.worker is not None and camera.is_open and self._may_have_more(camera):
                self._grant(camera, camera.worker)

    def _may_have_more(self, camera: Watched) -> bool:
        if camera.every and len(self._ledger.sources[camera.index].entries) >= MOST_WAITING:
            return False
        return len(camera.grants) < GRANTS

    def _grant(self, camera: Watched, worker: Worker) -> None:
        slots = [self._free.popleft() for _ in range(min(GRANTS - len(camera.grants), len(self._free)))]
        grants = [(slot, self._slots.generation(slot)) for slot in slots]
        if grants:
            camera.grants.update(grants)
            self._send(worker, Grants(grants))

    # -- messages from decoders -------------------------------------------------------------------------------------

    def handle(
        self,
        worker: Worker,
        message: Opened | Decoded | GapFound | Ended | SourceFailed | MissedClip | Connection,
    ) -> str | None:
        """Record the message in the ledger. Returns a notice for the user, or None."""
        camera = self.of_worker(worker)
        if camera is None:
            return None
        match message:
            case Opened(info):
                self._ledger.opened(info)
            case Decoded():
                self._decoded(camera, message)
            case MissedClip(info, reason):
                self._ledger.missed(Missed(self._arrived(camera, info), reason))
            case GapFound(gap):
                self._ledger.gap(gap)
            case Connection():
                return self._connection(camera, message)
            case Ended():
                return self._ended(camera)
            case SourceFailed(_, error):
                if camera.is_leaving or self.closing:
                    self._ended(camera)
                else:
                    self._processes.kill(worker)
                    return f"{error}; the camera's decode process is started again"
        return None

    def _arrived(self, camera: Watched, info: ClipInfo) -> ClipInfo:
        """Note a clip. One that a new process gives comes after a gap, of which only the feed knows the start."""
        if camera.is_new and info.start_ns > camera.end_ns:
            source = self._ledger.sources[camera.index]
            wall_ns = info.live.wall_ns - (info.start_ns - camera.end_ns) if info.live is not None else 0
            place = camera.end_ns, info.start_ns, source.received
            self._ledger.gap(Gap(camera.name, camera.index, info.epoch, *place, wall_ns))
        camera.is_new, camera.end_ns, camera.epoch = False, info.end_ns, info.epoch
        camera.lived_clips += 1
        return self._stamped(camera, info)

    def _decoded(self, camera: Watched, message: Decoded) -> None:
        info = self._arrived(camera, message.info)
        if message.slot < 0:
            self._ledger.reused(info)
            return
        del camera.grants[message.slot]
        if not self._ledger.decoded(info, message.slot, message.generation, message.shapes, message.absent):
            self.release(message.slot)

    def _stamped(self, camera: Watched, info: ClipInfo) -> ClipInfo:
        """A clip is asked what holds at the moment at which it arrives."""
        return msgspec.structs.replace(info, labels_version=camera.labels_version, places=camera.places)

    def _connection(self, camera: Watched, message: Connection) -> str | None:
        before, camera.state, camera.text = camera.state, message.state, message.text
        camera.transport = message.transport or camera.transport
        if before != message.state:
            camera.since_s = time.time()
        camera.connections += message.state == "live" and before != "live"
        self._on_connection(camera)
        if message.state == "live" and (camera.is_told or camera.connections == 1):
            camera.is_told = False
            return f"{camera.name}: live" + (f" ({message.text})" if message.text else "")
        if message.state in ("lost", "refused") and not camera.is_told:
            camera.is_told = True
            return f"{camera.name}: {message.text or message.state}; trying again"
        return None

    def _ended(self, camera: Watched) -> str | None:
        """No more clips come: it was closed, or was a file."""
        self._let_go(camera)
        self._ledger.ended(camera.index, cut=self.closing or camera.is_leaving)
        if camera.is_leaving:
            self._gone(camera)
        elif not self.closing:
            camera.is_over, camera.state, camera.text = True, "ended", "it is over"
            self._dismiss(camera)
            self._on_connection(camera)
            return f"{camera.name}: is over"
        return None

    def _dismiss(self, camera: Watched) -> None:
        if camera.worker is not None:
            camera.worker.expect_exit()
            self._processes.kill(camera.worker)
            camera.worker = None

    def _gone(self, camera: Watched) -> None:
        self._ledger.ended(camera.index, cut=True)
        self._dismiss(camera)
        self._let_go(camera)
        self.cameras.pop(camera.index, None)

    def _let_go(self, camera: Watched) -> None:
        camera.is_open = False
        for slot in camera.grants:
            self.release(slot)
        camera.grants.clear()

    def died(self, worker: Worker, cause: str) -> str | None:
        """Start another process for the camera: at once, later and later if no clip comes between."""
        camera = self.of_worker(worker)
        if camera is not None and self._may_go_on(camera, cause):
            camera.deaths = 0 if camera.lived_clips else camera.deaths + 1
            camera.lived_clips = 0
            wait_s = min(LONGEST_RESTART_S, RESTART_S * 2 ** (camera.deaths - 1)) if camera.deaths else 0.0
            camera.start_at_s = time.monotonic() + wait_s
        return None

    def exited(self, worker: Worker) -> None:
        """A process has ended as it should. If its camera is to be opened again, that is done now."""
        camera = self.of_worker(worker)
        if camera is not None:
            self._may_go_on(camera, "opened again with its new settings")

    def _may_go_on(self, camera: Watched, text: str) -> bool:
        """A camera has no process any more. Returns whether it is to have another."""
        camera.worker = None
        self._let_go(camera)
        if camera.is_leaving or self.closing:
            self._ledger.ended(camera.index, cut=True)
            if camera.is_leaving:
                self._gone(camera)
            return False
        camera.is_new = camera.end_ns > 0
        if camera.state == "live":
            camera.state, camera.since_s, camera.text = "connecting", time.time(), text
            self._on_connection(camera)
        return True

    # -- stopping ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading: every camera ends where it is."""
        self.closing = True
        for camera in list(self.cameras.values()):
            if camera.worker is not None and camera.is_open:
                self._send(camera.worker, CloseSource())
            else:
                self._ledger.ended(camera.index, cut=True)
