"""Is a model better than another one at what photos, clips and sounds show? On data that neither was trained on.

    python -m benchmarks.truth [--data ../shared/data] [--model percept-mini] [--against FOLDER_OF_ANOTHER_MODEL]
                              [--fold report] [--only voc clips ...]

Photos are those of the reporting fold (`recipes.percept_mini.folds`); `--fold check` has those for choices:

voc        AUROC of each of 20 names, and shares of photos with and without people that get "person"
captions   Flickr8k's dev photos: is one of a photo's own captions among the first of 1,000 (one per photo), and is a
           caption's photo among the first of as many? AUROC of the words that `recipes.percept_mini.learn_words`
           learns, by captions, and how often "man", "woman" and "child" pass 0.5
imagenet   the class name among 1,000
default    Flickr8k's photos and all real clips against the default words: the one that is most often first on photos
           whose captions do not speak of it, and on clips, whatever they show
people     the same shares of clips, with all modalities; `people_in_clips.csv` says who is in them, as somebody saw it
clips      real clips of actions, events and objects against all words of both lists: with all modalities, without the
           fusion head, and pictures alone. Choices were made on `clips`, and the head's share on both
sounds     ESC-10 fold 3, and urban sounds of recordings for reporting, against their ten names each; animals
            and instruments that are held out from training, against their twenty; of urban sounds and instruments,
            whether six everyday words pass 0.5 where they are right, and where they are wrong

With --against, both models answer the same questions in one run, and the differences get paired 95 % intervals.
"""

import argparse
import csv
import re
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA, KINDS, Judge
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.learn_words import truth_of, words
from recipes.percept_mini.photo_words import PHOTO_WORDS
from recipes.percept_mini.picture_data import Photo, pictures, read_photos, split_of
from recipes.percept_mini.sound_data import urban_files
from recipes.percept_mini.sound_read_out import folder_files, never_trained_on
from stages.words.scoring import sigmoid
from stages.words.word import default_labels
from training.encoder import Encoder, photos
from training.features import Features
from training.intervals import bootstrap

