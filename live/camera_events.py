"""All events of one camera, and everything that is needed to go on with them in another process."""

from collections.abc import Callable

from live.event import LiveEvent
from live.moments import Moments
from live.settings import Camera
from pipeline.result import ClipRecord


class CameraEvents:
    """Passes each record to those who make events of it."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._moments = Moments(camera)

    def add(self, record: ClipRecord) -> list[LiveEvent]:
        return self._moments.add(record)

    def connection(self, state: str, text: str) -> list[LiveEvent]:
        return []

    def quiet(self, waited_s: float) -> list[LiveEvent]:
        """Events that are over although no record has come for so long."""
        return self._moments.quiet(waited_s)

    def configure(self, camera: Camera) -> list[LiveEvent]:
        self.camera = camera
        return self._moments.configure(camera)

    def stop(self) -> list[LiveEvent]:
        return self._moments.stop()

    def states(self) -> dict[str, bytes]:
        """What must be kept, by part."""
        return {"moments": self._moments.state()}

    def restore(self, state: Callable[[str], bytes | None]) -> None:
        """Go on from what was kept of each part."""
        if (body := state("moments")) is not None:
            self._moments.restore(body)
