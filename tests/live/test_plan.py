"""One config for all cameras, and what each camera's reader is told."""

from pathlib import Path

import msgspec

from live.plan import reader_options, watch_config
from live.settings import Camera, Settings, Watched
from pipeline.build import make_plan
from pipeline.config import Config, load_config
from pipeline.machine import core_count
from stages.decode.live.options import LiveOptions

DOOR = Camera(name="door", labels=("dog", Watched(label="cat", threshold=0.7)), clip_seconds=3.0, modalities=("image",))
YARD = Camera(name="yard", labels=("cat", "siren"), fps=4.0, modalities=("audio",), record=True)


def names(words: tuple[str, ...]) -> tuple[str, ...]:
    return words


def test_the_config_has_room_for_every_camera() -> None:
    config = watch_config(Config(), Settings(cameras=(DOOR, YARD)), names)
    assert (config.clips.seconds, config.clips.fps) == (3.0, 8.0)
    assert config.modalities == ("image", "audio")
    assert config.labels.words == ("dog", "cat", "siren")
    assert config.stages["classify"]["labels"] == [["dog", "cat"], ["cat", "siren"]]
    assert config.queue.slots >= 6
    many = Camera(name="many", labels=tuple(f"word {number}" for number in range(20)))
    assert watch_config(Config(), Settings(cameras=(DOOR, many)), names).labels.top_k == 20


def test_what_is_to_be_found_is_told_for_each_camera_and_looked_for_at_any() -> None:
    found = msgspec.structs.replace(DOOR, find=("red car",))
    mixed = watch_config(load_config("watch"), Settings(cameras=(found, YARD)), names)
    assert mixed.stages["classify"]["find"] == [["red car"], []]
    assert (mixed.follow.find, mixed.follow.chosen) == (("red car",), "all"), "a detector looks for labels, too"
    assert mixed.stages["track"]["which"] == "auto"
    alone = watch_config(load_config("watch"), Settings(cameras=(found,)), names)
    assert alone.follow.chosen == "found"


def test_the_bundled_settings_make_a_plan_in_which_the_newest_clip_wins() -> None:
    plan = make_plan(watch_config(load_config("watch"), Settings(cameras=(DOOR, YARD)), names), 2)
    assert {group.name: group.latest for group in plan.groups} == {"sense": True, "label": True, "track": False}
    assert {group.workers for group in plan.groups if group.latest} == {max(1, min(8, core_count() // 2))}
    assert {"image_embedding", "audio_embedding", "signals"} <= plan.shared


def test_a_reader_is_told_what_it_must_know_and_keeps_packets_only_to_record() -> None:
    plan = make_plan(watch_config(load_config("watch"), Settings(cameras=(DOOR, YARD)), names), 2)
    for camera in (DOOR, YARD):
        options = reader_options(camera, "rtsp://me:secret@cam/1", 17, Path("/run/cameras/x"))
        made = msgspec.convert(plan.reader_options | options, LiveOptions)
        assert made.clip_ns == round(camera.clip_seconds * 1e9)
        assert made.modalities == camera.modalities
        assert (made.feed.url, made.feed.zero_ns) == ("rtsp://me:secret@cam/1", 17)
        assert (made.feed.keep_s > camera.longest_s) == camera.record
