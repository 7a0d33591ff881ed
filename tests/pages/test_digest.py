"""A recording in few stretches keeps its likeliest labels, each at its best moment."""

from pages.digest import FAINT, digest
from pages.recording import ERROR, RESULT, Recording
from pipeline.result import ClipRecord
from tests.pages.records import clip, label


def tree_of(records: list[ClipRecord]) -> dict[str, object]:
    recording = Recording("a.mp4")
    for record in records:
        recording.add(record)
    return recording.tree()


def test_a_short_source_keeps_each_clip() -> None:
    small = digest(tree_of([clip("a.mp4", number, [label("dog", 0.1 * number, image=0.5)]) for number in range(6)]))
    assert small["words"] == ["dog"]
    assert small["clips"]["start"] == [0, 2000, 4000, 6000, 8000, 10000]
    assert small["labels"]["probability"] == [100, 200, 300, 400, 500], "what nobody would see is left out"
    assert small["labels"]["image"] == [500] * 5
    assert small["peaks"] == [["dog", 500]]


def test_a_long_source_keeps_the_best_of_each_stretch() -> None:
    def at(number: int) -> ClipRecord:
        return clip("a.mp4", number, [label("dog", 0.9 if number == 777 else 0.4, image=0.3), label("rain", 0.2)])

    small = digest(tree_of([at(number) for number in range(1000)]), stretches=10)
    clips, labels = small["clips"], small["labels"]
    assert clips["start"] == [200_000 * number for number in range(10)]
    assert clips["end"] == [200_000 * (number + 1) for number in range(10)]
    dogs = [labels["probability"][place] for place, word in enumerate(labels["word"]) if small["words"][word] == "dog"]
    assert dogs == [400] * 7 + [900] + [400] * 2
    assert small["weights"]["image"] == [400] * 10
    assert small["peaks"] == [["dog", 900]], "rain is never probable"


def test_the_labels_that_last_are_shown() -> None:
    labels = [label(f"word {number}", 0.9 if number >= 3 else 0.2) for number in range(8)]
    labels[0] = label("word 0", FAINT / 2000)
    small = digest(tree_of([clip("a.mp4", 0, labels), clip("a.mp4", 1, labels[:4])]), lanes=3)
    assert small["words"] == ["word 3", "word 4", "word 5"]


def test_what_failed_is_seen_beside_what_did_not() -> None:
    failed = ClipRecord(source="a.mp4", epoch=0, clip=501, start_s=1002, end_s=1004, error="it hung")
    records = [clip("a.mp4", number, [label("dog", 0.5)]) for number in range(1000) if number != 501]
    small = digest(tree_of([*records[:501], failed, *records[501:]]), stretches=10)
    states = dict(
        zip(zip(small["clips"]["start"], small["clips"]["end"], strict=True), small["clips"]["state"], strict=True)
    )
    assert states[1_002_000, 1_004_000] == ERROR
    assert list(states.values()).count(RESULT) == 10
    assert small["clips"]["start"] == sorted(small["clips"]["start"])
