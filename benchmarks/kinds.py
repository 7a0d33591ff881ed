"""Is a wider word, such as "animal", better found if the everyday words that are kinds of it do not compete with it?

    python -m benchmarks.kinds [--data ../shared/data] [--model percept-mini] [--fold report]

AUROC of wider words, and their mean probability where they are right and where they are wrong: as label vectors are
made now, and as they would be if nothing were known of kinds (`stages/words/kinds.py`); in between, if the tower has
a `kinds_share`, with rivals left out alone. On photos of ImageNet, whose classes WordNet puts in order
(`apt-get install wordnet-base`), photos of VOC with people, and sounds; all of them never trained on.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.truth import urban_sounds
from engines.models.checkpoint import read_model
from pipeline.arrays import Array
from pipeline.stage import RunSettings
from recipes.percept_mini.picture_data import pictures, read_photos, split_of
from recipes.percept_mini.sound_read_out import folder_files, never_trained_on
from recipes.percept_mini.wordnet import above, read_synsets
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.label_vectors import SideBuilder
from stages.words.scoring import sigmoid
from stages.words.text_cache import open_text_tower
from stages.words.word import words_of
from training.calibrate.unknown import auroc
from training.encoder import Encoder
from training.intervals import bootstrap

LEAST = 5
"""Photos that must be right for a word to be asked."""
WIDER = {
    "animal": "animal", "mammal": "mammal", "bird": "bird", "water bird": "aquatic bird", "insect": "insect",
    "reptile": "reptile", "predator": "carnivore", "vehicle": "vehicle", "motor vehicle": "motor vehicle",
    "boat": "watercraft", "food": "food", "fruit": "edible fruit", "vegetable": "vegetable", "drink": "beverage",
    "furniture": "furniture", "appliance": "home appliance", "electronic device": "electronic equipment",
    "container": "container", "tool": "tool", "machine": "machine", "weapon": "weapon", "clothing": "clothing",
    "headwear": "headdress", "building": "building", "structure": "structure",
    "musical instrument": "musical instrument", "string instrument": "stringed instrument",
    "wind instrument": "wind instrument", "percussion instrument": "percussion instrument",
}  # fmt: skip
"""What a user says, and how WordNet calls it."""
HEARD = {
    "animal": "bird cat chicken cow dog donkey frog lion monkey sheep rooster dog_bark",
    "farm animal": "chicken cow donkey sheep rooster",
    "bird": "bird chicken rooster",
    "musical instrument": "acoustic_guitar bass_drum cello clarinet double_bass flute hi_hat saxophone snare_drum "
    "violin_or_fiddle",
    "string instrument": "acoustic_guitar cello double_bass violin_or_fiddle",
    "wind instrument": "clarinet flute saxophone",
    "percussion instrument": "bass_drum hi_hat snare_drum",
    "power tool": "chainsaw drilling jackhammer",
    "vehicle": "helicopter engine_idling",
}  # fmt: skip
"""Wider words for sounds, and the recordings they are right of."""
WAYS = ("without", "rivals", "with")
Seen = tuple[Array, dict[str, Array]]
"""Embeddings "N D", and by word whether it is right of each, bool "N"."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--fold", default="report", choices=("report", "check"), help="of the photos")
    options = parser.parse_args()
    figures: dict[str, Any] = {"model": read_model(options.model).id}
    with tempfile.TemporaryDirectory(prefix="kinds-") as folder:
        run = RunSettings(model=options.model, cache_directory=folder, threads=2)
        encoder = Encoder(run)
        try:
            for name, see in SEEN.items():
                modality = "audio" if name == "sounds" else "image"
                figures[name] = asked(name, see(options.data, encoder, options.fold), run, modality)
        finally:
            encoder.close()
    if options.fold == "report":
        report.write("kinds", figures)


