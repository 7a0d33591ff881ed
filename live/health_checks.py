"""What is wrong with a camera or its labels, told from measurements of its clips against its own past.

A check looks at one record and says `Bad`, good (True) or that it cannot tell (None). Measurements are those of
`stages.decode.live.measures`; one that is missing tells nothing.
"""

import math
from typing import Any

import msgspec

from pipeline.result import ClipRecord


class HealthOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of health. Levels are those of 8-bit brightness, from 0 to 255."""

    digital_silence_s: float = 30.0
    """For so long all samples have had one value, which no microphone gives."""
    no_sound_s: float = 60.0
    """For so long a camera that had sound sends none."""
    quieter_db: float = 12.0
    """So far below the quietest of the last hours, a microphone is silent, quiet nights included ..."""
    quieter_s: float = 300.0
    """... if it stays so for so long ..."""
    quiet_hours: int = 24
    """... and so many hours are known ..."""
    usual_dbfs: float = -75.0
    """... in most of which there was sound above this level."""
    known_hours: int = 168
    """So many of the last hours are remembered."""
    uniform: float = 6.0
    """Spread of brightness without noise, below which a picture is uniform ..."""
    uniform_dark: float = 3.0
    """... and below which a dark one is: at night, lights give more."""
    dark: float = 30.0
    """Brightness of a dark picture."""
    less_structure: float = 0.25
    """A lens is covered if the picture has less than this share of the structure that it had shortly before ..."""
    least_structure: float = 10.0
    """... which was at least this much ..."""
    unsharp: float = 3.0
    """... and is uniform, or light and as unsharp as this."""
    most_noise: float = 8.0
    """Standard deviation of the strongest noise of a sensor."""
    usual_s: float = 120.0
    """The picture shortly before: over about so long. Dusk is slower than this, a hand or a cap is not."""
    known_s: float = 60.0
    """So long a picture must have been seen before it can be missed."""
    covered_s: float = 20.0
    frozen_s: float = 60.0
    """Equal pictures for so long. Cameras that send the same picture again between key frames do so for less."""
    constant_s: float = 10.0
    """Length of changing clips with the same answers."""
    changed: float = 0.005
    """Share of the picture that changed, or ..."""
    changed_db: float = 0.5
    """... change of the sound's level, by which clips differ."""
    clock_offset_s: float = 5.0
    clock_s: float = 30.0
    back_s: float = 6.0
    """Good for so long, and the event is over."""


class Bad(msgspec.Struct, frozen=True):
    """A finding: what is wrong, and what it rests on."""

    text: str
    evidence: dict[str, Any]
    lasts_s: float = 0.0
    """For how long it is known to have been so, this clip included; 0: since this clip."""
    after_s: float = 0.0
    """An event begins when it has been so for this long."""


Verdict = Bad | bool | None


