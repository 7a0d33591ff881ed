"""The fold over clips: ids, gaps, epochs, labels, and things that must not change the tracks."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.arrays import Array
from pipeline.clip import Clip, ClipInfo, LiveFacts, Reuse
from pipeline.places import Places
from pipeline.stage import Budget, Resources, RunSettings
from stages.boxes import BoxKind
from stages.colours import NAMES
from stages.track.paths import within
from stages.track.stage import TrackStage
from stages.track.state import TrackState, decode_state
from stages.track.watch import TrackWatch
from stages.words.box_names import box_names
from stages.words.labels import LABELS_FILE, LabelSet, LabelSide
from stages.words.versions import LabelVersions
from stages.words.word import words_of

SECOND = 1_000_000_000
STEP = SECOND // 8

Row = tuple[int, float, float, float, float, float]
"""time_ns, x0, y0, x1, y1, score."""


def stage() -> TrackStage:
    return TrackStage(TrackStage.Options(), RunSettings(), Budget())


def clip_of(rows: Sequence[Row], start_ns: int, end_ns: int, epoch: int = 0, **more: Any) -> Clip:
    boxes = np.array([(0, *row[1:]) for row in rows], np.float32).reshape(-1, 6)
    times = np.array([row[0] for row in rows], np.int64)
    info = ClipInfo("a.mp4", 0, 0, start_ns, end_ns, epoch=epoch)
    return Clip(info, {"boxes": boxes, "box_times_ns": times, **more})


def test_zones_and_lines_are_counted_over_clips_and_movement_is_told() -> None:
    settings = RunSettings(
        zones={"left": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))}, lines={"gate": ((0.5, 0.0), (0.5, 1.0))}
    )
    track, state, told = TrackStage(TrackStage.Options(), settings, Budget()), b"", []
    rows = [(n * STEP, 10.0 + 5 * n, 20.0, 50.0 + 5 * n, 80.0, 0.9) for n in range(32)]
    for start in (0, 2 * SECOND):
        clip = clip_of([row for row in rows if start <= row[0] < start + 2 * SECOND], start, start + 2 * SECOND)
        sized = ClipInfo("a.mp4", 0, 0, start, start + 2 * SECOND, width=200, height=100)
        state, outputs = track.update(state, Clip(sized, clip.arrays))
        told.append(outputs)
    assert [record["tracks"][0]["movement"].word for record in told] == ["moving right", "moving right"]
    first, second = (record["zones"][0] for record in told)
    assert (first.entered, first.left, second.entered, second.left) == (1, 0, 0, 1)
    assert second.visits[0].since_s == first.visits[0].since_s
    assert second.visits[0].left
    assert [(each.way, each.track) for record in told for each in record["crossings"]] == [("in", 1)]
    assert decode_state(state).known.keys() == {1}


def test_who_was_there_when_everything_came_to_rest_is_there_when_something_moves_again() -> None:
    everywhere = Places({"all": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))})
    track, state, told = stage(), b"", []
    for start, still_ns in ((0, 0), (60 * SECOND, 58 * SECOND), (64 * SECOND, 0)):
        live = LiveFacts(wall_ns=0, captured_ns=0, still_ns=still_ns)
        rows = [(start + n * STEP, 10.0, 20.0, 50.0, 80.0, 0.9) for n in range(16)]
        info = ClipInfo("door", 0, 0, start, start + 2 * SECOND, width=200, height=100, live=live, places=everywhere)
        state, outputs = track.update(state, Clip(info, clip_of(rows, start, start + 2 * SECOND).arrays))
        told.append((outputs["tracks"][0]["id"], outputs["zones"][0].visits[-1].dwell_s))
    assert [round(dwell_s) for _, dwell_s in told] == [2, 62, 2], "then nobody knows what was there for two seconds"
    assert [number for number, _ in told[:2]] == [1, 1]


def test_who_stands_still_is_told_in_clips_that_show_the_same_at_steps_that_bridge_no_gap() -> None:
    track, state, ids, steps = stage(), b"", [], set()
    for start in range(0, 40 * SECOND, 2 * SECOND):
        rows = [(start + n * STEP, 10.0, 20.0, 50.0, 80.0, 0.9) for n in range(16)]
        reuse = Reuse(0, 0) if start else None
        info = ClipInfo("door", 0, 0, start, start + 2 * SECOND, width=200, height=100, reuse=reuse)
        state, outputs = track.update(state, Clip(info, clip_of(rows, start, start + 2 * SECOND).arrays))
        (told,) = outputs["tracks"]
        ids.append(told["id"])
        times_s = [row[0] for row in told["boxes"]]
        steps |= {round(after - before, 3) for before, after in pairwise(times_s)} if start else set()
    assert set(ids) == {1}
    assert 0.125 < max(steps) <= 0.5


def test_nothing_is_counted_unless_asked() -> None:
    _, outputs = stage().update(b"", clip_of([(0, 0, 0, 9, 9, 0.9)], 0, SECOND))
    assert (outputs["zones"], outputs["crossings"]) == (None, None)


def run(rows: Sequence[Row], clip_ns: int = 2 * SECOND, stop_ns: int = 0) -> list[list[dict[str, Any]]]:
    """Tracks of every clip of a source."""
    track, state, found = stage(), b"", []
    for start in range(0, max([stop_ns, *(row[0] + 1 for row in rows)]), clip_ns):
        inside = [row for row in rows if start <= row[0] < start + clip_ns]
        state, outputs = track.update(state, clip_of(inside, start, start + clip_ns))
        found.append(outputs["tracks"])
    return found


def whole(clips: list[list[dict[str, Any]]]) -> dict[int, list[list[float]]]:
    """All boxes of every track, over all clips."""
    tracks: dict[int, list[list[float]]] = {}
    for clip in clips:
        for track in clip:
            tracks.setdefault(track["id"], []).extend(track["boxes"])
    return tracks


def seen(clips: list[list[dict[str, Any]]]) -> dict[int, list[list[float]]]:
    """The same without what was filled in."""
    return whole(
        [
            [t | {"boxes": [row for i, row in enumerate(t["boxes"]) if i not in t["filled"]]} for t in clip]
            for clip in clips
        ]
    )


def walker(times: Sequence[int], x: float, y: float, speed: float, size: float = 40, score: float = 0.9) -> list[Row]:
    return [(i * STEP, x + speed * i / 8, y, x + speed * i / 8 + size, y + 2 * size, score) for i in times]


def test_one_object_keeps_its_id_over_ten_clips() -> None:
    tracks = whole(run(walker(range(160), 10, 20, 25)))
    assert list(tracks) == [1]
    assert len(tracks[1]) == 160
    last = tracks[1][-1]
    assert last[0] == round(159 * STEP / 1e9, 3)
    assert np.allclose(last[1:], [506.9, 20, 546.9, 100], atol=2)


def test_boxes_are_rounded_to_a_tenth_of_a_pixel_and_a_millisecond() -> None:
    for row in whole(run(walker(range(9), 10.123, 20.456, 25.7)))[1]:
        assert [round(row[0], 3), *(round(value, 1) for value in row[1:])] == row


def test_boxes_are_clipped_to_the_picture() -> None:
    info = ClipInfo("a.mp4", 0, 0, 0, 1, width=100, height=50)
    assert within((-5.0, 10.0, 120.0, 60.0), info) == (0, 10, 100, 50)


def test_two_objects_that_pass_each_other_keep_their_ids() -> None:
    rows = walker(range(40), 0, 0, 60) + walker(range(40), 300, 30, -60)
    tracks = whole(run(rows))
    assert len(tracks) == 2
    ends = {id: boxes[-1][1] > boxes[0][1] for id, boxes in tracks.items()}
    assert sorted(ends.values()) == [False, True]
    for boxes in tracks.values():
        steps = np.diff([row[1] for row in boxes])
        assert (np.sign(steps[5:]) == np.sign(steps[-1])).all()


@pytest.mark.parametrize(("gap", "ids"), [(4, [1]), (12, [1]), (24, [1, 2])])
def test_a_track_survives_a_gap_of_up_to_two_seconds(gap: int, ids: list[int]) -> None:
    times = [*range(16), *range(16 + gap, 32 + gap)]
    assert sorted(whole(run(walker(times, 10, 20, 25)))) == ids


def test_a_track_is_told_from_its_first_box_in_the_clip() -> None:
    rows = walker(range(14, 26), 10, 20, 25)
    assert [row[0] for row in whole(run(rows))[1]] == [i / 8 for i in range(16, 26)], "confirmed in the second clip"
    assert [row[0] for row in whole(run(rows, 4 * SECOND))[1]] == [i / 8 for i in range(14, 26)]


def test_short_gaps_are_filled_in_a_straight_line_and_marked_also_after_a_clip_border() -> None:
    frames = np.arange(48, dtype=np.int64) * STEP
    gaps = [6, 7, 16, 17, 30, 31, 32, 33, 34, 35, 36]
    rows = walker([i for i in range(48) if i not in gaps], 10, 20, 80)
    track, state, told = stage(), b"", []
    for start in (0, 2 * SECOND, 4 * SECOND):
        within_clip = frames[(frames >= start) & (frames < start + 2 * SECOND)]
        inside = [row for row in rows if start <= row[0] < start + 2 * SECOND]
        state, outputs = track.update(state, clip_of(inside, start, start + 2 * SECOND, detect_times_ns=within_clip))
        told.append(outputs["tracks"])
    filled = [t["boxes"][i] for clip in told for t in clip for i in t["filled"]]
    assert [row[0] for row in filled] == [i / 8 for i in (6, 7, 16, 17)], "0.75 s and more are not filled"
    assert np.allclose([row[1] for row in filled], [10 + 10 * i for i in (6, 7, 16, 17)], atol=3)
    assert len(whole(told)[1]) == 48 - 7


def test_a_flash_of_one_or_two_frames_is_not_a_track_and_uses_no_id() -> None:
    rows = walker(range(2), 500, 300, 0) + walker(range(8, 20), 10, 20, 25)
    assert list(whole(run(rows))) == [1]


def test_weak_detections_start_no_track_but_continue_one() -> None:
    assert whole(run(walker(range(20), 10, 20, 25, score=0.3))) == {}
    rows = walker(range(8), 10, 20, 25) + walker(range(8, 20), 10, 20, 25, score=0.3)
    assert len(whole(run(rows))[1]) == 20


def test_a_part_of_an_object_starts_no_track_of_its_own() -> None:
    rows = walker(range(30), 100, 100, 25, size=60)
    arm = [(t, x0 + 5, y0 + 20, x0 + 20, y0 + 60, 0.8) for t, x0, y0, *_ in rows]
    assert list(whole(run(rows + arm))) == [1]


def test_a_new_epoch_ends_all_tracks_but_ids_continue_to_count() -> None:
    track, state = stage(), b""
    for epoch in (0, 1):
        rows = walker(range(8), 10, 20, 25)
        state, outputs = track.update(state, clip_of(rows, 0, SECOND, epoch=epoch))
        assert [t["id"] for t in outputs["tracks"]] == [epoch + 1]


def test_a_track_ends_during_clips_without_boxes() -> None:
    track, state = stage(), b""
    state, _ = track.update(state, clip_of(walker(range(8), 10, 20, 25), 0, SECOND))
    assert len(decode_state(state).tracks) == 1
    state, outputs = track.update(state, clip_of([], 9 * SECOND, 10 * SECOND))
    assert (outputs["tracks"], decode_state(state).tracks) == ([], ())


def test_state_of_another_version_is_refused() -> None:
    import msgspec

    with pytest.raises(ValueError, match="version 99"):
        decode_state(msgspec.msgpack.encode(TrackState(version=99)))


def test_state_stays_small_in_a_crowd() -> None:
    random = np.random.default_rng(0)
    rows = [
        (i * STEP, x, y, x + 20, y + 20, 0.9)
        for i in range(64)
        for x, y in random.uniform(0, 2000, (32, 2)).round().tolist()
    ]
    track, state = stage(), b""
    for start in range(0, 8 * SECOND, SECOND):
        inside = [row for row in rows if start <= row[0] < start + SECOND]
        state, _ = track.update(state, clip_of(inside, start, start + SECOND))
    assert len(decode_state(state).tracks) <= 256
    assert len(state) < 100_000


def label_set(folder: Path) -> LabelSet:
    side = LabelSide(
        labels=np.eye(3)[:2].astype(np.float32),
        background=np.eye(3).astype(np.float32),
        kept=np.array([[0, 1, 1], [1, 0, 1]], np.float32),
        temperature=0.1,
        bias=0.0,
    )
    background = ("dog", "bus", "forest")
    names = box_names(words_of(("dog", "bus")), background, side)
    made = LabelSet(("dog", "bus"), {"image": side}, background, box_names=names)
    made.save(folder / LABELS_FILE)
    return made


def named(folder: Path, vector: Array) -> list[dict[str, Any]]:
    label_set(folder)
    track = TrackStage(TrackStage.Options(), RunSettings(directory=str(folder)), Budget())
    track.open(Resources())
    rows = walker(range(8), 10, 20, 25)
    crops = {"box_embeddings": vector[None].astype(np.float16), "box_crops": np.array([5])}
    state, outputs = track.update(b"", clip_of(rows, 0, SECOND, **crops))
    first: list[dict[str, Any]] = outputs["tracks"]
    more = walker(range(8, 16), 10, 20, 25)
    _, outputs = track.update(state, clip_of(more, SECOND, 2 * SECOND))
    assert [t["label"] for t in outputs["tracks"]] == [t["label"] for t in first]
    return first


def test_a_track_is_named_by_its_crops_and_keeps_its_name(tmp_path: Path) -> None:
    (track,) = named(tmp_path, np.array([0.1, 0.99, 0.05]))
    assert track["label"] == "bus"
    assert track["probability"] > 0.9
    (view,) = track["evidence"].views
    assert (track["evidence"].by, view.time_s, round(view.similarity, 2)) == ("picture", 0.625, 0.99)
    assert view.box == tuple(track["boxes"][5][1:])


def test_a_track_that_fits_no_label_has_none(tmp_path: Path) -> None:
    (track,) = named(tmp_path, np.array([0.0, 0.0, 1.0]))
    assert (track["label"], track["probability"]) == (None, None)


def test_a_track_is_never_named_by_a_label_that_is_no_thing(tmp_path: Path) -> None:
    """The looks fit "forest" only, an everyday word for a place."""
    named(tmp_path, np.array([0.0, 0.0, 1.0]))
    names = LabelSet.load(tmp_path / LABELS_FILE).box_names
    assert names is not None
    assert names.names == ("dog", "bus")


def test_without_labels_or_crops_a_track_has_no_name() -> None:
    assert {t["label"] for clip in run(walker(range(8), 10, 20, 25)) for t in clip} == {None}


def test_the_process_that_tracks_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np; sys.path.insert(0, '.')\n"
        "from tests.stages.track import test_tracks as t\n"
        "assert t.run(t.walker(range(8), 10, 20, 25))\n"
        "assert not {'torch', 'transformers', 'onnxruntime', 'cv2'} & set(sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


@st.composite
def scenes(draw: st.DrawFn) -> list[Row]:
    """Objects that move in straight lines, detected with gaps, jitter and weak scores; and false alarms."""
    seed = draw(st.integers(0, 10_000))
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for _ in range(draw(st.integers(1, 6))):
        x, y, vx, vy = random.uniform(0, 600), random.uniform(0, 400), *random.normal(0, 60, 2)
        size = random.uniform(15, 80)
        begin = int(random.integers(0, 3)) * 8
        for i in range(begin, begin + int(random.integers(3, 60))):
            if random.random() < 0.8:
                cx, cy = x + vx * i / 8 + random.normal(0, 2), y + vy * i / 8 + random.normal(0, 2)
                rows.append((i * STEP, cx, cy, cx + size, cy + size, float(random.uniform(0.2, 1))))
    for _ in range(draw(st.integers(0, 20))):
        x, y, i = random.uniform(0, 600), random.uniform(0, 400), int(random.integers(0, 80))
        rows.append((i * STEP, x, y, x + 30, y + 30, float(random.uniform(0.2, 1))))
    return rows


@settings(max_examples=40, deadline=None)
@given(scenes(), st.sampled_from([STEP, SECOND // 2, SECOND, 5 * SECOND]))
def test_clip_length_does_not_change_the_tracks(rows: list[Row], clip_ns: int) -> None:
    """But for what needs the whole clip: boxes from before a track was confirmed, and filled ones."""
    short, long = seen(run(rows, clip_ns)), seen(run(rows, 1000 * SECOND))
    assert list(short) == list(long)
    for id, boxes in short.items():
        assert boxes == long[id][-len(boxes) :]


@settings(max_examples=40, deadline=None)
@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_detections_does_not_change_the_tracks(rows: list[Row], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert run(shuffled) == run(rows)


def test_ids_given_at_the_same_moment_do_not_depend_on_the_order_of_detections() -> None:
    rows = walker(range(8), 10, 20, 25) + walker(range(8), 400, 200, -25)
    assert run(rows) == run(rows[::-1])


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_ids_are_never_reused_and_a_track_is_in_one_place_at_a_time(rows: list[Row]) -> None:
    track, state, seen, highest = stage(), b"", {}, 0
    for start in range(0, 12 * SECOND, SECOND):
        inside = [row for row in rows if start <= row[0] < start + SECOND]
        epoch = start // (4 * SECOND)
        state, outputs = track.update(state, clip_of(inside, start, start + SECOND, epoch=epoch))
        ids = [t["id"] for t in outputs["tracks"]]
        assert len(set(ids)) == len(ids)
        for t in outputs["tracks"]:
            assert seen.setdefault(t["id"], epoch) == epoch, "an id of an earlier epoch came back"
            assert t["id"] <= highest or t["id"] not in ids[: ids.index(t["id"])]
            times = [row[0] for row in t["boxes"]]
            assert times == sorted(set(times))
        highest = max([highest, *ids])


@settings(max_examples=30, deadline=None)
@given(scenes())
def test_a_retry_with_the_same_state_and_clip_has_the_same_result(rows: list[Row]) -> None:
    track, state = stage(), b""
    for start in range(0, 10 * SECOND, 2 * SECOND):
        clip = clip_of([row for row in rows if start <= row[0] < start + 2 * SECOND], start, start + 2 * SECOND)
        first, second, elsewhere = track.update(state, clip), track.update(state, clip), stage().update(state, clip)
        assert first == second == elsewhere
        state = first[0]


def detected(rows: Sequence[Row], kind: BoxKind, names: Sequence[str] = ()) -> dict[str, Any]:
    return {"box_kinds": np.full(len(rows), kind, np.uint8), "box_names": list(names) or [""] * len(rows)}


def test_boxes_of_a_network_need_evidence_and_are_named_by_it() -> None:
    strong, weak = walker(range(16), 10, 20, 25, score=0.95), walker(range(16), 300, 20, 25, score=0.72)
    names = ["dog"] * 10 + ["cat"] * 6 + ["bus"] * 16
    clip = clip_of(strong + weak[:4], 0, 2 * SECOND, **detected(strong + weak[:4], BoxKind.NETWORK, names[:20]))
    _, outputs = stage().update(b"", clip)
    (found,) = outputs["tracks"]
    assert (found["label"], found["kind"], len(found["boxes"])) == ("dog", "network", 16)
    assert found["probability"] == pytest.approx(10 * 0.95 / 16)


def test_a_track_is_called_by_a_colour_that_was_measured() -> None:
    rows = walker(range(16), 10, 20, 25, score=0.95)
    colours = np.zeros((16, len(NAMES)), np.float16)
    colours[[3, 9], NAMES.index("red")], colours[[3, 9], NAMES.index("black")] = 0.7, 0.3
    clip = clip_of(rows, 0, 2 * SECOND, **detected(rows, BoxKind.NETWORK, ["bus"] * 16), box_colours=colours)
    for find, label in ((("green bus", "red bus"), "red bus"), (("green bus",), None)):
        finding = TrackStage(TrackStage.Options(), RunSettings(find=find, follow="found"), Budget())
        assert [track["label"] for track in finding.update(b"", clip)[1]["tracks"]] == ([label] if label else [])


def test_a_network_takes_over_what_motion_found_and_motion_bridges_what_it_misses() -> None:
    rows = walker(range(40), 10, 20, 25)
    kinds = [BoxKind.NETWORK if 10 <= i < 20 or i > 30 else BoxKind.MOTION for i in range(40)]
    clip = clip_of(rows, 0, 5 * SECOND, box_kinds=np.array(kinds, np.uint8))
    _, outputs = stage().update(b"", clip)
    (found,) = outputs["tracks"]
    assert (found["id"], found["kind"], len(found["boxes"]), found["filled"]) == (1, "network", 40, [])


def test_a_box_from_motion_inside_one_of_a_network_starts_no_track() -> None:
    person = walker(range(16), 100, 100, 5, size=60, score=0.95)
    arm = [(t, x0 + 5, y0 + 20, x0 + 20, y0 + 60, 0.8) for t, x0, y0, *_ in person]
    kinds = np.array([BoxKind.NETWORK] * 16 + [BoxKind.MOTION] * 16, np.uint8)
    _, outputs = stage().update(b"", clip_of(person + arm, 0, 2 * SECOND, box_kinds=kinds))
    assert [t["id"] for t in outputs["tracks"]] == [1]


def test_only_what_was_asked_for_is_told_whatever_named_it(tmp_path: Path) -> None:
    label_set(tmp_path)
    run_settings = RunSettings(directory=str(tmp_path), find=("Dog", "bus"), follow="found")
    track = TrackStage(TrackStage.Options(), run_settings, Budget())
    track.open(Resources())
    dog, cat = walker(range(16), 10, 20, 25, score=0.95), walker(range(16), 300, 20, 25, score=0.95)
    moving = walker(range(16), 600, 20, 25)
    rows = dog + cat + moving
    kinds = np.array([BoxKind.NETWORK] * 32 + [BoxKind.MOTION] * 16, np.uint8)
    looks = {"box_embeddings": np.array([[0.1, 0.99, 0.05]], np.float16), "box_crops": np.array([40])}
    names = ["dog"] * 16 + ["cat"] * 16 + [""] * 16
    _, outputs = track.update(b"", clip_of(rows, 0, 2 * SECOND, box_kinds=kinds, box_names=names, **looks))
    assert [(t["label"], t["kind"]) for t in outputs["tracks"]] == [("dog", "network"), ("bus", "motion")]


def test_a_track_of_a_camera_is_told_under_its_id_once_its_thing_is_to_be_found(tmp_path: Path) -> None:
    made, versions = label_set(tmp_path), LabelVersions(tmp_path)
    for version, find in enumerate([(), ("dog",), ("bus",)], 1):
        replace(made, find=find).save(versions.path(3, version))
    track, state, told = TrackWatch(TrackWatch.Options(), RunSettings(directory=str(tmp_path)), Budget()), b"", []
    track.open(Resources())
    looks = {"box_embeddings": np.array([[0.1, 0.99, 0.05]], np.float16), "box_crops": np.array([5])}
    for number, version in enumerate([2, 3, 1]):
        start = 2 * number * SECOND
        clip = clip_of(walker(range(16 * number, 16 * number + 16), 10, 20, 25), start, start + 2 * SECOND, **looks)
        info = ClipInfo("door", 3, number, start, start + 2 * SECOND, labels_version=version)
        state, outputs = track.update(state, Clip(info, clip.arrays))
        told.append([(t["id"], t["label"]) for t in outputs["tracks"]])
    assert told == [[], [(1, "bus")], [(1, "bus")]]


def test_what_a_detector_says_of_a_place_names_a_track_until_there_is_a_crop(tmp_path: Path) -> None:
    label_set(tmp_path)
    track = TrackStage(TrackStage.Options(), RunSettings(directory=str(tmp_path)), Budget())
    track.open(Resources())
    rows = walker(range(16), 10, 20, 25, score=0.95)
    looks = np.tile(np.array([0.1, 0.99, 0.05], np.float16), (16, 1))
    clip = clip_of(rows, 0, 2 * SECOND, **detected(rows, BoxKind.NETWORK), box_vectors=looks)
    _, outputs = track.update(b"", clip)
    assert [t["label"] for t in outputs["tracks"]] == ["bus"]


def test_what_a_network_found_ends_at_a_scene_cut_and_the_next_shot_has_new_ids() -> None:
    rows = walker(range(32), 10, 20, 0, score=0.95)
    cut = np.array([16 * STEP], np.int64)
    clip = clip_of(rows, 0, 4 * SECOND, **detected(rows, BoxKind.NETWORK), cut_times_ns=cut)
    _, outputs = stage().update(b"", clip)
    assert [(t["id"], t["boxes"][0][0], t["boxes"][-1][0]) for t in outputs["tracks"]] == [
        (1, 0, 15 / 8),
        (2, 2, 31 / 8),
    ]


@pytest.mark.parametrize(("cosine", "ids"), [(0.95, [1]), (0.3, [1, 2])])
def test_a_part_that_looks_like_the_whole_starts_no_track_and_another_thing_inside_it_does(
    cosine: float, ids: list[int]
) -> None:
    whole_, part = walker(range(16), 10, 20, 0, size=60, score=0.95), walker(range(16), 15, 25, 0, size=30, score=0.9)
    looks = np.tile(np.array([1.0, 0.0], np.float16), (32, 1))
    looks[16:] = cosine, (1 - cosine**2) ** 0.5
    rows = whole_ + part
    _, outputs = stage().update(b"", clip_of(rows, 0, 2 * SECOND, **detected(rows, BoxKind.NETWORK), box_vectors=looks))
    assert [t["id"] for t in outputs["tracks"]] == ids