def asked(name: str, seen: Seen, run: RunSettings, modality: str) -> dict[str, Any]:
    """The figures of each word and their means, in each way; each word is printed."""
    embeddings, right = seen
    sides = sides_of(run, modality, list(right))
    odds = {way: side.compare(embeddings)[2] for way, side in sides.items()}
    found: dict[str, Any] = {"items": len(embeddings), "words": len(right)}
    gains = []
    for row, (word, is_right) in enumerate(right.items()):
        of_word = {way: figures_of(odds[way][:, row], is_right) for way in WAYS}
        gains.append(of_word["with"]["auroc"] - of_word["without"]["auroc"])
        found[word] = {"right": int(is_right.sum()), **of_word}
        ways = "   ".join("{auroc:.3f} {right:.2f}/{wrong:.2f}".format(**of_word[way]) for way in WAYS)
        print(f"{name:8} {word:24}{found[word]['right']:5}   {ways}", flush=True)
    for way in WAYS:
        found[way] = {
            key: float(np.mean([found[word][way][key] for word in right])) for key in ("auroc", "right", "wrong")
        }
        print(f"{name:8} mean of {len(right)} words, {way:8} {found[way]}")
    low, high = bootstrap(np.array(gains), lambda drawn: float(np.mean(drawn)), 0, 1000)
    return found | {"gain": float(np.mean(gains)), "gain_low": low, "gain_high": high}


def figures_of(odds: Array, is_right: Array) -> dict[str, float]:
    probability = sigmoid(odds)
    return {
        "auroc": auroc(odds, is_right),
        "right": float(probability[is_right].mean()),
        "wrong": float(probability[~is_right].mean()),
    }


def sides_of(run: RunSettings, modality: str, names: Sequence[str]) -> dict[str, LabelSide]:
    """The label side as if nothing were known of kinds, with their silence alone, and as it is."""
    spec = read_model(run.model)
    builder = SideBuilder(spec, words_of(names), run, lambda text: None, open_text_tower)
    side, plain = builder.side(modality), builder.vectors(modality, names)
    return {
        "without": replace(side, labels=plain, kept=scoring.competing(plain, side.background)),
        "rivals": replace(side, labels=plain),
        "with": side,
    }


def classes(data: Path, encoder: Encoder, fold: str) -> Seen:
    """ImageNet's photos, and the wider words that are above their classes in WordNet."""
    nouns = read_synsets("n")
    chosen = {photo.file for photo in read_photos(data, "imagenet") if split_of(photo) == fold}
    embeddings, above_each = list[Array](), list[set[int]]()
    for file, picture in pictures(data, "imagenet", chosen):
        offset = int(file[1:].split("_")[0])
        above_each.append({offset, *above(offset, nouns)})
        embeddings.append(encoder.photo(np.asarray(picture)).embeddings["image"])
    right = dict[str, Array]()
    for word, lemma in WIDER.items():
        meanings = [synset.offset for synset in nouns.values() if lemma in synset.lemmas]
        most = max(([offset in each for each in above_each] for offset in meanings), key=sum)
        if sum(most) >= LEAST:
            right[word] = np.array(most)
    return np.stack(embeddings), right


def people(data: Path, encoder: Encoder, fold: str) -> Seen:
    """VOC's photos, and whether there is a person, an animal or a vehicle on them."""
    chosen = {photo.file: photo for photo in read_photos(data, "voc2012") if split_of(photo) == fold}
    embeddings, boxes = list[Array](), list[set[str]]()
    for file, picture in pictures(data, "voc2012", set(chosen)):
        embeddings.append(encoder.photo(np.asarray(picture)).embeddings["image"])
        boxes.append({box[0] for box in chosen[file].boxes})
    return np.stack(embeddings), {word: np.array([bool(each & names) for each in boxes]) for word, names in ON.items()}


ON: Mapping[str, set[str]] = {
    "person": {"person"},
    "animal": {"bird", "cat", "cow", "dog", "horse", "sheep"},
    "vehicle": {"aeroplane", "bicycle", "boat", "bus", "car", "motorbike", "train"},
    "furniture": {"chair", "diningtable", "sofa"},
}


def sounds(data: Path, encoder: Encoder, fold: str) -> Seen:
    files = [(label, path) for label, path in folder_files(data, "*/*/*.ogg") if never_trained_on(data, path)]
    with tempfile.TemporaryDirectory(prefix="urban-") as folder:
        files += urban_sounds(data, Path(folder))
        embeddings = np.stack([encoder.file(path).embeddings["audio"] for _, path in files])
    labels = [label.replace(" ", "_") for label, _ in files]
    return embeddings, {word: np.array([each in names.split() for each in labels]) for word, names in HEARD.items()}


SEEN = {"classes": classes, "people": people, "sounds": sounds}


if __name__ == "__main__":
    main()
