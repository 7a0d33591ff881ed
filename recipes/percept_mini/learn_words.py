"""Learn where some everyday words are among pictures and sounds: from named boxes, captions and labelled recordings.

    python -m recipes.percept_mini.learn_words --data ../shared/data

A tower reads a photo or a sound as a vector, and a word has a vector, too, from text. Here the vector of the word is
moved (ConES, Kan et al. 2023, arXiv 2305.14993), so that its probability fits photos and recordings in which it is
known to be right or wrong. A word is kept if that holds for those that it was not learnt from. What is for reporting
(`folds`) is not read. The others are read once and kept in `recipes/runs/words`.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional

from engines.models.checkpoint import BUNDLED, read_model
from engines.models.digests import sha256_of
from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.folds import recording
from recipes.percept_mini.picture_data import Photo, pictures, read_photos, split_of
from recipes.percept_mini.sound_data import urban_files
from recipes.percept_mini.sound_read_out import folder_files, never_trained_on
from stages.words import scoring
from stages.words.adapted import save_adapted
from stages.words.kinds import kinds_of, others_of
from stages.words.label_side import LabelSide
from stages.words.labels import build_label_set
from training.calibrate.unknown import auroc
from training.encoder import Encoder

log = logging.getLogger("learn_words")
MINI = BUNDLED / "percept-mini"
RUNS = Path("recipes/runs/words")
FILE = "learnt_words.safetensors"
COLLECTIONS = {"image": {"voc2012": 0.8, "flickr8k": 0.2}, "audio": {"sounds": 1.0}}
"""What each tower's words are learnt from, and its weight for words that several speak of: captions leave out much of
what is to be seen."""
NAMES = {
    "aeroplane": ("aeroplane", "airplane", "plane"),
    "bicycle": ("bicycle", "bike"),
    "diningtable": ("dining table",),
    "motorbike": ("motorbike", "motorcycle"),
    "person": ("person", "people", "human"),
    "pottedplant": ("potted plant",),
    "sofa": ("sofa", "couch"),
    "tvmonitor": ("television", "tv", "monitor"),
}
"""Words for those names of boxes in VOC that are none, or not the only ones."""
OWN_NAMES = ("bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dog", "horse", "sheep", "train")
"""The other names."""
PEOPLE = (
    *("person", "people", "human", "man", "woman", "child", "boy", "girl", "baby"),
    *("men", "women", "children", "crowd"),
)
SCENES = (
    *("beach", "sea", "lake", "river", "water", "swimming pool", "snow", "mountain", "mountains", "forest", "field"),
    *("grass", "garden", "park", "playground", "street", "city", "road", "sand", "bench", "stage", "restaurant"),
    *("ball", "football", "frisbee", "skateboard", "surfboard", "guitar", "camera", "hat", "toy", "puppy"),
)
DOINGS = (
    *("walking", "running", "jumping", "sitting", "standing", "swimming", "diving", "surfing", "climbing", "hiking"),
    *("skateboarding", "skiing", "snowboarding", "sledding", "dancing", "fishing", "sleeping", "waving", "hugging"),
    *("kissing", "digging", "eating", "drinking", "smoking", "reading a book", "taking a photo", "throwing a ball"),
    *("playing football", "playing basketball", "playing tennis", "playing baseball", "playing volleyball"),
    *("playing guitar", "riding a bicycle", "riding a bike", "riding a horse", "horse riding"),
)
HEARD = {
    "air_conditioner": ("air conditioner",),
    "car_horn": ("car horn", "honking"),
    "children_playing": ("children playing",),
    "dog_bark": ("dog barking", "dog bark", "dog"),
    "dog": ("dog barking", "dog bark", "dog"),
    "drilling": ("drilling", "drill"),
    "engine_idling": ("engine idling",),
    "gun_shot": ("gun shot", "gunshot"),
    "jackhammer": ("jackhammer",),
    "siren": ("siren",),
    "street_music": ("street music", "music"),
    "baby_cry": ("baby crying",),
    "chainsaw": ("chainsaw",),
    "clock_tick": ("clock ticking",),
    "fire_crackling": ("fire crackling",),
    "helicopter": ("helicopter",),
    "person_sneeze": ("sneezing",),
    "rain": ("rain",),
    "rooster": ("rooster crowing", "rooster"),
    "sea_waves": ("sea waves",),
    "cat": ("cat meowing", "cat"),
    "cow": ("cow mooing", "cow"),
    "sheep": ("sheep bleating", "sheep"),
    "frog": ("frog croaking", "frog"),
}
"""Words for the labels of recordings."""
CAPTIONS = 2
"""So many of a photo's captions must have a word for it to be right."""
LEAST = {"image": 40, "audio": 15}
"""Photos and recordings in which a word must be right, to be learnt."""
PARTS = 5
"""Each part of the photos is judged by what was learnt from the others, to choose which words are kept."""
RIGHT = 0.2
"""A word that is rarer in photos is learnt as if it were so frequent: probabilities are for those who ask for it."""
GAIN, LOWER_LOSS = 0.005, 0.9
"""Where a word is kept, its AUROC must gain so much, or its logistic loss must fall to this share."""
STAYS = (0.03, 0.1, 0.3, 1.0)
"""Weights of the squared length of a move, of which each word has the one that fits what it was not learnt from; for a
word that is right in `USUAL` photos: more photos may move it further."""
USUAL = 300


