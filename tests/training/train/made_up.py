"""Made-up features and labels, small enough to train on in a second."""

import numpy as np

from engines.models.model import ModelSpec, TextSpec, TowerSpec
from pipeline.arrays import Array
from stages.words import scoring
from stages.words.labels import LabelSet, LabelSide
from training.data.example import Example
from training.features import ClipPart, Features
from training.train.evaluation import Evaluation
from training.train.head import HeadTrainee, Held
from training.train.plan import TrainingPlan, usual_plan
from training.train.vectors import VectorTrainee

DIM = 16
BASE = ("dog", "rain", "violin", "car")
NOVEL = ("cat", "drum")
LABELS = BASE + NOVEL
TOKENS = {"image": 4, "audio": 3}


def unit(values: Array) -> Array:
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def spec() -> ModelSpec:
    tower = TowerSpec(network="clip_vision", space="words")
    texts = {"words": TextSpec(network="clip_text", dim=DIM)}
    return ModelSpec(name="made-up", texts=texts, image=tower, audio=tower)


def label_set() -> LabelSet:
    random = np.random.default_rng(0)
    vectors = unit(random.standard_normal((len(LABELS), DIM))).astype(np.float32)
    background = unit(random.standard_normal((20, DIM))).astype(np.float32)
    side = LabelSide(vectors, background, scoring.competing(vectors, background), temperature=0.1, bias=0.0)
    return LabelSet(LABELS, {"image": side, "audio": side}, tuple(f"word {k}" for k in range(20)))


def features(label: str, number: int, clips: int = 1, audio: bool = True) -> Features:
    """The picture is a weak cue of the label; the sound is a strong one, but not aligned with the words."""
    random = np.random.default_rng((LABELS.index(label), number))
    vector = label_set().sides["image"].labels[LABELS.index(label)]
    meant = {"image": 0.1 * vector, "audio": 0.5 * np.roll(vector, 5)}
    names = ["image", "audio"] if audio else ["image"]
    parts, tokens = [], {name: [] for name in names}
    for clip in range(clips):
        for name in names:
            noise = random.standard_normal((TOKENS[name], DIM)) * 0.2
            tokens[name].append((meant[name] + noise).astype(np.float32))
        parts.append(ClipPart(2.0 * clip, 2.0 * clip + 2, {name: TOKENS[name] for name in names}))
    return Features({name: np.concatenate(each) for name, each in tokens.items()}, {}, tuple(parts))


def learnt(per_label: int = 12, **how: bool) -> list[tuple[Features, int]]:
    return [(features(label, number, **how), BASE.index(label)) for label in BASE for number in range(per_label)]


def held(per_label: int = 10) -> Held:
    examples = tuple(Example(f"{label}-{k}.mp4", label) for label in LABELS for k in range(per_label))
    known = tuple(features(label, 100 + k, clips=2) for label in LABELS for k in range(per_label))
    return Held(BASE, known, Evaluation(examples, LABELS, NOVEL))


def plan(what: str = "head", **changes: object) -> TrainingPlan:
    import msgspec

    return msgspec.structs.replace(usual_plan(what), **{"steps": 30, "every_steps": 5, "batch": 8, **changes})


def head(with_plan: TrainingPlan) -> HeadTrainee:
    return HeadTrainee(spec(), label_set(), with_plan, learnt(), held())


def vectors(with_plan: TrainingPlan) -> VectorTrainee:
    return VectorTrainee(label_set(), with_plan, learnt(), held())
