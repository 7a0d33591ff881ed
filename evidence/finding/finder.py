"""Finds what phrases describe, in photos and films: reader, detector and picture tower, open in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import numpy as np

from engines.building.building import begins_at_once
from engines.models.checkpoint import read_model
from engines.models.model import ModelSpec
from engines.models.patch_tower import PatchTower
from engines.models.text_tower import WordTower
from evidence.finding.answer import Finding
from evidence.finding.candidates import (
    MOST,
    MOST_QUICK,
    Candidates,
    Picture,
    looked_into,
    picture_of,
    read,
    with_parts,
    without_colour,
)
from evidence.finding.judge import Judge, prompts_of
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import Clip, DecodedClip
from pipeline.config import Config, GroupOptions
from pipeline.errors import ModelError, SourceError
from pipeline.plain import PlainLoop, make_reader, refuse_failed
from pipeline.run import place, private_directory
from stages.encode import unit
from stages.maps.segments import segments
from stages.maps.stuff import is_stuff
from stages.maps.word_map import word_map
from stages.phrase.parse import parse_phrase
from stages.phrase.parts import Phrase
from stages.words.label_vectors import center_of
from stages.words.labels import build_label_set

SHORT_SIDE_PX = 448
"""Of the pictures in which boxes are looked into, if the source has that many."""
STILL_S = 2.0
"""Length of a clip at most."""
SURE = 0.15
"""A thing that no box fits so well is looked for with a word map as well, and grass and the like always."""
STAGES = ("flow", "detect", "track")

Report = Callable[[str], None]


class Finder:
    """See `finding`."""

    def __init__(self, loop: PlainLoop, spec: ModelSpec, tower: PatchTower, is_quick: bool, report: Report) -> None:
        self._loop, self._spec, self.tower = loop, spec, tower
        self._is_quick, self._report = is_quick, report
        self._word_tower: WordTower | None = None

    def judge(self, text: str) -> Judge:
        """Raises: ConfigError: the phrase names nothing."""
        phrase = parse_phrase(text)
        side = build_label_set(self._spec, tuple(prompts_of(phrase)), self._loop.plan.settings, self._report).sides[
            "image"
        ]
        words = {} if self._is_quick else self._words(phrase)
        return Judge(phrase, side, self.tower, self._is_quick, words)

    def _words(self, phrase: Phrase) -> dict[str, Array]:
        """The tokens of each name, "m D", as label vectors; none if the text tower does not tell them."""
        tower = self._spec.towers()["image"]
        if self._word_tower is None:
            try:
                self._word_tower = WordTower(self._spec.texts[tower.space], self._loop.plan.settings)
            except ModelError as error:
                self._report(f"words are compared as a whole: {error}")
                return {}
        names = list(dict.fromkeys(thing.name for thing in phrase.things))
        told = self._word_tower.words([tower.prompts[0].replace("{}", name) for name in names])
        center = center_of(self._spec, "image")
        centred = told if center is None else [unit(each) - center for each in told]
        return dict(zip(names, centred, strict=True))

    def close(self) -> None:
        if self._word_tower is not None:
            self._word_tower.close()

    def learn(self, texts: Sequence[str]) -> None:
        """Encode the words of many phrases together, so that each is there when it is asked for."""
        prompts = dict.fromkeys(prompt for text in texts for prompt in prompts_of(parse_phrase(text)))
        build_label_set(self._spec, tuple(prompts), self._loop.plan.settings, self._report)

    def at(
        self, source: str, judge: Judge, time_s: float | None = None, every_s: float | None = None
    ) -> Iterator[Finding]:
        """What is found in a source at a time, or in one picture of each clip; a photo has one.

        Raises: SourceError: it cannot be read, or has no picture there.
        """
        for picture in self.pictures(source, time_s, every_s):
            yield self.look(picture, judge)

    def look(self, picture: Picture, judge: Judge) -> Finding:
        """What is found in one picture."""
        found = looked_into(picture, self.tower, MOST_QUICK if self._is_quick else MOST)
        if not self._is_quick and (missing := self._missing(judge, found)):
            found = with_parts(found, self._parts(picture, judge, missing), picture.frame, self.tower)
        if not self._is_quick and any(thing.of("colour") for thing in judge.phrase.things):
            grey, _ = read(without_colour(picture.frame), found.boxes, self.tower)
            found = replace(found, grey=grey)
        return judge.finding(picture, found)

    def _missing(self, judge: Judge, found: Candidates) -> list[str]:
        """Names of things that fit no box, or have no edges for one."""
        every = zip(judge.phrase.things, judge.fits(found), strict=True)
        return [
            thing.name
            for thing, fits in every
            if thing.worn is None and (is_stuff(thing.name) or fits.max(initial=0.0) < SURE)
        ]

    def _parts(self, picture: Picture, judge: Judge, names: list[str]) -> list[tuple[str, Array, float]]:
        """Where a word map shows them."""
        frame = np.ascontiguousarray(picture.frame)
        seen = word_map(frame, self.tower, judge.side_of(names), fine=False)
        parts = segments(seen.pixels, seen.peaks, names).parts
        return [(names[part.label], np.array(part.box, np.float32), part.score) for part in parts]

    def pictures(self, source: str, time_s: float | None = None, every_s: float | None = None) -> Iterator[Picture]:
        """The pictures that are looked at, each with boxes and tracks."""
        clip_ns = self._loop.plan.settings.clip_ns
        at_ns = None if time_s is None else round(time_s * 1e9)
        # From the clip before, so that tracks are known and the first motion is that of a run.
        start_ns = 0 if at_ns is None else max(0, at_ns // clip_ns - 1) * clip_ns
        reader = make_reader(self._loop.plan, source, start_ns=start_ns)
        states: dict[int, bytes] = {}
        found = False
        try:
            info = reader.open()
            is_film, duration_ns = info.frame_rate_hz > 0, info.duration_ns
            is_after = bool(at_ns is not None and is_film and duration_ns and at_ns >= duration_ns)
            for clip in () if is_after else reader.clips():
                if not isinstance(clip, DecodedClip) or clip.arrays.get("frames") is None:
                    continue
                (passed,) = self._loop.settle([clip], states)
                refuse_failed([passed], source)
                if at_ns is not None and is_film and clip.info.end_ns <= at_ns:
                    continue
                found = True
                picture = picture_of(Clip(passed.info, passed.values, passed.absent), at_ns, is_film)
                # Numbers of tracks count from the start of the film, which was not read.
                yield picture if at_ns is None else replace(picture, tracks=(None,) * len(picture.boxes))
                if at_ns is not None:
                    break
        finally:
            reader.close()
        if not found:
            end = f"; it ends at {duration_ns / 1e9:g} s" if duration_ns else ""
            raise SourceError(f"{source}: has no picture at {time_s or 0.0:g} s{end}. Choose another moment")


@contextmanager
def finding(
    config: Config,
    report: Report = lambda text: None,
    is_quick: bool = False,
    every_s: float | None = None,
    names: Sequence[str] = (),
) -> Iterator[Finder]:
    """Open what finds phrases.

    is_quick: no map and no vote, and fewer boxes are looked into. every_s: one picture is looked at in so many
        seconds; None for a single one. names: for a detector that looks for words.

    Raises: ConfigError, ModelError: the model has no picture tower that gives patches, or cannot be used.
    """
    clip_s = min(every_s or STILL_S, STILL_S)
    config = msgspec.structs.replace(
        config,
        groups=(GroupOptions(stages=STAGES),),
        modalities=("image", "motion"),
        follow=msgspec.structs.replace(config.follow, find=tuple(names), which="all"),
        decode=msgspec.structs.replace(config.decode, short_side_px=SHORT_SIDE_PX),
        clips=msgspec.structs.replace(config.clips, seconds=clip_s, stride_seconds=every_s or clip_s),
    )
    with private_directory() as directory:
        plan = place(make_plan(config), directory)
        spec = read_model(plan.settings.model, plan.settings.audio_model)
        tower = PatchTower(spec, plan.settings)
        improves = every_s is not None or not begins_at_once(plan.settings)
        if improves:
            tower.improve(report)
        with PlainLoop(plan, report=report, improve=improves) as loop:
            tower.open()
            finder = Finder(loop, spec, tower, is_quick, report)
            try:
                yield finder
            finally:
                tower.close()
                finder.close()
