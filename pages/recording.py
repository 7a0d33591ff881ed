"""What a page knows of one source: its records in columns of small integers, as its scripts read them.

A clip of ten hours of video takes less than two hundred bytes. Times are milliseconds, probabilities and weights
thousandths, boxes whole pixels; -1 means that there is none. Contributions and bases are hundredths of log-odds; None
means that the record does not tell.
"""

from dataclasses import dataclass
from typing import Any

from pipeline.clip import MODALITIES
from pipeline.result import ClipRecord, Track
from pipeline.sinks.hysteresis import Merger
from pipeline.status import EventOptions, EventRecord

RESULT, ERROR, DROPPED, GAP = range(4)
NAMES = {"image": "picture", "motion": "motion", "audio": "sound"}
LEAST_NAMED = 0.5
"""A track shows a label that is at least this probable, as in the labelled video."""
MOST_RELATIONS = 3
"""Relations of tracks that are told of a clip, the surest ones."""
REASONS = {
    "no_stream": "the source has none",
    "gap": "it pauses here",
    "too_short": "the clip is too short",
    "failed": "it failed",
    "not_asked": "it was not asked for",
    "no_tower": "the model has none",
    "key_frames": "only key frames were read",
}


@dataclass(frozen=True)
class Strongest:
    """The best label of a clip. clip: its place in the recording."""

    clip: int
    start_s: float
    end_s: float
    label: str
    probability: float


