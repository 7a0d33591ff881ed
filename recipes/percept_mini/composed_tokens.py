"""Tokens of photos, sounds and motions, each from its own tower of percept-mini.

Towers are independent, so a clip composed of their tokens has the tokens of picture and sound played together. Tokens
are computed once per tower and kept in `recipes/runs/fusion`.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from engines.models.model import ModelSpec, TowerSpec
from engines.models.network import network
from engines.networks.log_mel import LogMel
from engines.networks.sound import ConceptSound, load_sound
from pipeline.arrays import Array
from recipes.percept_mini import motion_data
from recipes.percept_mini.sound_data import as_float, read_audio
from stages.loudness import TARGET_DBFS, normalised
from stages.pictures import frame_pictures

SIDE_PX = 224
FRAMES = 4
"""Frames of the clip made from each photo, in which a camera moves over it."""
VARIANTS = {"imagenet": 4, "tiny": 1}
"""Clips per photo of each collection."""
PIECE = 32_000
"""Samples in one piece of sound: two seconds."""
PIECES = 3
PATCHES = 3
TOGETHER = 64


class Photos(NamedTuple):
    tokens: Array
    """float32 "N T D"."""
    words: list[str]
    synsets: list[str]


class Sounds(NamedTuple):
    scores: Array
    """Scores of the AudioSet names, float32 "N K 521", not read out yet so that names can be swapped."""
    words: list[str]
    files: list[str]
    """Relative to the folder of recordings."""


class Motions(NamedTuple):
    tokens: Array
    """float32 "N 1 D"."""
    truth: Array
    """int8 "N W", over the motion words."""


def photos(data: Path, spec: ModelSpec, folder: Path, left_out: tuple[str, ...]) -> Photos:
    """Every ImageNet photo except those of the classes `left_out`, and Tiny-ImageNet's training photos."""
    assert spec.image is not None
    tower = spec.image
    path = folder / f"photos-{_fingerprint(tower, left_out)}.npz"
    return Photos(*_kept(path, lambda: _make_photos(data, tower, left_out)))


def sounds(data: Path, spec: ModelSpec, folder: Path) -> Sounds:
    """Two-second pieces of all recordings that may be trained on."""
    assert spec.audio is not None
    tower = spec.audio
    path = folder / f"sounds{TARGET_DBFS:g}dBFS-{_fingerprint(tower)}.npz"
    return Sounds(*_kept(path, lambda: _make_sounds(data, tower)))


def motions(spec: ModelSpec, runs: Path, split: str) -> Motions:
    """The motion tower's tokens of the clips of a split: "train", which it was trained on, or "check"."""
    assert spec.motion is not None
    pictures, truth, _ = motion_data.load(runs, split)
    tower = network(spec.motion.network).load(Path(spec.motion.directory))
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.motion.mean, spec.motion.std))
    tokens = []
    with torch.inference_mode():
        for begin in range(0, len(pictures), TOGETHER):
            part = torch.from_numpy(pictures[begin : begin + TOGETHER]).float() / 255
            tokens.append(tower((part - mean) / std).numpy())
    return Motions(np.concatenate(tokens)[:, None], truth)


def _fingerprint(tower: TowerSpec, left_out: tuple[str, ...] = ()) -> str:
    facts = {**network(tower.network).fingerprint(Path(tower.directory)), "fit": tower.fit, "left_out": left_out}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _kept(path: Path, make: Callable[[], tuple[Array, list[str], list[str]]]) -> tuple[Array, list[str], list[str]]:
    if not path.is_file():
        values, first, second = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        with half.open("wb") as file:
            np.savez(file, values=values.astype(np.float16), first=first, second=second)
        half.replace(path)
    with np.load(path) as file:
        return file["values"].astype(np.float32), file["first"].tolist(), file["second"].tolist()


