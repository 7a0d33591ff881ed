"""Do the maps of `percept where` and `percept explain` point at the right place and moment?

    python -m benchmarks.explaining [--data ../shared/data] [--model percept-mini]

halves     pictures composed of two photos, and montages of four, half of which do not meet in the
           middle, on photos that nothing here was trained or tuned on
           (`recipes.percept_mini.folds`): is the peak of a word's map in its photo, how well do parts and photos agree,
           is a word that is not there unknown, is the map of an unrelated sentence flatter?
evidence   such pairs: how much of the evidence for a word is in its photo, and is another word's map another one?
sounds     half a second of a sound (ESC-10, fold 3) in ten seconds of a quiet room: is it found within 0.2 s?
moments    real clips: do the parts add up to the answer, and are the numbers of the sentences those of the maps?
"""

import argparse
import io
import re
import tarfile
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from engines.models.checkpoint import read_model
from engines.models.patch_tower import PatchTower
from evidence.contrast import contrasted
from evidence.explaining import Explanation, explaining
from evidence.heat import shared_out
from evidence.told import EVERYWHERE, sentences, spots_of
from pipeline.arrays import Array
from pipeline.config import load_config
from pipeline.errors import SourceError
from pipeline.stage import RunSettings
from recipes.percept_mini.folds import is_reported
from stages.maps.cells import square_pictures, squares
from stages.maps.segments import HANDICAP, KINDS, segments
from stages.maps.word_map import cell_odds, propagated, word_map
from stages.words.label_side import LabelSide
from stages.words.labels import build_label_set
from training.intervals import bootstrap, share

SIDE_PX = 224
PICTURES = 200
COMPOSITES = 100
SOUNDS = 60
FAR = 0.3
"""Cosine of two words, relative to the background, below which one is not there where the other is."""
UNRELATED = (
    "the annual report of the accounting office",
    "a lecture on the history of grammar",
    "the price of copper in spring",
    "an argument about voting rights",
    "the second movement of a quartet",
    "a proof by induction",
    "the minutes of last week's meeting",
    "a change of the exchange rate",
    "the theory of supply and demand",
    "a letter of recommendation",
)
WORDS = {
    "baby_cry": "baby crying",
    "clock_tick": "clock ticking",
    "dog_bark": "dog barking",
    "person_sneeze": "sneezing",
}
RATE_HZ, LENGTH_S, PLANTED_S = 16_000, 10.0, 0.5


class Photo(NamedTuple):
    word: str
    pixels: Array


