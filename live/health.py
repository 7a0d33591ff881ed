"""The health of a camera and of its labels, as events: each state has a name, evidence, and hysteresis."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from live.event import LiveEvent
from live.health_checks import Bad, Clock, Constant, Cover, Frozen, HealthOptions, Silence, Verdict
from live.running import Running, begin, event_id, utc_text
from live.seen import NEARLY_S, Seen
from live.settings import Camera
from pipeline.result import ClipRecord

LOST = "camera_lost"


class _Since(msgspec.Struct):
    """How long one state has been bad, and then good again."""

    bad_s: float = 0.0
    good_s: float = 0.0
    running: Running | None = None
    """From its first bad clip; told once it has been bad for long enough."""


class _Memory(msgspec.Struct, kw_only=True):
    seen: Seen = msgspec.field(default_factory=Seen)
    microphone_silent: Silence = msgspec.field(default_factory=Silence)
    lens_covered: Cover = msgspec.field(default_factory=Cover)
    picture_frozen: Frozen = msgspec.field(default_factory=Frozen)
    engine_constant: Constant = msgspec.field(default_factory=Constant)
    clock_wrong: Clock = msgspec.field(default_factory=Clock)
    since: dict[str, _Since] = {}
    lost: Running | None = None


CHECKS = ("microphone_silent", "lens_covered", "picture_frozen", "engine_constant", "clock_wrong")
Monotonic = Callable[[], float]


class Health:
    """The states of one camera."""

    def __init__(self, camera: Camera, options: HealthOptions | None = None, clock: Monotonic = time.monotonic) -> None:
        self.options = options or HealthOptions()
        self._camera, self._clock = camera.name, clock
        self._memory = _Memory(since={name: _Since() for name in CHECKS})

    def add(self, record: ClipRecord) -> list[LiveEvent]:
        """The events that begin or are over with this record."""
        memory, told = self._memory, []
        if not record.is_result or memory.seen.has(record):
            return []
        memory.seen.note(record)
        for name in CHECKS:
            verdict: Verdict = getattr(memory, name).look(record, self.options)
            told += self._judge(name, verdict, record)
        return told

    def connection(self, state: str, text: str) -> list[LiveEvent]:
        """The camera is "lost" or "refused" (text: why), or "live" again."""
        lost = self._memory.lost
        if state in ("lost", "refused") and lost is None:
            lost = self._memory.lost = self._lost(text)
            return [lost.event("open")]
        if state == "live" and lost is not None:
            self._memory.lost = None
            lost.end_s = self._clock()
            return [lost.event("closed")]
        return []

    def stop(self) -> list[LiveEvent]:
        """The camera is no longer watched: all its states are over."""
        told = [of for since in self._memory.since.values() for of in _closed(since)]
        lost, self._memory.lost = self._memory.lost, None
        if lost is not None:
            lost.end_s = self._clock()
            told.append(lost.event("closed"))
        return told

    def begin_watch(self) -> list[LiveEvent]:
        """A new watch begins, whose clips count from 0: all states are over, and what is usual stays known."""
        told = self.stop()
        self._memory.seen = Seen()
        return told

    def state(self) -> bytes:
        """Everything that a new `Health` needs to go on where this one is."""
        return msgspec.msgpack.encode(self._memory)

    def restore(self, state: bytes) -> None:
        """Go on from there. Raises: msgspec.DecodeError: it is not such a state."""
        self._memory = msgspec.msgpack.decode(state, type=_Memory)
        for name in CHECKS:
            self._memory.since.setdefault(name, _Since())

    def _judge(self, name: str, verdict: Verdict, record: ClipRecord) -> list[LiveEvent]:
        since, length_s = self._memory.since[name], record.end_s - record.start_s
        if verdict is None:
            return []
        if not isinstance(verdict, Bad):
            return self._good(since, length_s)
        since.good_s = 0.0
        since.bad_s = max(since.bad_s + length_s, verdict.lasts_s)
        if since.running is None:
            since.running = begin(record, "health", name)
        event = since.running
        event.extend(record)
        event.text, event.evidence = verdict.text, verdict.evidence
        if event.told or since.bad_s < verdict.after_s - NEARLY_S:
            return []
        event.told = True
        return [event.event("open")]

    def _good(self, since: _Since, length_s: float) -> list[LiveEvent]:
        since.good_s += length_s
        is_over = since.running is None or not since.running.told or since.good_s >= self.options.back_s - NEARLY_S
        return _closed(since) if is_over else []

    def _lost(self, text: str) -> Running:
        now, seconds = datetime.now(UTC), self._clock()
        return Running(
            id=event_id(self._camera, now, "health", LOST, -1),
            camera=self._camera,
            kind="health",
            name=LOST,
            start=utc_text(now),
            start_s=seconds,
            end_s=seconds,
            clip=-1,
            epoch=0,
            labels_version=1,
            clock="arrival",
            text=text,
            evidence={"connection": text},
        )


def _closed(since: _Since) -> list[LiveEvent]:
    event, since.running = since.running, None
    since.bad_s = since.good_s = 0.0
    return [event.event("closed")] if event is not None and event.told else []