def _make_photos(data: Path, tower: TowerSpec, left_out: tuple[str, ...]) -> tuple[Array, list[str], list[str]]:
    module = network(tower.network).load(Path(tower.directory))
    random = np.random.default_rng(0)
    tokens: list[Array] = []
    words: list[str] = []
    synsets: list[str] = []
    for source, synset, word, picture in _photos(data):
        if source == "imagenet" and word in left_out:
            continue
        for _ in range(VARIANTS[source]):
            frames = frame_pictures(filmed_clip(picture, random), tower)
            with torch.inference_mode():
                tokens.append(module(torch.from_numpy(frames)).numpy())
            words.append(word)
            synsets.append(synset)
    return np.stack(tokens), words, synsets


def _photos(data: Path) -> Iterator[tuple[str, str, str, Array]]:
    """Yields (collection, synset, word, picture uint8 "H W 3")."""
    images = data / "images"
    with tarfile.open(images / "imagenet-1-per-class.tar") as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            synset, _, name = Path(member.name).stem.partition("_")
            yield "imagenet", synset, name.replace("_", " ").lower(), _picture(archive, member)
    lines = (images / "tiny_imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    names = {synset: names.split(",")[0].strip().lower() for synset, _, names in (li.partition("\t") for li in lines)}
    with tarfile.open(images / "tiny-imagenet-200x15.tar") as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            if member.name.startswith("train/"):
                synset = Path(member.name).parent.name
                yield "tiny", synset, names[synset], _picture(archive, member)


def _picture(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Array:
    content = archive.extractfile(member)
    assert content is not None
    packed = np.frombuffer(BytesIO(content.read()).getbuffer(), np.uint8)
    picture: Array = cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return picture


def filmed_clip(picture: Array, random: np.random.Generator) -> Array:
    """A photo filmed by a camera that moves over it: cropped, blurred, dark or noisy; uint8 "T S S 3"."""
    short = min(picture.shape[:2])
    side = int(short * random.uniform(0.5, 1.0))
    room = np.array(picture.shape[:2]) - side
    begin, end = random.uniform(0, 1, (2, 2)) * room
    blur, light, noise = random.choice([0, 0, 1, 2, 4]), random.uniform(0.4, 1.1), random.choice([0, 0, 10, 30])
    frames = []
    for part in np.linspace(0, 1, FRAMES):
        top, left = (begin + part * (end - begin)).astype(int)
        cut = cv2.resize(
            picture[top : top + side, left : left + side], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC
        )
        cut = cv2.GaussianBlur(cut, (0, 0), float(blur)) if blur else cut
        grain = random.normal(0, 1, cut.shape) * noise
        frames.append(np.clip(cut * light + grain, 0, 255).astype(np.uint8))
    return np.stack(frames)


def _make_sounds(data: Path, tower: TowerSpec) -> tuple[Array, list[str], list[str]]:
    module, log_mel, random = load_sound(Path(tower.directory)), LogMel(), np.random.default_rng(0)
    scores: list[Array] = []
    words: list[str] = []
    files: list[str] = []
    for path in sorted((data / "audio").glob("*/*/*.ogg")):
        name = str(path.relative_to(data / "audio"))
        if name.startswith("esc10/") and path.name.startswith("3-"):
            continue
        samples = as_float(read_audio(path))
        for _ in range(PIECES):
            scores.append(name_scores(module, log_mel, normalised(loud_piece(samples, random))))
            words.append(path.parent.name.replace("_", " "))
            files.append(name)
    return np.stack(scores), words, files


def loud_piece(samples: Array, random: np.random.Generator) -> Array:
    """The loudest of five random pieces of two seconds; a shorter recording is padded with silence."""
    if len(samples) <= PIECE:
        return np.pad(samples, (0, PIECE - len(samples)))
    begins = random.integers(0, len(samples) - PIECE, 5)
    begin = max(begins, key=lambda at: float(np.square(samples[at : at + PIECE]).sum()))
    return samples[begin : begin + PIECE]


def name_scores(module: ConceptSound, log_mel: LogMel, samples: Array) -> Array:
    """Scores of the AudioSet names in each patch, "K 521", at most `PATCHES` of them."""
    with torch.inference_mode():
        scores: Array = module.logits(log_mel(torch.from_numpy(samples.astype(np.float32)))).sigmoid().numpy()
    return scores[:PATCHES]