class Examples(NamedTuple):
    """Photos or recordings."""

    vectors: Array
    """float32 "N D"."""
    truth: Array
    """float32 "N W": 1 right, 0 wrong, nan unknown."""
    part: Array
    """int64 "N", below `PARTS`, by the name of the file or recording."""
    collection: Array


def words() -> tuple[str, ...]:
    named = sorted({word for names in NAMES.values() for word in names} | set(OWN_NAMES))
    return tuple(dict.fromkeys((*named, *PEOPLE, *SCENES, *DOINGS)))


def truth_of(photo: Photo, asked: Sequence[str]) -> list[float]:
    """For each word 1 if it is right, 0 if it is wrong, nan if nobody says."""
    return [_by_captions(photo, word) if photo.captions else _by_boxes(photo, word) for word in asked]


def _by_boxes(photo: Photo, word: str) -> float:
    named = {name for box in photo.boxes for name in NAMES.get(box[0], (box[0],))}
    known = {name for box in photo.names_known for name in NAMES.get(box, (box,))}
    if word in named:
        return 1.0
    if word in known or (word in PEOPLE and "person" not in named):
        return 0.0
    return float("nan")


def _by_captions(photo: Photo, word: str) -> float:
    captions = [caption.lower() for caption in photo.captions]
    own = _pattern((word, *kinds_of(word)))
    count = sum(bool(own.search(caption)) for caption in captions)
    if count >= CAPTIONS:
        return 1.0
    near = _pattern((word, *kinds_of(word), *others_of(word), *(PEOPLE if word in ("human", "crowd") else ())))
    return float("nan") if any(near.search(caption) for caption in captions) else 0.0


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"\b(?:{_forms(name)})\b" for name in names))


def _forms(name: str) -> str:
    """A verb in -ing in all its forms, with its object after some words; a noun in the plural, too."""
    verb, _, rest = name.partition(" ")
    if not verb.endswith("ing") or verb in ("wedding", "ring"):
        return rf"{re.escape(name)}(?:s|es)?"
    stem = verb[:-3]
    stems = {stem, f"{stem}e"} | ({stem[:-1]} if len(stem) > 2 and stem[-1] == stem[-2] else set())
    forms = "|".join(sorted({re.escape(each) + end for each in stems for end in ("", "s")} | {re.escape(verb)}))
    objects = [re.escape(each) for each in rest.split() if each not in ("a", "the")]
    return rf"(?:{forms})" + "".join(rf"(?:\s+\S+){{0,2}}\s+{each}" for each in objects)


def read(data: Path, encoder: Encoder, collection: str, asked: Sequence[str]) -> Examples:
    """The photos of a collection that are not for reporting."""
    photos = {photo.file: photo for photo in read_photos(data, collection) if split_of(photo) != "report"}
    kept = _kept(collection, "concepts.safetensors")
    if not kept.is_file():
        seen = pictures(data, collection, set(photos))
        vectors = {file: encoder.photo(np.asarray(picture)).embeddings["image"] for file, picture in seen}
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, files=list(vectors), vectors=np.stack(list(vectors.values())))
        log.info("%s: %d photos", collection, len(vectors))
    with np.load(kept) as arrays:
        files, found = arrays["files"].tolist(), arrays["vectors"]
    truth = np.array([truth_of(photos[file], asked) for file in files], np.float32)
    return Examples(found, truth, _parts(files), np.full(len(files), collection))


