"""All events of one camera, and everything that is needed to go on with them in another process."""

import time
from collections.abc import Callable

from live.event import LiveEvent
from live.health import Health
from live.moments import Moments
from live.settings import Camera
from pipeline.result import ClipRecord
from pipeline.sinks.counts import Counts
from pipeline.status import PlaceCounts

PAST_EVERY_S = 60.0
"""What a camera has learned is kept so often. It is large, and may be a little old."""
Load = Callable[[str], bytes | None]
"""What was kept of a part."""


class CameraEvents:
    """Passes each record to those who make events of it."""

    def __init__(self, camera: Camera, clock: Callable[[], float] = time.monotonic) -> None:
        self.camera = camera
        self._clock = clock
        self._moments, self._health, self._counts = Moments(camera), Health(camera), Counts(places=camera.places)
        self._kept_s = clock()

    def add(self, record: ClipRecord) -> list[LiveEvent]:
        self._counts.add(record)
        return [*self._moments.add(record), *self._health.add(record)]

    def connection(self, state: str, text: str) -> list[LiveEvent]:
        return self._health.connection(state, text)

    def quiet(self, waited_s: float) -> list[LiveEvent]:
        """Events that are over although no record has come for so long."""
        return self._moments.quiet(waited_s)

    def configure(self, camera: Camera) -> list[LiveEvent]:
        self.camera = camera
        self._counts.keep_only(camera.places)
        return self._moments.configure(camera)

    def counted(self) -> PlaceCounts:
        """What its zones and lines have counted since the watch began."""
        return self._counts.now()

    def stop(self) -> list[LiveEvent]:
        """The camera is not watched any more: all its events are over."""
        return [*self._moments.stop(), *self._health.stop()]

    def states(self, with_past: bool = False) -> dict[str, bytes]:
        """What is to be kept now, by part."""
        found = {
            "moments": self._moments.state(with_past=False),
            "health": self._health.state(),
            "counts": self._counts.state(),
        }
        if with_past or self._clock() - self._kept_s >= PAST_EVERY_S:
            self._kept_s = self._clock()
            found["past"] = self._moments.past()
        return found

    def restore(self, load: Load) -> None:
        """Go on where another process of this run was."""
        if moments := load("moments"):
            self._moments.restore(moments, load("past") or b"")
        if health := load("health"):
            self._health.restore(health)
        self._counts = Counts(load("counts") or b"", self.camera.places)

    def begin_watch(self, load: Load) -> list[LiveEvent]:
        """Go on from an earlier run, whose events are over; only what was learned counts on."""
        self.restore(load)
        self._counts = Counts(places=self.camera.places)
        return [*self._moments.begin_watch(), *self._health.begin_watch()]