class Composed(NamedTuple):
    """A picture of several photos: the word of each, and its place "H W" bool."""

    pixels: Array
    words: tuple[str, ...]
    places: tuple[Array, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with images/ and audio/")
    with tempfile.TemporaryDirectory(prefix="explaining-") as folder:
        run = RunSettings(model=options.model, cache_directory=options.cache or folder, threads=2)
        figures: dict[str, Any] = {"model": read_model(options.model).id}
        with_patches = Tower(run)
        figures |= on_pictures(options.data, with_patches)
        figures |= on_evidence(options.data, with_patches)
        with_patches.close()
        figures |= on_sounds(options.data, options.model, Path(folder))
        figures |= on_moments(options.data, options.model)
    print("\n".join(f"{name:44} {shown(value)}" for name, value in figures.items()))
    report.write("explaining", msgspec.to_builtins(figures))


def shown(value: Any) -> str:
    if isinstance(value, dict) and "low" in value:
        first = value.get("share", value.get("value"))
        return f"{first:.3f}   [{value['low']:.3f}, {value['high']:.3f}]"
    return str(value)


class Tower:
    """The picture tower with patches, and words as it compares them."""

    def __init__(self, run: RunSettings) -> None:
        self.run, self.spec = run, read_model(run.model)
        self.tower = PatchTower(self.spec, run)
        self.tower.improve(lambda text: print(text, flush=True))
        self.tower.open()
        self.engine = self.tower.engine.name

    def close(self) -> None:
        self.tower.close()

    def side(self, words: Sequence[str]) -> LabelSide:
        return build_label_set(self.spec, tuple(words), self.run, lambda text: None).sides["image"]


def photos(data: Path) -> list[Photo]:
    """One photo of each class of ImageNet that is only for reporting, with the name of its class."""
    found = []
    with tarfile.open(data / "images" / "imagenet-1-per-class.tar") as tar:
        for member in tar.getmembers():
            if member.isfile() and is_reported(member.name):
                content = np.frombuffer(tar.extractfile(member).read(), np.uint8)  # type: ignore[union-attr]
                pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
                found.append(Photo(Path(member.name).stem.partition("_")[2].replace("_", " "), pixels))
    return found


def fitted(pixels: Array, height: int, width: int) -> Array:
    """The middle of a photo at a size."""
    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    size = max(width, round(pixels.shape[1] * scale)), max(height, round(pixels.shape[0] * scale))
    large = cv2.resize(
        np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def composed(every: Sequence[Photo], chance: np.random.Generator, parts: int, uneven: bool = False) -> Composed:
    """Two photos side by side or one above the other, or four in the corners, of different words.

    uneven: they do not meet in the middle, but up to a tenth of the side from it.
    """
    middle = [SIDE_PX // 2 + (round(float(chance.uniform(-0.1, 0.1)) * SIDE_PX) if uneven else 0) for _ in range(2)]
    rows, columns = ([(0, each), (each, SIDE_PX - each)] for each in middle)
    if parts == 4:
        boxes = [(top, left, height, width) for top, height in rows for left, width in columns]
    elif chance.random() < 0.5:
        boxes = [(0, left, SIDE_PX, width) for left, width in columns]
    else:
        boxes = [(top, 0, height, SIDE_PX) for top, height in rows]
    chosen = [every[int(row)] for row in chance.permutation(len(every))[:parts]]
    pixels = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    places = []
    for photo, (top, left, height, width) in zip(chosen, boxes, strict=True):
        place = np.zeros((SIDE_PX, SIDE_PX), bool)
        place[top : top + height, left : left + width] = True
        pixels[top : top + height, left : left + width] = fitted(photo.pixels, height, width)
        places.append(place)
    return Composed(pixels, tuple(photo.word for photo in chosen), tuple(places))


def pictures(data: Path, seed: int) -> Iterator[tuple[str, Composed]]:
    every, chance = photos(data), np.random.default_rng(seed)
    for parts, kind in ((2, "pairs"), (4, "montages")):
        for number in range(PICTURES // 2):
            yield kind, composed(every, chance, parts, uneven=number % 2 == 1)


def on_pictures(data: Path, tower: Tower) -> dict[str, Any]:
    """Figures of word maps; each picture is asked for its own words and for one that is not there."""
    every = list(pictures(data, seed=0))
    names = sorted({photo.word for photo in photos(data)})
    side, unrelated = tower.side(names), tower.side(UNRELATED)
    row_of, chance = {name: row for row, name in enumerate(names)}, np.random.default_rng(1)
    peaks: dict[str, list[bool]] = {"pairs": [], "montages": []}
    raw_peaks, ious, tight, raw_ious = (
        list[bool](),
        dict[str, list[float]](pairs=[], montages=[]),
        list[float](),
        list[float](),
    )
    own_ious, filled_unknown = dict[str, list[float]](pairs=[], montages=[]), list[bool]()
    unknown, found, agree, entropies, seconds = list[bool](), list[bool](), list[bool](), list[float](), list[float]()
    quick_seconds = list[float]()
    for number, (kind, each) in enumerate(every):
        absent = absent_word(side, [row_of[word] for word in each.words], chance)
        words = [row_of[word] for word in each.words]
        asked, labels = side.only([*words, absent]), (*each.words, names[absent])
        began_s = time.perf_counter()
        smooth = word_map(each.pixels, tower.tower, asked)
        whole = segments(smooth.pixels, smooth.peaks, labels)
        seconds.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        word_map(each.pixels, tower.tower, asked, fine=False)
        quick_seconds.append(time.perf_counter() - began_s)
        raw = word_map(each.pixels, tower.tower, asked, smooth=False)
        filled = segments(smooth.pixels, smooth.peaks, labels, fill=True)
        for row, place in enumerate(each.places):
            peaks[kind].append(bool(place[tuple(smooth.places[row])]))
            raw_peaks.append(bool(place[tuple(raw.places[row])]))
            ious[kind].append(iou(filled.mask("semantic") == row + 1, place))
            tight.append(iou(whole.mask("semantic") == row + 1, place))
            found.append(bool((whole.mask("semantic") == row + 1).any()))
        divided = [np.argmax(each_map.pixels[:-1], axis=0) for each_map in (smooth, raw)]
        raw_ious.append(
            float(np.mean([iou(divided[0] == row, place) for row, place in enumerate(each.places)]))
            - float(np.mean([iou(divided[1] == row, place) for row, place in enumerate(each.places)]))
        )
        level = smooth.pixels - HANDICAP * np.maximum(smooth.peaks, 0)[:, None, None]
        best = level[:-1].argmax(axis=0)
        own_ious[kind] += [iou(best == row, place) for row, place in enumerate(each.places)]
        filled_unknown.append(not (filled.mask("semantic") == len(each.words) + 1).any())
        unknown.append(not (whole.mask("semantic") == len(each.words) + 1).any())
        agree.append(is_consistent(whole))
        own = entropy(smooth.pixels[: len(each.words)]).mean()
        other = word_map(each.pixels, tower.tower, unrelated.only([number % len(UNRELATED)])).pixels
        entropies.append(float(entropy(other).mean() - own))
    chosen = np.arange(len(every))
    return {
        "engine": tower.engine,
        "pictures": len(every),
        "peak_in_its_part_pairs": share(peaks["pairs"]),
        "peak_in_its_part_montages": share(peaks["montages"]),
        "peak_in_its_part": share(peaks["pairs"] + peaks["montages"]),
        "peak_in_its_part_raw": share(raw_peaks),
        "words_found": share(found),
        "iou_divided_pairs": mean(ious["pairs"]),
        "iou_divided_montages": mean(ious["montages"]),
        "iou_own_words_pairs": mean(own_ious["pairs"]),
        "iou_own_words_montages": mean(own_ious["montages"]),
        "iou_with_unknown": mean(tight),
        "iou_gain_of_smoothing": interval(raw_ious, chosen),
        "absent_word_unknown": share(unknown),
        "absent_word_unknown_divided": share(filled_unknown),
        "three_outputs_agree": share(agree),
        "entropy_gain_of_unrelated_sentence": interval(entropies, chosen),
        "unrelated_sentence_is_flatter": share(value > 0 for value in entropies),
        "where_pictures_per_s": round(1 / float(np.median(seconds)), 1),
        "where_pictures_per_s_quick": round(1 / float(np.median(quick_seconds)), 1),
    }


def absent_word(side: LabelSide, present: Sequence[int], chance: np.random.Generator) -> int:
    """A word that means none of those that are there."""
    center = side.background.mean(axis=0)
    vectors = side.labels - center
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    able = np.flatnonzero((vectors @ vectors[list(present)].T).max(axis=1) < FAR)
    return int(chance.choice(able))


def iou(mask: Array, place: Array) -> float:
    return float((mask & place).sum() / max(1, (mask | place).sum()))


def is_consistent(found: Any) -> bool:
    """Whether the three masks tell the same of every pixel."""
    masks = {kind: found.mask(kind) for kind in KINDS}
    parts = {part.number: part for part in found.parts}
    for number, part in [(0, None), *parts.items()]:
        own = masks["panoptic"] == number
        if (masks["semantic"][own] != (part.label + 1 if part else 0)).any():
            return False
        if (masks["instance"][own] != (number if part and part.is_thing else 0)).any():
            return False
    return True


def entropy(cells: Array) -> Array:
    """Of the softmax of each word's log-odds over the cells, "C r c" -> "C", as a share of the largest."""
    flat = cells.reshape(len(cells), -1)
    shares = np.exp(flat - flat.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    result: Array = -(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=1) / np.log(flat.shape[1])
    return result


def on_evidence(data: Path, tower: Tower) -> dict[str, Any]:
    """Figures of the picture's part of an explanation, for the first word of composed pairs."""
    every, chance = photos(data), np.random.default_rng(2)
    names = sorted({photo.word for photo in every})
    side, row_of = tower.side(names), {photo: row for row, photo in enumerate(names)}
    inside, correlations, sums, shown_maps = list[float](), list[float](), list[float](), list[bool]()
    for _ in range(COMPOSITES):
        each = composed(every, chance, 2)
        patches = tower.tower.engine.run(
            {"pictures": square_pictures(each.pixels, squares(SIDE_PX, SIDE_PX), tower.spec.image)}
        )["patches"]
        smooth = np.stack([propagated(one.astype(np.float32)) for one in patches])
        maps = []
        for word, place in zip(each.words, each.places, strict=True):
            fields = cell_odds(smooth, contrasted(side, row_of[word]), tower.tower.grid).swapaxes(0, 1)
            heat = shared_out(fields, 3.0)
            cells = place.reshape(fields.shape[2], -1, fields.shape[3], SIDE_PX // fields.shape[3]).mean(axis=(1, 3))
            inside.append(float((heat.values[0] * cells).sum() / max(heat.total, 1e-12)))
            sums.append(abs(heat.total - 3.0) if heat.total else 0.0)
            shown_maps.append(heat.is_shown)
            maps.append(heat.values[0].ravel())
        if all(one.std() for one in maps):
            correlations.append(float(np.corrcoef(*maps)[0, 1]))
    kept = [value for value, is_shown in zip(inside, shown_maps, strict=True) if is_shown]
    return {
        "evidence_70_percent_in_its_half": share(value > 0.7 for value in inside),
        "evidence_70_percent_in_its_half_of_maps_shown": share(value > 0.7 for value in kept),
        "evidence_maps_shown": share(shown_maps),
        "evidence_other_word_correlation_below_half": share(value < 0.5 for value in correlations),
        "evidence_sum_error": max(sums),
    }


def on_sounds(data: Path, model: str, folder: Path) -> dict[str, Any]:
    """How far the centre of the strongest half second of evidence is from the centre of the planted sound's power."""
    chance, files = np.random.default_rng(3), sorted((data / "audio" / "esc10").glob("*/3-*.ogg"))
    wanted = [file for file in files if file.parent.name not in ("rain", "sea_waves", "fire_crackling")]
    chosen = [wanted[int(row)] for row in chance.permutation(len(wanted))[:SOUNDS]]
    words = sorted({word_of(file) for file in wanted})
    settings = (f"model.path={model}", "clips.seconds=10", "modalities=['audio']", f"labels.words={words}")
    away, shown_maps, seconds = list[float](), list[bool](), list[float]()
    with explaining(load_config(None, settings)) as explainer:
        for number, file in enumerate(chosen):
            begin_s = float(chance.uniform(0.5, LENGTH_S - 1))
            path = folder / f"{number}.wav"
            truth_s = plant(file, path, begin_s, chance)
            began_s = time.perf_counter()
            clip = explainer.clip_at(str(path), 5.0)
            heard = explainer.heard(clip, words.index(word_of(file)), 1.0)
            seconds.append(time.perf_counter() - began_s)
            along = heard.heat.values[0].sum(axis=0)
            shown_maps.append(heard.heat.is_shown)
            if along.sum():
                width = max(1, round(PLANTED_S / heard.column_s))
                first = int(np.convolve(along, np.ones(width), "valid").argmax())
                times_s = (np.arange(len(along)) + 0.5) * heard.column_s
                window = slice(first, first + width)
                away.append(abs(float(np.average(times_s[window], weights=along[window])) - truth_s))
            else:
                away.append(LENGTH_S)
    return {
        "sounds": len(chosen),
        "sound_found_within_0.2_s": share(value <= 0.2 for value in away),
        "sound_found_within_0.2_s_of_maps_shown": share(
            value <= 0.2 for value, is_shown in zip(away, shown_maps, strict=True) if is_shown
        ),
        "sound_maps_shown": share(shown_maps),
        "sound_median_error_s": round(float(np.median(away)), 3),
    }


def word_of(file: Path) -> str:
    return WORDS.get(file.parent.name, file.parent.name.replace("_", " "))


def plant(file: Path, into: Path, begin_s: float, chance: np.random.Generator) -> float:
    """Write ten seconds of a quiet room with the loudest half second of a sound in it; where its power is centred."""
    samples = read_sound(file)
    length = round(PLANTED_S * RATE_HZ)
    power = np.convolve(np.pad(samples, (0, max(0, length - len(samples)))) ** 2, np.ones(length), "valid")
    best = int(power.argmax())
    piece = np.pad(samples, (0, length))[best : best + length].copy()
    ramp = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.01 * RATE_HZ))
    piece *= ramp * (0.25 / max(float(np.abs(piece).max()), 1e-6))
    room = chance.normal(0, 10 ** (-60 / 20), round(LENGTH_S * RATE_HZ))
    first = round(begin_s * RATE_HZ)
    room[first : first + length] += piece
    with wave.open(str(into), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes((np.clip(room, -1, 1) * 32767).astype("<i2").tobytes())
    return begin_s + float(np.average(np.arange(length), weights=piece**2)) / RATE_HZ


def read_sound(file: Path) -> Array:
    import av

    resampler = av.AudioResampler("flt", "mono", RATE_HZ)
    with av.open(io.BytesIO(file.read_bytes())) as container:
        parts = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    found: Array = np.concatenate(parts).astype(np.float64)
    return found


def on_moments(data: Path, model: str) -> dict[str, Any]:
    """Sums and sentences of real clips, for the best label of each, and the time that an explanation takes."""
    files = sorted((data / "clips").glob("*.mp4"))[:24]
    errors, parsed, seconds = list[float](), list[bool](), list[float]()
    with explaining(load_config(None, (f"model.path={model}",))) as explainer:
        explainer.at(str(files[0]), 0.5)  # the first call of each engine is slower
        for file in files:
            began_s = time.perf_counter()
            try:
                why = explainer.at(str(file), 1.0)
            except SourceError:
                continue
            seconds.append(time.perf_counter() - began_s)
            errors.append(sum_error(why))
            parsed.append(is_as_told(why))
    return {
        "moments": len(errors),
        "shares_sum_error": max(errors),
        "sentences_as_the_maps": share(parsed),
        "explain_s": report.min_median_max([round(value, 2) for value in seconds]),
    }


def sum_error(why: Explanation) -> float:
    """How far base and contributions are from the label's log-odds, and each map from its contribution."""
    probability = why.label.probability
    whole = abs((why.label.base_log_odds or 0.0) + sum(why.added.values()) - np.log(probability / (1 - probability)))
    maps = [abs(part.heat.total - why.added[name]) for name, part in why.maps.items() if part.heat.total]
    return float(max([whole, *maps]))


def is_as_told(why: Explanation) -> bool:
    """Whether the numbers that the first sentence gives are those of the maps, within one percent."""
    first, _ = sentences(why)
    told = [int(number) for number in re.findall(r"(\d+) %", first)]
    wanted = []
    for name, value in sorted(why.shares.items(), key=lambda each: -each[1]):
        if value >= 0.005:
            wanted.append(value)
            spots = [] if name in why.why_not else spots_of(why.maps[name])
            wanted += [spot.share for spot in spots if spot.where != EVERYWHERE]
    return len(told) == len(wanted) and all(
        abs(number / 100 - value) <= 0.01 for number, value in zip(told, wanted, strict=True)
    )


def mean(values: Sequence[float]) -> dict[str, float]:
    return interval(values, np.arange(len(values)))


def interval(values: Sequence[float], rows: Array) -> dict[str, float]:
    every = np.asarray(values, np.float64)
    low, high = bootstrap(rows, lambda drawn: float(every[drawn].mean()), seed=0, rounds=1000)
    return {"value": round(float(every.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    main()