def _kept(collection: str, weights: str) -> Path:
    """The file of what the tower with these weights has read."""
    return RUNS / f"{collection}-{sha256_of(MINI / weights)[:8]}.npz"


def read_sounds(data: Path, encoder: Encoder, asked: Sequence[str]) -> Examples:
    """Urban sounds that are not for reporting, and the recordings that the sound tower was trained on."""
    kept = _kept("sounds", "sound.safetensors")
    if not kept.is_file():
        labels, names, vectors = [], [], []
        with tempfile.TemporaryDirectory(prefix="sounds-") as folder:
            for name, path in (*urban_files(data, Path(folder), reported=False), *_recordings(data)):
                labels.append(name.partition("/")[0])
                names.append(recording(path.name))
                vectors.append(encoder.file(path).embeddings["audio"])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, labels=labels, names=names, vectors=np.stack(vectors))
        log.info("sounds: %d recordings", len(vectors))
    with np.load(kept) as arrays:
        labels, names, found = arrays["labels"].tolist(), arrays["names"].tolist(), arrays["vectors"]
    truth = np.array([[_by_label(label, word) for word in asked] for label in labels], np.float32)
    return Examples(found, truth, _parts(names), np.full(len(labels), "sounds"))


def _recordings(data: Path) -> Iterator[tuple[str, Path]]:
    for pattern in ("esc10/*/*.ogg", "[ai]n*/*/*.ogg"):
        for _, path in folder_files(data, pattern):
            if not never_trained_on(data, path):
                is_music = path.parent.parent.name == "instruments"
                yield f"{'instrument' if is_music else path.parent.name}/{path.name}", path


def _by_label(label: str, word: str) -> float:
    if word in HEARD.get(label, ()) or (word == "music" and label == "instrument"):
        return 1.0
    return 0.0


def _parts(names: Sequence[str]) -> Array:
    return np.array([int(hashlib.sha256(name.encode()).hexdigest()[-8:], 16) % PARTS for name in names])


