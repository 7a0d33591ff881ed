"""What an earlier watch of a camera has learned is of use to the next one; its events are over."""

import msgspec

from live.camera_events import CameraEvents
from tests.live.records import camera, clip

SECONDS = 600.0


def test_the_next_watch_knows_what_is_usual_and_goes_on_with_no_event() -> None:
    events = CameraEvents(camera("dog"))
    told = []
    for index in range(40):
        measures = {"level_dbfs": -35.0, "peak_dbfs": -20.0, "brightness": 90.0, "spread": 40.0, "sharpness": 30.0}
        told += events.add(clip(index, seconds=SECONDS, measures=measures, dog=0.9))
    assert [(event.name, event.state) for event in told] == [("dog", "open")]
    kept = events.states(with_past=True)
    before = msgspec.msgpack.decode(kept["health"])
    again = CameraEvents(camera("dog"))
    over = again.begin_watch(kept.get)
    assert [(event.name, event.state) for event in over] == [("dog", "closed")]
    after = msgspec.msgpack.decode(again.states()["health"])
    learned = [name for name in before if name != "seen"]
    assert {name: after[name] for name in learned} == {name: before[name] for name in learned}
    fresh = msgspec.msgpack.decode(CameraEvents(camera("dog")).states()["health"])
    assert before["microphone_silent"] != fresh["microphone_silent"], "something was learned"
    opened = again.add(clip(0, seconds=2.0, dog=0.9))
    assert [(event.name, event.state) for event in opened] == [("dog", "open")]
