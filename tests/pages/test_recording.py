"""Records become columns of small integers."""

from pages.recording import ERROR, GAP, RESULT, Recording, notes_of
from pipeline.result import Category, ClipRecord, Evidence, Label, OpenSet, Region, Relation, Track
from pipeline.status import Alternative, EventOptions, EventRecord
from tests.pages.records import clip, label, square_box, square_track


def recording(*records: ClipRecord | EventRecord, events: EventOptions | None = None) -> Recording:
    made = Recording("talk.mp4", events)
    for record in records:
        made.add(record)
    return made


def test_labels_and_evidence_are_thousandths() -> None:
    first = clip("talk.mp4", 0, [label("dog", 0.8127, image=0.9, audio=0.1), label("rain", 0.2, audio=0.4)])
    tree = recording(first, clip("talk.mp4", 1, [label("rain", 0.7)])).tree()
    assert tree["words"] == ["dog", "rain"]
    assert tree["labels"] == {
        "word": [0, 1, 1],
        "probability": [813, 200, 700],
        "image": [900, -1, -1],
        "motion": [-1, -1, -1],
        "audio": [100, 400, -1],
    }
    assert tree["weights"] == {"image": [400, -1], "motion": [-1, -1], "audio": [350, -1]}
    assert tree["clips"] == {"start": [0, 2000], "end": [2000, 4000], "state": [RESULT] * 2, "first": [0, 2]}
    assert tree["sizes"] == [[0, 320, 240]]


def test_contributions_and_bases_are_hundredths_of_log_odds() -> None:
    said = {"image": Evidence(0.9, 0.3, 0.8, 5.127), "audio": Evidence(0.1, 0.1, 0.0, 0.0)}
    records = [
        clip("talk.mp4", 0, [Label("dog", 0.7, 0.5, said, base_log_odds=-4.286), Label("cat", 0.1, 0.5)]),
        clip("talk.mp4", 1, [label("dog", 0.7, image=0.9)]),
        clip("talk.mp4", 2),
    ]
    tree = recording(*records).tree()
    assert tree["contributions"] == {"image": [513, None, None], "motion": [None] * 3, "audio": [0, None, None]}
    assert tree["bases"] == [-429, None, None]


def test_tracks_are_joined_across_clips_and_change_their_name() -> None:
    def track(name: str, probability: float, *times: float) -> Track:
        return Track(id=7, boxes=[(time, 1.4, 2.6, 30, 40) for time in times], label=name, probability=probability)

    tree = recording(
        clip("talk.mp4", 0, tracks=[track("dog", 0.9, 0.0, 1.0)]),
        clip("talk.mp4", 1, tracks=[track("dog", 0.9, 1.0, 2.0)]),
        clip("talk.mp4", 2, tracks=[track("cat", 0.2, 4.0)]),
        clip("talk.mp4", 3, tracks=[track("cat", 0.5, 6.0)]),
    ).tree()
    boxes = [value for time in (0, 1000, 2000, 4000, 6000) for value in (time, 1, 3, 30, 40)]
    assert tree["tracks"] == [{"id": 7, "names": [[0, 0, 900], [6000, 1, 500]], "boxes": boxes}]
    assert tree["words"] == ["dog", "cat"]


def test_the_tracks_of_a_stretch_are_those_of_the_page() -> None:
    records = [clip("a", index, [], [square_track(2.0 * index, 2.0, (320, 240))]) for index in range(3)]
    (track,) = recording(*records).tracks(2.0, 4.0)
    assert (track.id, track.label, len(track.boxes)) == (1, "square", 16)
    assert track.boxes[0] == (2.0, *square_box(2.0, (320, 240)))
    assert recording(*records).tracks(8.0, 10.0) == []


def test_relations_are_notes_of_their_clip() -> None:
    record = clip("talk.mp4", 0)
    record.parts["relations"] = [Relation("dog", 3, "on", "sofa", 5, 0.9, 0.0, 1.9)] * 4
    assert notes_of(record) == ["dog (3) on sofa (5)"] * 3


def test_regions_are_rows_of_clip_word_share_and_box() -> None:
    records = [clip("talk.mp4", index, [label("dog", 0.9)]) for index in range(2)]
    records[1].parts["regions"] = [Region("dog", 3.0, (1.4, 2.6, 30, 40), 0.25, 0.9)]
    assert recording(*records).tree()["regions"] == [[1, 0, 250, 1, 3, 30, 40]]


def test_events_are_those_of_the_file_else_those_of_the_clips() -> None:
    clips = [clip("talk.mp4", index, [label("dog", 0.6)]) for index in range(3)]
    assert recording(*clips).tree()["events"] == [[0, 0, 6000, 600, 600, []]]
    assert recording(*clips, events=EventOptions(enter=0.7)).tree()["events"] == []
    other = (Alternative(label="puppy", probability=0.4),)
    given = EventRecord(
        source="talk.mp4", event="big dog", start_s=1, end_s=3, probability=0.5, peak=0.7, clips=1, alternatives=other
    )
    tree = recording(*clips, given).tree()
    assert (tree["words"], tree["events"]) == (["dog", "big dog", "puppy"], [[1, 1000, 3000, 500, 700, [2]]])


def test_what_a_reader_should_know_of_a_clip_is_told_in_words() -> None:
    plain = {"source": "talk.mp4", "epoch": 0, "start_s": 0.0, "end_s": 2.0}
    cases = {
        "it broke": ClipRecord(clip=0, error="it broke", **plain),
        "a stretch without media": ClipRecord(clip=-1, gap=True, **plain),
        "no sound: it failed": ClipRecord(clip=0, absent={"audio": "failed"}, **plain),
        "category: animal › dog": ClipRecord(
            clip=0, parts={"category": Category(label="dog", share=0.9, path=["animal", "dog"])}, **plain
        ),
        "none of these labels fits": ClipRecord(
            clip=0, parts={"open_set": OpenSet(score=2, threshold=1, none_of_these=True)}, **plain
        ),
        "damaged here": ClipRecord(clip=0, corrupt_frames=2, **plain),
    }
    tree = recording(*cases.values()).tree()
    assert tree["texts"] == list(cases)
    assert tree["notes"] == [[number, number] for number in range(len(cases))]
    assert tree["clips"]["state"] == [ERROR, GAP, RESULT, RESULT, RESULT, RESULT]
    assert tree["counts"] == {"results": 4, "errors": 1, "drops": 0, "gaps": 1}


def test_a_sound_file_does_not_say_in_every_clip_that_it_has_no_picture() -> None:
    absent = {"image": "no_stream", "motion": "no_stream", "tracks": "no_stream"}
    assert recording(clip("talk.mp3", 0, absent=absent)).tree()["notes"] == []


def test_the_best_moments_are_the_middles_of_clips() -> None:
    first = clip("talk.mp4", 0, [label("dog", 0.8), label("rain", 0.2)])
    assert recording(first, clip("talk.mp4", 1, [label("rain", 0.7)])).best_moments() == [
        (0.8, 1.0, "dog"),
        (0.2, 1.0, "rain"),
        (0.7, 3.0, "rain"),
    ]