class Recording:
    """The records of one source, added in their order."""

    def __init__(self, source: str, events: EventOptions | None = None) -> None:
        self.source = source
        self.clips = 0
        self.end_s = 0.0
        self.model = ""
        self.size = (0, 0)
        """Width and height of the first clip that has them."""
        self.first_error = ""
        self._counts = [0, 0, 0, 0]
        self._words: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._columns: dict[str, list[int]] = {name: [] for name in ("start", "end", "state", "first")}
        self._labels: dict[str, list[int]] = {name: [] for name in ("word", "probability", *MODALITIES)}
        self._weights: dict[str, list[int]] = {name: [] for name in MODALITIES}
        self._contributions: dict[str, list[int | None]] = {name: [] for name in MODALITIES}
        self._bases: list[int | None] = []
        self._notes: dict[int, list[int]] = {}
        self._regions: list[list[int]] = []
        self._sizes: list[list[int]] = []
        self._tracks: dict[int, dict[str, Any]] = {}
        self._merger: Merger | None = Merger(source, events or EventOptions())
        self._events: list[EventRecord] = []
        self._given: list[EventRecord] = []

    def add(self, record: ClipRecord | EventRecord) -> None:
        if isinstance(record, EventRecord):
            self._given.append(record)
            return
        assert self._merger is not None, f"{self.source}: ended already"
        self._events += self._merger.add(record)
        if record.clip < 0 and not record.gap:  # a source that cannot be read has no time
            self.first_error = self.first_error or record.error or record.dropped or ""
        self._add_clip(record)
        for track in record.tracks or ():
            self._add_track(track, record.start_s)

    def events(self) -> list[EventRecord]:
        """Those that the results hold, else those of the clips; by start."""
        if self._merger is not None:
            self._events += self._merger.end()[0]
            self._merger = None
        found = self._given or self._events
        return sorted(found, key=lambda event: (event.start_s, event.end_s, event.event))

    def counts(self) -> dict[str, int]:
        results, errors, drops, gaps = self._counts
        return {"results": results, "errors": errors, "drops": drops, "gaps": gaps}

    def best_moments(self) -> list[tuple[float, float, str]]:
        """Probability, middle in seconds, and label of every label of every result."""
        found = []
        words, first = list(self._words), [*self._columns["first"], len(self._labels["word"])]
        for clip, (start, end) in enumerate(zip(self._columns["start"], self._columns["end"], strict=True)):
            for place in range(first[clip], first[clip + 1]):
                share = self._labels["probability"][place] / 1000
                found.append((share, (start + end) / 2000, words[self._labels["word"][place]]))
        return found

    def strongest(self) -> list[Strongest]:
        """The best label of each clip that has labels."""
        words, columns = list(self._words), self._columns
        first = [*columns["first"], len(self._labels["word"])]
        return [
            Strongest(
                clip,
                columns["start"][clip] / 1000,
                columns["end"][clip] / 1000,
                words[self._labels["word"][place]],
                self._labels["probability"][place] / 1000,
            )
            for clip, place in enumerate(first[:-1])
            if place < first[clip + 1]
        ]

    def tracks(self, start_s: float, end_s: float) -> list[Track]:
        """The tracks of a stretch, as the page has them: without what their names rest on."""
        words, found = list(self._words), []
        for path in self._tracks.values():
            rows = zip(*[iter(path["boxes"])] * 5, strict=True)
            boxes = [(time / 1000, *edges) for time, *edges in rows if ms(start_s) <= time < ms(end_s)]
            names = [words[word] for since, word, _ in path["names"] if since < ms(end_s)]
            if boxes:
                found.append(Track(path["id"], boxes, names[-1] if names else None))
        return found

    def tree(self) -> dict[str, Any]:
        """Everything, as plain data for JSON."""
        events = [
            [
                self._word(each.event),
                ms(each.start_s),
                ms(each.end_s),
                mille(each.probability),
                mille(each.peak),
                [self._word(other.label) for other in each.alternatives],
            ]
            for each in self.events()
        ]
        return {
            "source": self.source,
            "model": self.model,
            "end": ms(self.end_s),
            "counts": self.counts(),
            "words": list(self._words),
            "texts": list(self._texts),
            "clips": self._columns,
            "labels": self._labels,
            "weights": self._weights,
            "contributions": self._contributions,
            "bases": self._bases,
            "notes": [[clip, *texts] for clip, texts in self._notes.items()],
            "regions": self._regions,
            "sizes": self._sizes,
            "tracks": list(self._tracks.values()),
            "events": events,
        }

    def _add_clip(self, record: ClipRecord) -> None:
        state = GAP if record.gap else DROPPED if record.dropped else ERROR if record.error is not None else RESULT
        self._counts[state] += 1
        columns = self._columns
        columns["start"].append(ms(record.start_s))
        columns["end"].append(ms(record.end_s))
        columns["state"].append(state)
        columns["first"].append(len(self._labels["word"]))
        for row in record.labels or ():
            self._labels["word"].append(self._word(row.label))
            self._labels["probability"].append(mille(row.probability))
            for name in MODALITIES:
                evidence = row.evidence.get(name)
                self._labels[name].append(-1 if evidence is None else mille(evidence.probability))
                self._contributions[name].append(None if evidence is None else centi(evidence.contribution))
        self._bases.append(centi(record.labels[0].base_log_odds) if record.labels else None)
        evidence_of_first = record.labels[0].evidence if record.labels else {}
        for name in MODALITIES:
            one = evidence_of_first.get(name)
            self._weights[name].append(-1 if one is None else mille(one.weight))
        if notes := [self._texts.setdefault(text, len(self._texts)) for text in notes_of(record)]:
            self._notes[self.clips] = notes
        for region in record.regions or ():
            edges = map(round, region.box)
            self._regions.append([self.clips, self._word(region.label), mille(region.area), *edges])
        self._add_size(record)
        self.model = self.model or record.model
        self.end_s = max(self.end_s, record.end_s)
        self.clips += 1

    def _add_size(self, record: ClipRecord) -> None:
        size = [record.width, record.height]
        if all(size) and (not self._sizes or self._sizes[-1][1:] != size):
            self._sizes.append([ms(record.start_s), *size])
            self.size = self.size if all(self.size) else (record.width, record.height)

    def _add_track(self, track: Track, start_s: float) -> None:
        path = self._tracks.setdefault(track.id, {"id": track.id, "names": [], "boxes": []})
        boxes = path["boxes"]
        for time_s, *edges in track.boxes:
            if not boxes or ms(time_s) > boxes[-5]:
                boxes += [ms(time_s), *map(round, edges)]
        if track.label and (track.probability or 0.0) >= LEAST_NAMED:
            name = [self._word(track.label), mille(track.probability or 0.0)]
            if not path["names"] or path["names"][-1][1:] != name:
                path["names"].append([ms(start_s), *name])

    def _word(self, word: str) -> int:
        return self._words.setdefault(word, len(self._words))


def notes_of(record: ClipRecord) -> list[str]:
    """What a reader should know about a clip, apart from its labels, in words."""
    if record.gap:
        return ["a stretch without media"]
    notes = [text for text in (record.error, record.dropped) if text]
    is_sound_alone = record.absent.get("image") == "no_stream"
    notes += [
        f"no {NAMES[name]}: {REASONS.get(why, why)}"
        for name, why in record.absent.items()
        if name in (["audio"] if is_sound_alone else MODALITIES)
    ]
    notes += [f"{name} failed: {why}" for name, why in record.failed.items()]
    if record.category is not None:
        notes.append("category: " + " › ".join(record.category.path))
    notes += [str(relation) for relation in (record.relations or ())[:MOST_RELATIONS]]
    if record.open_set is not None and record.open_set.none_of_these:
        notes.append("none of these labels fits")
    if record.corrupt_frames or record.decode_errors:
        notes.append("damaged here")
    if record.estimated_times:
        notes.append("times are estimated")
    return notes


def ms(time_s: float) -> int:
    return round(time_s * 1000)


def mille(share: float) -> int:
    return round(share * 1000)


def centi(log_odds: float | None) -> int | None:
    return None if log_odds is None else round(log_odds * 100)