def joined(parts: Sequence[Examples]) -> Examples:
    return Examples(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class Words:
    """Log-odds of words whose vectors move, as `LabelSide.compare` computes them. No word has synonyms here."""

    def __init__(self, side: LabelSide, vectors: Array) -> None:
        others = vectors.astype(np.float64) @ side.background.T
        nothing = np.zeros((len(vectors), len(side.labels)))
        shift = scoring.log_odds(nothing, others, side.kept, side.temperature, side.bias)
        self._shift = torch.tensor(shift, dtype=torch.float32)
        self._seen = torch.tensor(vectors, dtype=torch.float32) / side.temperature
        self.plain = torch.tensor(side.labels, dtype=torch.float32)

    def odds(self, moves: Tensor) -> Tensor:
        return self._seen @ functional.normalize(self.plain + moves, dim=1).T + self._shift


def learn(words_of: Words, examples: Examples, rows: Array, stays: float, shares: Mapping[str, float]) -> Tensor:
    """The move of each word, "W D", from these examples, bool "N". shares: the weight of each collection."""
    truth, known = torch.tensor(examples.truth), ~np.isnan(examples.truth) & rows[:, None]
    weight = np.zeros(known.shape, np.float32)
    for collection, share in shares.items():
        own = known & (examples.collection == collection)[:, None]
        weight += share * balanced(own & (examples.truth > 0.5), own & (examples.truth < 0.5))
    rights = np.maximum((known & (examples.truth > 0.5)).sum(0), 1)
    held = torch.tensor(stays * np.sqrt(USUAL / rights), dtype=torch.float32)[:, None]
    weights, target = torch.tensor(weight / np.maximum(weight.sum(0), 1e-9)), truth.nan_to_num()
    moves = torch.zeros_like(words_of.plain, requires_grad=True)
    optimizer = torch.optim.LBFGS([moves], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        each = functional.binary_cross_entropy_with_logits(words_of.odds(moves), target, reduction="none")
        total = (each * weights).sum() + (held * moves.square()).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return moves.detach()


def balanced(right: Array, wrong: Array) -> Array:
    """Weights "N W" with a sum of 1 in which the right photos of each word have at least the share `RIGHT`."""
    rights, wrongs = np.maximum(right.sum(0), 1e-9), np.maximum(wrong.sum(0), 1e-9)
    share = np.maximum(RIGHT, rights / (rights + wrongs)) * (right.any(0) & wrong.any(0))
    result: Array = right * (share / rights) + wrong * ((1 - share) * (share > 0) / wrongs)
    return result


def figures(odds: Array, examples: Examples, column: int, least: int) -> dict[str, float]:
    """AUROC and mean logistic loss of a word in each collection in which it is right and wrong often enough."""
    found = {}
    for collection in dict.fromkeys(examples.collection.tolist()):
        truth = examples.truth[:, column]
        rows = (examples.collection == collection) & ~np.isnan(truth)
        is_right, scores = truth[rows] > 0.5, odds[rows, column]
        if min(is_right.sum(), (~is_right).sum()) >= least:
            found[f"{collection} auroc"] = auroc(scores, is_right)
            each = np.logaddexp(0, np.where(is_right, -scores, scores))
            found[f"{collection} loss"] = float((each * balanced(is_right[:, None], ~is_right[:, None])[:, 0]).sum())
    return found


def is_better(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """In no collection worse, and clearly better in one."""
    gains = [after[name] - before[name] for name in before if name.endswith("auroc")]
    losses = [after[name] / before[name] for name in before if name.endswith("loss")]
    return bool(gains) and min(gains) >= 0 and max(losses) <= 1 and (max(gains) >= GAIN or min(losses) <= LOWER_LOSS)


def learnt(
    modality: str, spec: ModelSpec, run: RunSettings, examples: Examples, asked: tuple[str, ...]
) -> dict[str, Array]:
    """The moves "D" of the words that are kept."""
    least, shares = LEAST[modality], COLLECTIONS[modality]
    enough = np.nansum(examples.truth, axis=0) >= least
    asked = tuple(np.array(asked)[enough].tolist())
    examples = examples._replace(truth=examples.truth[:, enough])
    side = build_label_set(spec, asked, run, log.info).sides[modality]
    answers = Words(side, examples.vectors)
    before = side.compare(examples.vectors)[2]
    first = [figures(before, examples, column, least // 2) for column in range(len(asked))]
    found: dict[str, Array] = {}
    best = [sum_of_losses(each) for each in first]
    changes = [""] * len(asked)
    for stays in STAYS:
        after = np.zeros(examples.truth.shape)
        for part in range(PARTS):
            out = examples.part == part
            after[out] = answers.odds(learn(answers, examples, ~out, stays, shares)).numpy()[out]
        moves = learn(answers, examples, np.ones(len(examples.part), bool), stays, shares).numpy()
        for column, word in enumerate(asked):
            last = figures(after, examples, column, least // 2)
            if is_better(first[column], last) and sum_of_losses(last) < best[column]:
                found[word], best[column] = moves[column], sum_of_losses(last)
                changes[column] = "  ".join(f"{name} {first[column][name]:.3f} {last[name]:.3f}" for name in last)
    for word, change in zip(asked, changes, strict=True):
        log.info("%s %-18s %s", modality, word, change or "stays")
    return found


def sum_of_losses(found: Mapping[str, float]) -> float:
    return sum(value for name, value in found.items() if name.endswith("loss"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with boxes/, captions/ and audio/")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("onnxscript").setLevel(logging.WARNING)
    spec = read_model("percept-mini")
    assert spec.image is not None
    assert spec.audio is not None
    plain = replace(spec, image=replace(spec.image, learnt=""), audio=replace(spec.audio, learnt=""))
    heard = tuple(dict.fromkeys(word for each in HEARD.values() for word in each))
    with tempfile.TemporaryDirectory(prefix="words-") as folder:
        run = RunSettings(model="percept-mini", cache_directory=folder, threads=2)
        encoder = Encoder(run)
        try:
            photos = joined([read(options.data, encoder, each, words()) for each in COLLECTIONS["image"]])
            sounds = read_sounds(options.data, encoder, heard)
        finally:
            encoder.close()
        moves = {
            "image": learnt("image", plain, run, photos, words()),
            "audio": learnt("audio", plain, run, sounds, heard),
        }
    if not options.dry_run:
        names = tuple(dict.fromkeys(word for each in moves.values() for word in each))
        nothing = np.zeros(photos.vectors.shape[1], np.float32)
        rows = {name: np.stack([of.get(word, nothing) for word in names]) for name, of in moves.items()}
        save_adapted(MINI / FILE, names, rows, {"made_by": "recipes.percept_mini.learn_words"})


if __name__ == "__main__":
    main()
