"""How often is percept right? Every figure has its 95 % interval, on data that nothing here was trained or tuned on.

    python -m benchmarks.accuracy [--data ../shared/data] [--model percept-mini]

pictures   real clips of actions, events and objects against all 58 words of their list, picture alone
clips      the same real clips with all modalities, with and without the fusion head, and separately those whose sound
           belongs to the event; does added silence ever change the top word?
sounds     ESC-10, fold 3, against its 10 names, sound alone
pairs      composed: an ImageNet photo with an unrelated ESC-10 sound: are the two right words the top 2 of 50? In
           novel pairs, the fusion head was trained on neither word.
           The same photos with motions: are photo word and motion word the top 2 of 56?
motions    composed: animated photos of other classes, at other speeds, against all motion words
text       the bundled text tower against the tower it was distilled from

A video counts once: its clips' tokens are averaged per modality, then scored like one clip.
"""

import argparse
import csv
import tempfile
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report
from engines.models.checkpoint import read_model
from pipeline.stage import Budget, Resources, RunSettings
from recipes.percept_mini.photo_words import PHOTO_WORDS
from stages.classify import score
from stages.fuse import Fuse
from stages.words.head_share import read_base
from stages.words.labels import LabelSet, build_label_set
from training.encoder import Encoder, photos
from training.evaluate.head import fused_embeddings
from training.features import Features
from training.intervals import bootstrap, share

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
KINDS = ("action", "av-event", "object")
SOUNDS_PER_PHOTO = 16
VIEWS = ("fused", "pool", "picture", "motion", "sound")
"""With the fusion head, without it, and each modality alone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with clips/, audio/ and images/")
    with tempfile.TemporaryDirectory(prefix="accuracy-") as folder:
        run = RunSettings(model=options.model, cache_directory=options.cache or folder, threads=2)
        judge, encoder = Judge(run), Encoder(run)
        figures: dict[str, Any] = {"model": judge.spec.id}
        figures |= on_clips(options.data / "clips", encoder, judge)
        figures |= on_sounds_and_pairs(options.data, encoder, judge)
        if options.model == "percept-mini":
            figures |= on_motion_pairs(options.data, encoder, judge)
        encoder.close()
        judge.close()
    if options.model == "percept-mini":
        figures |= on_motions(options.data)
        figures["text"] = on_text(options.data)
    print(table(figures))
    report.write("accuracy", msgspec.to_builtins(figures))


class Judge:
    """Ranks labels for features, with the product's own label sets, fusion head and scores."""

    def __init__(self, run: RunSettings) -> None:
        self.spec = read_model(run.model)
        self.run = run
        self._resources = Resources()
        self._head = Fuse(Fuse.Options(), run, Budget()) if self.spec.fusion else None
        if self._head:
            self._head.improve(lambda message: None)
            self._head.open(self._resources)

    def close(self) -> None:
        self._resources.close()

    def labels(self, words: Iterable[str]) -> LabelSet:
        return build_label_set(self.spec, tuple(words), self.run, lambda message: None)

    def ranked(self, labels: LabelSet, features: Features, with_head: bool = True) -> list[str]:
        """All labels, best first."""
        return list(self.probabilities(labels, features, with_head))

    def probabilities(self, labels: LabelSet, features: Features, with_head: bool = True) -> dict[str, float]:
        """Those of all labels, the best first."""
        embeddings = {name: each for name, each in features.embeddings.items() if name in labels.sides}
        fused = fused_embeddings(self._head, features, embeddings) if self._head and with_head else None
        rows = score(labels, embeddings, features.signals, len(labels.labels), fused)
        return {row["label"]: row["probability"] for row in rows}

    def views(self, labels: LabelSet, features: Features) -> dict[str, list[str]]:
        """The ranking of each of `VIEWS` for which the features have the modality."""
        found = {"fused": self.ranked(labels, features), "pool": self.ranked(labels, features, with_head=False)}
        for name, modality in (("picture", "image"), ("motion", "motion"), ("sound", "audio")):
            if modality in features.tokens:
                found[name] = self.ranked(labels, features.only(modality))
        return found

    def novel(self, words: Iterable[str]) -> set[str]:
        """The words that the fusion head was not trained on; all of them if the model has no head."""
        fusion = self.spec.fusion
        base = read_base(Path(fusion.directory) / fusion.base) if fusion else frozenset()
        return {word for word in words if word not in base}


def on_clips(folder: Path, encoder: Encoder, judge: Judge) -> dict[str, Any]:
    """Figures of the labelled clips, with pictures alone and with all modalities."""
    labels = judge.labels((folder / "all_labels.txt").read_text().splitlines())
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in KINDS]
    related = [row["audio_related"] == "1" for row in rows]
    ranks: dict[str, list[int]] = {"picture": [], "pool": [], "all": []}
    quiet, unchanged = silence(encoder), []
    for row in rows:
        features = encoder.file(folder / row["file"])
        found = judge.views(labels, features)
        for name, view in (("picture", "picture"), ("pool", "pool"), ("all", "fused")):
            ranks[name].append(found[view].index(row["label"]))
        seen = features.only("image", "motion")
        unchanged.append(judge.ranked(labels, seen)[0] == judge.ranked(labels, together(seen, quiet))[0])
    figures: dict[str, Any] = {"clips": len(rows), "words": len(labels.labels)}
    for name, places in ranks.items():
        with_sound = [place for place, is_related in zip(places, related, strict=True) if is_related]
        for top in (1, 5):
            figures[f"{name}_top{top}"] = share(place < top for place in places)
            figures[f"{name}_top{top}_where_sound_belongs"] = share(place < top for place in with_sound)
    return figures | {"first_word_kept_with_silence": share(unchanged)}


