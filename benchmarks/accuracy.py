"""How often is percept right? Every figure with its 95 % interval, on data that nothing here was trained or tuned on.

    python -m benchmarks.accuracy [--data ../shared/data] [--model percept-mini]

pictures   real clips of actions, events and objects against all 58 words of their list, picture alone
sounds     ESC-10, fold 3, against its 10 names, sound alone
pairs      an ImageNet photo shown with an ESC-10 sound: are both right words the first two of 50?
clips      the same real clips with all modalities, and those of them whose sound belongs to the event
text       the bundled text tower against the tower it was distilled from

A video counts once: its clips' tokens are averaged per modality, then scored like one clip.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report
from engines.checkpoint import read_model
from pipeline.stage import RunSettings
from stages.classify import score
from stages.labels import LabelSet, build_label_set
from training.encoder import Encoder, photos
from training.features import Features
from training.intervals import share

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
KINDS = ("action", "av-event", "object")
PHOTO_WORDS = (
    *(
        "goldfish",
        "great white shark",
        "bald eagle",
        "tree frog",
        "tarantula",
        "flamingo",
        "koala",
        "jellyfish",
        "snail",
    ),
    *(
        "golden retriever",
        "persian cat",
        "lion",
        "brown bear",
        "ladybug",
        "zebra",
        "hippopotamus",
        "giant panda",
        "airliner",
    ),
    *("ambulance", "backpack", "balloon", "bookcase", "castle", "fire engine", "freight car", "grand piano", "harp"),
    *(
        "laptop",
        "suspension bridge",
        "mountain bike",
        "school bus",
        "sewing machine",
        "soccer ball",
        "sunglasses",
        "teapot",
    ),
    *("umbrella", "volcano", "pizza", "strawberry", "daisy"),
)
"""Photos of the pairs: classes that make none of the ten sounds."""
SOUNDS_PER_PHOTO = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(
            f"--data {options.data}: no such folder; expected the folder that holds clips/, audio/ and images/"
        )
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        judge = Judge(options.model, options.cache or folder)
        encoder = Encoder(RunSettings(model=options.model, cache_directory=options.cache or folder, threads=2))
        figures: dict[str, Any] = {"model": read_model(options.model).id}
        figures |= on_clips(options.data / "clips", encoder, judge)
        figures |= on_sounds_and_pairs(options.data, encoder, judge)
        encoder.close()
    if options.model == "percept-mini":
        figures["text"] = on_text(options.data)
    print(table(figures))
    report.write("accuracy", msgspec.to_builtins(figures))


class Judge:
    """Ranks labels for features, with the product's own label sets and scores."""

    def __init__(self, model: str, cache_directory: str) -> None:
        self.spec = read_model(model)
        self.run = RunSettings(model=model, cache_directory=cache_directory)

    def labels(self, words: Iterable[str]) -> LabelSet:
        return build_label_set(self.spec, tuple(words), self.run, lambda message: None)


def ranked(labels: LabelSet, features: Features) -> list[str]:
    rows = score(labels, dict(features.embeddings), features.signals, len(labels.labels))
    return [row["label"] for row in rows]


def on_clips(folder: Path, encoder: Encoder, judge: Judge) -> dict[str, Any]:
    """Pictures alone and all modalities, over the labelled clips."""
    labels = judge.labels((folder / "all_labels.txt").read_text().splitlines())
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in KINDS]
    ranks: dict[str, list[int]] = {"picture": [], "all": []}
    related = [row["audio_related"] == "1" for row in rows]
    absent = []
    for row in rows:
        features = encoder.file(folder / row["file"])
        absent.append("motion" not in features.embeddings)
        for name, kept in (("picture", features.only("image")), ("all", features)):
            ranks[name].append(ranked(labels, kept).index(row["label"]))
    figures: dict[str, Any] = {
        "clips": len(rows),
        "words": len(labels.labels),
        "clips_without_motion_score": sum(absent),
    }
    for name, found in ranks.items():
        with_sound = [rank for rank, is_related in zip(found, related, strict=True) if is_related]
        for top in (1, 5):
            figures[f"{name}_top{top}"] = share(rank < top for rank in found)
            figures[f"{name}_top{top}_where_sound_belongs"] = share(rank < top for rank in with_sound)
    return figures


def on_sounds_and_pairs(data: Path, encoder: Encoder, judge: Judge) -> dict[str, Any]:
    """ESC-10 fold 3 alone, and every photo of `PHOTO_WORDS` with eight of its sounds."""
    files = sorted((data / "audio" / "esc10").glob("*/3-*.ogg"))
    names = sorted({path.parent.name.replace("_", " ") for path in files})
    heard = [(path.parent.name.replace("_", " "), encoder.file(path)) for path in files]
    ten = judge.labels(names)
    figures: dict[str, Any] = {"sound_top1": share(ranked(ten, sound)[0] == name for name, sound in heard)}
    wanted = set(PHOTO_WORDS)
    seen = {
        name: encoder.photo(picture)
        for name, picture in photos(data / "images" / "imagenet-1-per-class.tar")
        if name in wanted
    }
    fifty = judge.labels([*names, *PHOTO_WORDS])
    both: dict[str, list[bool]] = {"fused": [], "picture": [], "sound": []}
    one: dict[str, list[bool]] = {"fused": [], "picture": [], "sound": []}
    for word, number in pairs([*PHOTO_WORDS], len(heard)):
        photo, (sound_name, sound) = seen[word], heard[number]
        together = Features(
            {**photo.only("image").tokens, **sound.only("audio").tokens}, {**photo.signals, **sound.signals}
        )
        for kind, features in (
            ("fused", together),
            ("picture", together.only("image")),
            ("sound", together.only("audio")),
        ):
            first = ranked(fifty, features)[:2]
            both[kind].append({word, sound_name} == set(first))
            one[kind].append(bool({word, sound_name} & set(first)))
    figures["pairs"] = len(both["fused"])
    for kind in both:
        figures[f"pairs_both_{kind}"], figures[f"pairs_one_{kind}"] = share(both[kind]), share(one[kind])
    return figures


def pairs(words: list[str], sounds: int) -> list[tuple[str, int]]:
    """Every word with eight sounds, stepping through all of them by a prime."""
    return [
        (word, (index * SOUNDS_PER_PHOTO + k) * 7 % sounds)
        for index, word in enumerate(words)
        for k in range(SOUNDS_PER_PHOTO)
    ]


def on_text(data: Path) -> dict[str, float]:
    """Agreement of the text tower with its teacher over the Kinetics-700 names."""
    from training.mini.distil_text import agreement
    from training.mini.text_data import BUNDLED

    names = (data / "text" / "kinetics_label_map_k700.txt").read_text().splitlines()
    return agreement(names, BUNDLED)


def table(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name:36} {value}" for name, value in figures.items())


if __name__ == "__main__":
    main()