Outcomes = dict[str, Array]
"""One value per item, by question: items are the same, in the same order, for all models."""
LARGE = 0.25
"""Share of a photo that a person's box must cover for "person" to be expected."""
HARD = (0.5, 0.2)
"""What "person" should reach where a person is large, and stay below where there is none."""
EVERYDAY = ("people talking", "applause", "music", "siren", "car horn", "drilling")
EVERYDAY_OF = {"siren": "siren", "car_horn": "car horn", "drilling": "drilling", "music": "music"}
"""Which of them is right for sounds that are only reported."""
LEAST = 10
"""Photos in which a word must be right, and wrong, to be judged."""
ROUNDS = 1000
PEOPLE = Path(__file__).with_name("people_in_clips.csv")
"""Clips with a person who covers over a quarter of the picture most of the time, with nobody, and with some others."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--against", default="", help="folder of another model, such as an older percept-mini")
    parser.add_argument("--fold", default="report", choices=("report", "check"), help="of the photos")
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with clips/, captions/ and boxes/")
    models = [model for model in (options.model, options.against) if model]
    answers = {model: asked(model, options.data, options.only, options.fold) for model in models}
    figures: dict[str, Any] = {"models": [read_model(model).id for model in models]}
    names = dict.fromkeys(name for each in answers.values() for name in each)
    for name in names:
        figures[name] = compared(name, [each[name] for each in answers.values() if name in each])
        print(f"{name:34} {text_of(figures[name])}", flush=True)
    if options.fold == "report":
        report.write("truth", figures)


def asked(model: str, data: Path, parts: Sequence[str], fold: str) -> Outcomes:
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        run = RunSettings(model=model, cache_directory=folder, threads=2)
        judge, encoder = Judge(run), Encoder(run)
        try:
            found: Outcomes = {}
            for part in parts:
                found |= PARTS[part](data, encoder, judge, fold)
            return found
        finally:
            encoder.close()
            judge.close()


def compared(name: str, answers: list[Array]) -> dict[str, float]:
    """The statistic of each model, with the difference of the first two and its paired 95 % interval."""
    statistic = auroc if name.startswith("auroc") else mean_auroc if name.endswith("mean auroc") else mean
    low, high = bootstrap(answers[0], statistic, 0, ROUNDS)
    found = {"count": len(answers[0]), "value": statistic(answers[0]), "low": low, "high": high}
    if len(answers) > 1:
        both = np.stack(answers[:2], axis=1)
        low, high = bootstrap(both, lambda drawn: statistic(drawn[:, 0]) - statistic(drawn[:, 1]), 0, ROUNDS)
        found |= {"other": statistic(answers[1]), "gain_low": low, "gain_high": high}
    return found


def text_of(found: Mapping[str, float]) -> str:
    text = f"{found['value']:.3f}  [{found['low']:.3f}, {found['high']:.3f}]  of {found['count']:.0f}"
    if "other" in found:
        gain = found["value"] - found["other"]
        text += f"   other {found['other']:.3f}, gain {gain:+.3f} [{found['gain_low']:+.3f}, {found['gain_high']:+.3f}]"
    return text


def mean(values: Array) -> float:
    return float(np.mean(values))


def auroc(pairs: Array) -> float:
    """Of scores and whether each is of a right item, "N 2"; nan if one kind is missing."""
    scores, is_right = pairs[:, 0], pairs[:, 1] > 0.5
    right, wrong = int(is_right.sum()), int((~is_right).sum())
    if not right or not wrong:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[is_right].sum() - right * (right + 1) / 2) / (right * wrong))


def mean_auroc(table: Array) -> float:
    """Mean over the names of "N C 2". Items of which it is unknown whether they are right, nan, are left out."""
    by_name = (table[:, name] for name in range(table.shape[1]))
    return float(np.nanmean([auroc(pairs[~np.isnan(pairs[:, 1])]) for pairs in by_name]))


# -- photos ------------------------------------------------------------------------------------------------------------


def on_voc(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    chosen = {photo.file: photo for photo in read_photos(data, "voc2012") if split_of(photo) == fold}
    names = sorted({box[0] for photo in chosen.values() for box in photo.boxes})
    labels = judge.labels(names)
    probabilities, right, covered = list[Array](), list[Array](), list[float]()
    for file, picture in pictures(data, "voc2012", set(chosen)):
        photo = chosen[file]
        probabilities.append(probabilities_of(judge, labels, encoder.photo(np.asarray(picture)).only("image")))
        right.append(np.array([any(box[0] == name for box in photo.boxes) for name in names]))
        covered.append(largest_share(photo, "person", picture.width * picture.height))
    table = np.stack([np.stack(probabilities), np.stack(right)], axis=2)
    person, shares = table[:, names.index("person"), 0], np.array(covered)
    found = {f"auroc {name}": table[:, number] for number, name in enumerate(names)}
    return found | {
        "voc mean auroc": table,
        "large person ≥ 0.5": person[shares > LARGE] >= HARD[0],
        "no person < 0.2": person[shares == 0] < HARD[1],
    }


def largest_share(photo: Photo, name: str, area_px: float) -> float:
    return max((((x1 - x0) * (y1 - y0)) / area_px for box, x0, y0, x1, y1 in photo.boxes if box == name), default=0.0)


def probabilities_of(judge: Judge, labels: Any, features: Features) -> Array:
    """Of the labels, in their order, from pictures alone."""
    result: Array = sigmoid(labels.sides["image"].compare(features.embeddings["image"][None])[2][0])
    return result


def on_captions(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    chosen = {photo.file: photo for photo in read_photos(data, "flickr8k") if is_asked(photo, fold)}
    seen = [
        (chosen[file], encoder.photo(np.asarray(picture)).embeddings["image"])
        for file, picture in pictures(data, "flickr8k", set(chosen))
    ]
    embeddings = np.stack([each for _, each in seen])
    captions = [photo.captions[number % len(photo.captions)].strip(" .") for number, (photo, _) in enumerate(seen)]
    kept = first_of_each(captions)
    side = judge.labels([captions[row] for row in kept]).sides["image"]
    near = side.compare(embeddings[kept])[0]
    own = np.diag(near)
    to_caption, to_photo = (near > own[:, None]).sum(1), (near > own[None]).sum(0)
    found = {
        f"{way}, in the first {top}": ranks < top
        for way, ranks in (("photo to caption", to_caption), ("caption to photo", to_photo))
        for top in (1, 10)
    }
    return found | on_words([photo for photo, _ in seen], embeddings, judge)


def on_words(seen: Sequence[Photo], embeddings: Array, judge: Judge) -> Outcomes:
    """AUROC by word, and how often those for people pass 0.5, by captions. Unknown photos of a word are left out."""
    truth = np.array([truth_of(photo, words()) for photo in seen])
    asked = [row for row in range(len(words())) if min((truth[:, row] == 1).sum(), (truth[:, row] == 0).sum()) >= LEAST]
    side = judge.labels([words()[row] for row in asked]).sides["image"]
    probability, truth = sigmoid(side.compare(embeddings)[2]), truth[:, asked]
    found: Outcomes = {"words of captions, mean auroc": np.stack([probability, truth], axis=2)}
    for word in ("man", "woman", "child"):
        column = [words()[row] for row in asked].index(word)
        for name, value in (("", 1), ("no ", 0)):
            found[f"{name}{word} ≥ 0.5"] = probability[truth[:, column] == value, column] >= HARD[0]
    return found


def on_default_words(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    chosen = {photo.file: photo for photo in read_photos(data, "flickr8k") if is_asked(photo, fold)}
    labels = judge.labels(default_labels())
    side, unrelated = labels.sides["image"], list[str]()
    for file, picture in pictures(data, "flickr8k", set(chosen)):
        embedding = encoder.photo(np.asarray(picture)).embeddings["image"]
        first = labels.labels[int(side.compare(embedding[None])[2][0].argmax())]
        unrelated.append("" if is_spoken_of(first, chosen[file].captions) else first)
    clips = [
        judge.ranked(labels, encoder.file(data / folder / row["file"]))[0]
        for folder in ("clips", "clips2")
        for row in rows_of(data / folder)
    ]
    return {
        "default words, most frequent wrong one": is_most_frequent(unrelated),
        "default words, most frequent one of clips": is_most_frequent(clips),
    }


def is_most_frequent(found: Sequence[str]) -> Array:
    """Whether each is the word that comes most often; "" is none."""
    often = Counter(word for word in found if word).most_common(1)[0][0]
    return np.array([word == often for word in found])


def is_spoken_of(label: str, captions: Sequence[str]) -> bool:
    """Whether a word of the label, or one that begins like it, is in the captions."""
    said = " ".join(captions).lower()
    return any(word[:4] in said for word in re.findall(r"[a-z]{3,}", label) if word not in ("the", "playing"))


def is_asked(photo: Photo, fold: str) -> bool:
    """Flickr8k's own dev photos are those for reporting."""
    return photo.is_dev if fold == "report" else split_of(photo) == fold