def silence(encoder: Encoder) -> Features:
    """The features of two seconds of silence."""
    with tempfile.TemporaryDirectory(prefix="silence-") as folder:
        path = Path(folder) / "silence.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 2 * 16_000))
        return encoder.file(path)


def together(seen: Features, heard: Features, modality: str = "audio") -> Features:
    """A clip with the features of `seen`, and with those of `heard` for one modality."""
    sound = heard.only(modality).tokens
    signals = {name: of for name, of in seen.signals.items() if name != modality}
    signals |= {modality: heard.signals[modality]} if modality in heard.signals else {}
    part = seen.clips[0] if seen.clips else None
    counts = {name: len(tokens) for name, tokens in {**seen.tokens, **sound}.items()}
    clips = (msgspec.structs.replace(part, counts=counts, signals=signals),) if part else ()
    return Features({**seen.tokens, **sound}, signals, clips)


def on_sounds_and_pairs(data: Path, encoder: Encoder, judge: Judge) -> dict[str, Any]:
    """Figures of ESC-10 fold 3 alone, and of every photo of `PHOTO_WORDS` with some of these sounds."""
    files = sorted((data / "audio" / "esc10").glob("*/3-*.ogg"))
    names = sorted({path.parent.name.replace("_", " ") for path in files})
    heard = [(path.parent.name.replace("_", " "), encoder.file(path)) for path in files]
    ten = judge.labels(names)
    figures: dict[str, Any] = {"sound_top1": share(judge.ranked(ten, sound)[0] == name for name, sound in heard)}
    seen = {
        name: encoder.photo(picture).only("image")
        for name, picture in photos(data / "images" / "imagenet-1-per-class.tar")
        if name in set(PHOTO_WORDS)
    }
    fifty = judge.labels([*names, *PHOTO_WORDS])
    novel = judge.novel([*names, *PHOTO_WORDS])
    found = []
    for word, number in pairs([*PHOTO_WORDS], len(heard)):
        sound_name, sound = heard[number]
        views = judge.views(fifty, together(seen[word], sound))
        found.append(({word, sound_name}, {view: set(ranked[:2]) for view, ranked in views.items()}))
    kinds = {"pairs": found, "novel_pairs": [each for each in found if each[0] <= novel]}
    kinds["base_pairs"] = [each for each in found if not each[0] & novel]
    for kind, chosen in kinds.items():
        figures[kind] = len(chosen)
        figures |= counted(kind, chosen)
    return figures


def counted(kind: str, chosen: list[tuple[set[str], dict[str, set[str]]]]) -> dict[str, Any]:
    """Shares of clips with both, and at least one, of their two right words in each view's top 2; the head's gain."""
    figures: dict[str, Any] = {}
    for view in VIEWS if chosen else ():
        if view in chosen[0][1]:
            figures[f"{kind}_both_{view}"] = share(right == first[view] for right, first in chosen)
            figures[f"{kind}_one_{view}"] = share(bool(right & first[view]) for right, first in chosen)
    gains = [(right == first["fused"]) - (right == first["pool"]) for right, first in chosen]
    if gains:
        low, high = bootstrap(gains, lambda drawn: float(drawn.mean()), seed=0)
        figures[f"{kind}_gain_of_head"] = {"value": sum(gains) / len(gains), "low": low, "high": high}
    return figures


def on_motion_pairs(data: Path, encoder: Encoder, judge: Judge) -> dict[str, Any]:
    """Every photo of `PHOTO_WORDS` with some held-out motions, against photo words and motion words."""
    from recipes.percept_mini import composed_tokens, motion_data
    from recipes.percept_mini.motion_figures import answers_to_test
    from recipes.percept_mini.motion_words import KIND_WORDS

    answers_to_test(data)  # makes missing clips
    moved = composed_tokens.motions(judge.spec, motion_data.RUNS, "test")
    kinds = moved.truth[:, : len(KIND_WORDS)] == 1
    clear = [number for number, row in enumerate(kinds) if row.sum() == 1]
    labels = judge.labels([*KIND_WORDS, *PHOTO_WORDS])
    seen = dict(photos(data / "images" / "imagenet-1-per-class.tar"))
    found = []
    for word, number in pairs([*PHOTO_WORDS], len(clear)):
        photo = encoder.photo(seen[word]).only("image")
        motion = Features({"motion": moved.tokens[clear[number]]}, {})
        views = judge.views(labels, together(photo, motion, "motion"))
        right = {word, KIND_WORDS[int(kinds[clear[number]].argmax())]}
        found.append((right, {view: set(ranked[:2]) for view, ranked in views.items()}))
    return {"motion_pairs": len(found)} | counted("motion_pairs", found)


def pairs(words: list[str], sounds: int) -> list[tuple[str, int]]:
    """(word, sound number) for every word and some sounds; a prime step makes every sound occur."""
    return [
        (word, (index * SOUNDS_PER_PHOTO + k) * 7 % sounds)
        for index, word in enumerate(words)
        for k in range(SOUNDS_PER_PHOTO)
    ]


def on_motions(data: Path) -> dict[str, Any]:
    """Figures of the motion tower on synthetic clips whose photos, speeds and noise it was not trained on."""
    from recipes.percept_mini.motion_figures import answers_to_test, figures

    return dict(figures(answers_to_test(data)))


def on_text(data: Path) -> dict[str, float]:
    """Agreement of the text tower with its teacher on the Kinetics-700 names."""
    from recipes.percept_mini.distil_text import agreement
    from recipes.percept_mini.text_data import BUNDLED

    names = (data / "text" / "kinetics_label_map_k700.txt").read_text().splitlines()
    return agreement(names, BUNDLED)


def table(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name:36} {value}" for name, value in figures.items())


if __name__ == "__main__":
    main()