class Silence(msgspec.Struct):
    """Is the microphone silent?"""

    hours: list[float] = []
    """Mean level in dBFS of each of the last hours, without those when something was wrong."""
    total: float = 0.0
    seconds: float = 0.0
    """Of the hour that goes on."""
    had_sound: bool = False

    def look(self, record: ClipRecord, options: HealthOptions) -> Verdict:
        level, length_s = record.measures.get("level_dbfs"), record.end_s - record.start_s
        if level is None:
            lost = self.had_sound and bool(record.measures)
            return Bad("no sound comes any more", {}, after_s=options.no_sound_s) if lost else None
        self.had_sound = True
        silent_s = record.measures.get("silent_s", 0.0)
        if silent_s >= length_s - 0.1:
            evidence = {"level_dbfs": level, "silent_s": silent_s}
            return Bad("every sample is the same: digital silence", evidence, silent_s, options.digital_silence_s)
        quietest = self.quietest(options)
        if quietest is not None and level < quietest - options.quieter_db:
            evidence = {"level_dbfs": level, "quietest_dbfs": round(quietest, 1)}
            text = f"{level:.0f} dBFS, where the quietest hour had {quietest:.0f} dBFS"
            return Bad(text, evidence, after_s=options.quieter_s)
        self._learn(level, length_s, options)
        return True

    def quietest(self, options: HealthOptions) -> float | None:
        """The level of the quietest hour; None while too little is known, or if there is hardly ever sound."""
        if len(self.hours) < options.quiet_hours:
            return None
        usual = sorted(self.hours)[len(self.hours) // 2]
        return min(self.hours) if usual > options.usual_dbfs else None

    def _learn(self, level: float, length_s: float, options: HealthOptions) -> None:
        self.total += level * length_s
        self.seconds += length_s
        if self.seconds >= 3600:
            self.hours = [*self.hours, self.total / self.seconds][-options.known_hours :]
            self.total = self.seconds = 0.0


class Cover(msgspec.Struct):
    """Is the lens covered? Suddenly, that is: nightfall and fog come slowly."""

    structure: float = 0.0
    """Usual spread of brightness without noise."""
    seconds: float = 0.0

    def look(self, record: ClipRecord, options: HealthOptions) -> Verdict:
        measures = record.measures
        if not {"spread", "sharpness", "brightness"} <= measures.keys():
            return None
        structure = structure_of(measures["spread"], measures["sharpness"], options)
        is_dark = measures["brightness"] < options.dark
        is_uniform = structure < (options.uniform_dark if is_dark else options.uniform)
        is_blurred = not is_dark and measures["sharpness"] < options.unsharp
        was_known = self.seconds >= options.known_s and self.structure >= options.least_structure
        if was_known and structure < options.less_structure * self.structure and (is_uniform or is_blurred):
            looks = "dark and uniform" if is_dark else "uniform" if is_uniform else "unsharp"
            evidence = {name: measures[name] for name in ("brightness", "spread", "sharpness")}
            return Bad(
                f"the picture has become {looks}",
                evidence | {"structure": round(structure, 2), "usual_structure": round(self.structure, 2)},
                after_s=options.covered_s,
            )
        self._learn(structure, record.end_s - record.start_s, options)
        return True

    def _learn(self, structure: float, length_s: float, options: HealthOptions) -> None:
        self.seconds = min(options.usual_s, self.seconds + length_s)
        self.structure += (structure - self.structure) * min(1.0, length_s / self.seconds)


def structure_of(spread: float, sharpness: float, options: HealthOptions) -> float:
    """Spread of brightness without the noise, if all sharpness were noise (at most that of a sensor).

    Of normal noise with standard deviation s, the 98th percentile of the difference of neighbours is 3.29 s.
    """
    noise = min(sharpness / 3.29, options.most_noise)
    return math.sqrt(max(0.0, spread**2 - noise**2))


class Frozen(msgspec.Struct):
    """Do the pictures stand still as no sensor's do?"""

    def look(self, record: ClipRecord, options: HealthOptions) -> Verdict:
        same_s = record.measures.get("same_s")
        if same_s is None:
            return None
        if same_s < record.end_s - record.start_s - 0.5:
            return True
        text = f"the same picture for {same_s:.0f} s, without a sensor's noise"
        return Bad(text, {"same_s": same_s}, same_s, options.frozen_s)


class Constant(msgspec.Struct):
    """Are the answers the same, whatever is seen and heard?"""

    answers: list[tuple[str, float]] = []
    level_dbfs: float | None = None

    def look(self, record: ClipRecord, options: HealthOptions) -> Verdict:
        if record.reused or not record.labels:
            return None
        answers = [(label.label, label.probability) for label in sorted(record.labels, key=lambda each: each.label)]
        level, before = record.measures.get("level_dbfs"), self.level_dbfs
        was, self.answers, self.level_dbfs = self.answers, answers, level
        if not all(math.isfinite(probability) for _, probability in answers):
            return Bad("answers are not numbers", {}, after_s=options.constant_s)
        if answers != was:
            return True
        asked = {modality for label in record.labels for modality in label.evidence}
        change = record.measures.get("change", 0.0) if asked & {"image", "motion"} else 0.0
        step_db = abs(level - before) if "audio" in asked and level is not None and before is not None else 0.0
        if change <= options.changed and step_db <= options.changed_db:
            return None
        evidence = {"change": change, "level_step_db": round(step_db, 2), "labels": len(answers)}
        return Bad("the same answers for clips that differ", evidence, after_s=options.constant_s)


class Clock(msgspec.Struct):
    """Is the camera's clock wrong?"""

    def look(self, record: ClipRecord, options: HealthOptions) -> Verdict:
        offset_s = record.measures.get("clock_offset_s")
        if offset_s is None:
            return None
        if abs(offset_s) > options.clock_offset_s:
            way = "ahead" if offset_s > 0 else "behind"
            text = f"the camera's clock is {abs(offset_s):.0f} s {way}; times are those of arrival"
            return Bad(text, {"clock_offset_s": offset_s}, after_s=options.clock_s)
        return True if abs(offset_s) < options.clock_offset_s / 2 else None
