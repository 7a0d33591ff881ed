"""Is anything missed when the answers of a still camera are reused, how often are they, and what does it save?

    python -m benchmarks.stillness FOLDER [--scenes 32] [--json FILE]

FOLDER has real clips in clips*/, and sounds in audio/esc10/<class>/ and audio/urbansound8k/<class>/. Real people walk
through empty scenes for 0.4 to 1.5 s of a clip, filmed with a sensor's noise and sent as H.264 in many ways; real
sirens start up to 6 dB below the level of real backgrounds. A walk is missed if answers are reused for its clip; a
siren, if they are for the clip in which it starts and for the next. Nothing counts that is labelled anyway.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.stillness_media import (
    CLIP_S,
    RATE_HZ,
    Scene,
    Shot,
    from_loudest,
    lasting,
    samples_of,
    sent,
    still_clips,
    with_siren,
)
from pipeline.arrays import Array
from stages.decode.live.luma import luma
from stages.decode.live.stillness import FRESH_S, PacketFacts, Stillness

MOST_BELOW_DB = 6.0
CLIPS, FIRST_WALK, EVERY = 44, 14, 3
LEARNT = 8
SIZE = 398, 224
FRAMES_HZ = 8
RATES = (
    {"crf": "23"},
    {"b": "500k", "maxrate": "500k", "bufsize": "500k"},
    {"crf": "28"},
    {"b": "1500k", "maxrate": "1500k", "bufsize": "1500k"},
    {"crf": "26", "maxrate": "800k", "bufsize": "800k"},
    {"b": "800k"},
    {"b": "300k", "maxrate": "300k", "bufsize": "600k"},
)
NOISES = (0.5, 1.0, 2.0, 0.0, 3.5)
BACKGROUNDS = ("air_conditioner", "engine_idling", "rain", "fire_crackling", "clock_tick")


@dataclass
class Count:
    """What came of the clips of some cameras."""

    planted: int = 0
    missed: int = 0
    quiet: int = 0
    by_keys: int = 0
    by_pictures: int = 0
    full_s: float = 0.0
    """CPU time to decode all quiet clips in full."""
    spent_s: float = 0.0
    """CPU time that was spent on them, with the decision."""

    def __add__(self, other: "Count") -> "Count":
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Count(*(a + b for a, b in pairs))

    def row(self, name: str) -> str:
        reused = (self.by_keys + self.by_pictures) / max(1, self.quiet)
        saved = f"{1 - self.spent_s / self.full_s:7.0%}" if self.full_s else "      –"
        return (
            f"{name:34} {self.planted:7} {self.missed:6} {self.quiet:6} {reused:7.0%} "
            f"{self.by_keys / max(1, self.quiet):9.0%} {saved}"
        )


@dataclass
class Eye:
    """Decodes what a camera sends, in full and key frames alone, and takes the time."""

    rate: int
    whole: Any = field(default_factory=lambda: av.CodecContext.create("h264", "r"))
    keys: Any = field(default_factory=lambda: av.CodecContext.create("h264", "r"))

    def __post_init__(self) -> None:
        for context in (self.whole, self.keys):
            context.thread_type, context.thread_count = "NONE", 1

    def look(self, packets: Sequence[Any]) -> tuple[list[Array], list[Array], float, float]:
        """Lumas of the clip at `FRAMES_HZ`, of its key frames, and CPU seconds for each."""
        start_s = time.process_time()
        frames = [frame for packet in packets for frame in self.whole.decode(packet)]
        lumas = [seen(frame) for frame in frames[:: max(1, round(self.rate / FRAMES_HZ))]]
        middle_s = time.process_time()
        keys = []
        for packet in packets:
            if packet.is_keyframe:
                keys += [seen(frame) for frame in [*self.keys.decode(packet), *self.keys.decode(None)][:1]]
                self.keys.flush_buffers()
        return lumas, keys, middle_s - start_s, time.process_time() - middle_s


def seen(frame: Any) -> Array:
    return luma(frame.reformat(*SIZE, "rgb24").to_ndarray())


def walk_trials(shot: Shot) -> Count:
    """One camera, through whose scene people walk now and then."""
    count, now_s = Count(), 0.0
    stillness = Stillness(lambda: now_s)
    scene, eye, answered_s, was_reused = Scene(shot), Eye(shot.rate), 0.0, False
    for clip, packets in enumerate(in_clips(shot, sent(shot, scene.frames(CLIPS, FIRST_WALK, EVERY)))):
        now_s = float(clip * CLIP_S)
        lumas, keys, full_s, keys_s = eye.look(packets)
        facts = [PacketFacts(packet.size, bool(packet.is_keyframe)) for packet in packets]
        start_s = time.process_time()
        asks_keys = stillness.keys_may_tell
        by_keys = asks_keys and stillness.may_reuse(facts, keys, None, 0)
        by_pictures = not by_keys and stillness.decoded(lumas, None, 0, facts)
        judged_s = time.process_time() - start_s
        is_due = now_s - answered_s >= FRESH_S
        if clip in scene.walks and was_reused and not is_due:
            count.planted += 1
            count.missed += by_keys or by_pictures
        elif clip >= LEARNT and clip not in scene.walks and clip - 1 not in scene.walks:
            count.quiet += 1
            count.by_keys += by_keys
            count.by_pictures += by_pictures
            count.full_s += full_s
            count.spent_s += judged_s + (keys_s if asks_keys else 0) + (0 if by_keys else full_s)
        was_reused = by_keys or by_pictures
        answered_s = answered_s if was_reused else now_s
    return count


def in_clips(shot: Shot, packets: Iterator[Any]) -> Iterator[list[Any]]:
    waiting: list[Any] = []
    for packet in packets:
        waiting.append(packet)
        if len(waiting) == shot.per_clip:
            yield waiting
            waiting = []


def siren_trials(background: Path, sirens: Sequence[Path], seed: int) -> Count:
    """One microphone: a minute and a half of background, and a dozen sirens that start in it."""
    count, random, now_s = Count(), np.random.default_rng(seed), 0.0
    stillness = Stillness(lambda: now_s)
    sound = lasting(samples_of(background), 90 * RATE_HZ * CLIP_S, random).astype(np.float32)
    clips = np.split(sound, len(sound) // (RATE_HZ * CLIP_S))
    place, was_reused, answered_s = 0, False, 0.0
    while place + 2 < len(clips):
        is_armed = was_reused and now_s + 2 * CLIP_S - answered_s < FRESH_S
        heard, is_trial = [clips[place]], place >= 24 and place % 5 == 0 and is_armed
        if is_trial:
            siren = from_loudest(samples_of(sirens[int(random.integers(len(sirens)))]))
            below_db, start_s = random.uniform(-4, MOST_BELOW_DB), random.uniform(0, 1.2)
            heard = with_siren(clips[place : place + 2], siren, below_db, start_s)
        reused = []
        for each in heard:
            now_s += CLIP_S
            was_reused = stillness.may_reuse([], [], each, RATE_HZ) or stillness.decoded([], each, RATE_HZ, [])
            answered_s = answered_s if was_reused else now_s
            reused.append(was_reused)
        if is_trial:
            count.planted += 1
            count.missed += all(reused)
        elif place >= LEARNT and place % 5 > 2:
            count.quiet += 1
            count.by_keys += reused[0]
        place += len(heard)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    paths = still_clips(options.folder, 12)
    sirens = sorted(options.folder.glob("audio/urbansound8k/siren/*"))
    backgrounds = [path for name in BACKGROUNDS for path in sorted(options.folder.glob(f"audio/*/{name}/*"))[:3]]
    if not paths or not sirens or not backgrounds:
        parser.error(f"{options.folder}: expected still clips in clips*/, sirens and backgrounds in audio/")
    print(f"{'':34} {'planted':>7} {'missed':>6} {'quiet':>6} {'reused':>7} {'keys only':>9} {'saved':>7}")
    walks: dict[str, Count] = {}
    for number in range(options.scenes):
        rate, noise = RATES[number % len(RATES)], NOISES[number % len(NOISES)]
        shot = Shot(
            paths[number % len(paths)], noise, (25, 15, 12)[number % 3], (1.0, 2.0, 1.5, 2.0)[number % 4], rate, number
        )
        walks[f"{number}: {shot.in_words()}"] = found = walk_trials(shot)
        print(found.row(f"{shot.in_words()}, key {shot.key_s:g} s"), flush=True)
    sounds = {path.parent.name + "/" + path.stem: siren_trials(path, sirens, 7) for path in backgrounds}
    for name, found in sounds.items():
        print(found.row(name[:34]))
    print(sum(walks.values(), Count()).row("all walks"))
    print(sum(sounds.values(), Count()).row("all sirens"))
    if options.json:
        figures = {"walks": walks, "sirens": sounds}
        options.json.write_text(
            json.dumps({k: {n: asdict(c) for n, c in v.items()} for k, v in figures.items()}, indent=1)
        )


if __name__ == "__main__":
    main()