def first_of_each(texts: list[str]) -> list[int]:
    """Rows of texts that are not equal to an earlier one."""
    return list({text.lower(): row for row, text in reversed(list(enumerate(texts)))}.values())[::-1]


def on_imagenet(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    tar = data / "images" / "imagenet-1-per-class.tar"
    with tarfile.open(tar) as archive:
        every = [
            Path(member.name).stem.split("_", 1)[-1].replace("_", " ").lower() for member in archive if member.isfile()
        ]
    reported = {photo.name for photo in read_photos(data, "imagenet") if split_of(photo) == fold}
    reported |= set(PHOTO_WORDS) if fold == "report" else set()
    words = list(dict.fromkeys(every))
    side = judge.labels(words).sides["image"]
    ranks = []
    for name, picture in photos(tar):
        if name in reported:
            near = side.compare(encoder.photo(picture).embeddings["image"][None])[2][0]
            ranks.append(int((near > near[words.index(name)]).sum()))
    places = np.array(ranks)
    return {"imagenet first": places < 1, "imagenet first five": places < 5}


# -- clips and sounds -----------------------------------------------------------------------------------------------


def on_clips(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    found: dict[str, list[bool]] = {}
    for folder in ("clips", "clips2") if fold == "report" else ("clips",):
        rows = rows_of(data / folder)
        words = (data / "clips" / "all_labels.txt").read_text().splitlines()
        labels = judge.labels(list(dict.fromkeys([*words, *(row["label"] for row in rows_of(data / "clips2"))])))
        for row in rows:
            views = judge.views(labels, encoder.file(data / folder / row["file"]))
            for view in ("fused", "pool", "picture"):
                place = views[view].index(row["label"])
                for top in (1, 5):
                    for group in (folder, "all clips"):
                        found.setdefault(f"{group}, {view}, first {top}", []).append(place < top)
    return {name: np.array(values) for name, values in found.items()}


def on_people(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    labels = judge.labels(["person"])
    found: dict[str, list[float]] = {"large": [], "none": []}
    with PEOPLE.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["people"] != "some" and (fold == "report" or row["folder"] == "clips"):
                features = encoder.file(data / row["folder"] / row["file"])
                found[row["people"]].append(judge.probabilities(labels, features)["person"])
    return {
        "clips, large person ≥ 0.5": np.array(found["large"]) >= HARD[0],
        "clips, no person < 0.2": np.array(found["none"]) < HARD[1],
    }


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] in KINDS]


def on_sounds(data: Path, encoder: Encoder, judge: Judge, fold: str) -> Outcomes:
    esc = [(path.parent.name, path) for path in sorted((data / "audio" / "esc10").glob("*/3-*.ogg"))]
    others = [(label, path) for label, path in folder_files(data, "[ai]n*/*/*.ogg") if never_trained_on(data, path)]
    found = {
        "esc-10 fold 3": right_first(esc, encoder, judge),
        "animals and instruments": right_first(others, encoder, judge),
    }
    with tempfile.TemporaryDirectory(prefix="urban-") as folder:
        urban = [(name.partition("/")[0], path) for name, path in urban_files(data, Path(folder), reported=True)]
        found |= {"urban sounds": right_first(urban, encoder, judge)}
        music = [("music", path) for label, path in others if path.parent.parent.name == "instruments"]
        return found | on_everyday_sounds([*urban, *music], encoder, judge)


def on_everyday_sounds(sounds: list[tuple[str, Path]], encoder: Encoder, judge: Judge) -> Outcomes:
    labels, found = judge.labels(EVERYDAY), Outcomes()
    probabilities = [judge.probabilities(labels, encoder.file(path).only("audio")) for _, path in sounds]
    shown = [EVERYDAY_OF.get(label, "") for label, _ in sounds]
    for word in dict.fromkeys(filter(None, shown)):
        rows = list(zip(shown, probabilities, strict=True))
        found[f"{word} first of six"] = np.array([next(iter(each)) == word for right, each in rows if right == word])
        found[f"{word} ≥ 0.5"] = np.array([each[word] >= HARD[0] for right, each in rows if right == word])
        found[f"no {word} ≥ 0.5"] = np.array([each[word] >= HARD[0] for right, each in rows if right != word])
    return found


def right_first(sounds: list[tuple[str, Path]], encoder: Encoder, judge: Judge) -> Array:
    labels = judge.labels(sorted({label.replace("_", " ") for label, _ in sounds}))
    heard = ((label, encoder.file(path).only("audio")) for label, path in sounds)
    return np.array([judge.ranked(labels, features)[0] == label.replace("_", " ") for label, features in heard])


PARTS = {
    "voc": on_voc,
    "captions": on_captions,
    "imagenet": on_imagenet,
    "default": on_default_words,
    "people": on_people,
    "clips": on_clips,
    "sounds": on_sounds,
}


if __name__ == "__main__":
    main()
