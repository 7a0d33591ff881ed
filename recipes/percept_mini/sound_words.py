"""Which words are right for a labelled sound, which are wrong, and which are neither."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from recipes.percept_mini.sound_read_out import PROMPT, text_vectors
from stages.words.scoring import competing

TEMPERATURE = 0.07
"""Divides the cosines of a token and words."""
NO_RIVAL = 1e-9
ALSO_RIGHT = {
    "applause": ("clapping hands",),
    "baby cry": ("baby crying",),
    "dog": ("dog bark", "dog barking"),
    "dog bark": ("dog", "dog barking"),
    "drilling": ("drill",),
    "fire crackling": ("fire",),
    "gun shot": ("gunshot",),
    "people talking": ("speech",),
    "person sneeze": ("sneezing",),
    "sea waves": ("waves",),
    "street music": ("music",),
}
"""Other words for what a folder is named after."""
PLAYED = (
    *("acoustic guitar", "bass drum", "cello", "clarinet", "double bass", "flute", "hi hat", "saxophone"),
    *("snare drum", "violin or fiddle"),
)
MUSIC = (
    *("concert", "orchestra", "rock music", "jazz", "classical music", "hip hop", "electronic music", "opera"),
    *("choir", "singing", "radio", "loudspeaker", "music", "street music"),
)
STREET = ("street", "car", "truck", "bus", "van", "taxi", "motorcycle", "driving", "crossing", "highway")
VOICES = ("person", "man", "woman", "child", "child speaking", "crowd", "speech", "shouting", "laughing")
NEITHER = {
    **dict.fromkeys(PLAYED, MUSIC),
    "street music": (
        *MUSIC,
        *PLAYED,
        *VOICES,
        "guitar",
        "violin",
        "accordion",
        "trumpet",
        "drum kit",
        "people talking",
    ),
    "children playing": (*VOICES, "people talking", "baby", "screaming", "cheering", "singing", "playground", "school"),
    "people talking": (*VOICES, "whispering", "radio", "television", "telephone", "talking on the phone", "reading"),
    "applause": (*VOICES, "cheering", "concert", "theatre"),
    "siren": (*STREET, "ambulance", "police car", "fire engine", "car alarm"),
    "engine idling": (*STREET, "engine", "engine revving", "tractor"),
    "car horn": (*STREET, "car alarm"),
    "jackhammer": (*STREET, "construction site", "building", "digging"),
    "drilling": (*STREET, "construction site", "building", "repairing", "screwdriver"),
    "gun shot": ("gun", "bang", "explosion", "fighting", "soldier"),
    "baby cry": ("baby", "crying", "child", "screaming"),
    "rain": ("storm", "water", "wind"),
    "sea waves": ("sea", "beach", "water", "wind", "surfing"),
    "fire crackling": ("campfire", "fireplace", "crackling", "smoke"),
    "clock tick": ("clock", "ticking", "alarm clock", "clicking"),
    "bird": ("songbird", "chirping", "crow", "owl", "parrot", "pigeon", "seagull", "duck", "goose", "swan"),
    "chicken": ("bird", "rooster", "crowing"),
    "rooster": ("bird", "chicken", "crowing"),
    "cat": ("meowing", "purring", "hissing"),
    "dog": ("barking", "howling", "growling"),
    "dog bark": ("barking", "howling", "growling"),
    "lion": ("roaring", "growling", "tiger"),
    "sheep": ("bleating", "goat"),
    "cow": ("mooing",),
    "frog": ("croaking",),
}
"""Words that may be true of a sound with a label, too."""


class Words:
    """What tokens of labelled patches are compared with: the labels' words, and a background, whose words are wrong."""

    def __init__(self, labels: list[str], background: list[str], center: Tensor) -> None:
        right = {label: (label, *ALSO_RIGHT.get(label, ())) for label in labels}
        named = list(dict.fromkeys(word for words in right.values() for word in words))
        only = [word for word in background if word not in named]
        texts = [*named, *only]
        self._vectors = vectors_of(texts, center)
        self._right = torch.tensor([[text in right[label] for text in texts] for label in labels])
        rivals = torch.ones(len(labels), len(texts))  # in [0, 1]: how far a word competes with those of a label
        kept = competing(vectors_of(labels, center).numpy(), self._vectors[len(named) :].numpy())
        rivals[:, len(named) :] = torch.from_numpy(kept)
        known = [[text in (*right[label], *NEITHER.get(label, ())) for text in texts] for label in labels]
        self._log_rivals = rivals.masked_fill(torch.tensor(known), 0).clamp_min(NO_RIVAL).log()

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each right word against the wrong ones: tokens "N 384", rows of labels "N", -1 for none."""
        has = labels >= 0
        rows = labels[has]
        near = F.normalize(tokens[has], dim=-1) @ self._vectors.T / TEMPERATURE
        against = torch.logsumexp(near + self._log_rivals[rows], dim=1, keepdim=True)
        right = self._right[rows]
        return ((F.softplus(against - near) * right).sum(1) / right.sum(1)).mean()


def vectors_of(words: list[str], center: Tensor) -> Tensor:
    """Label vectors as the product makes them: "N 384", unit length."""
    return F.normalize(text_vectors([PROMPT.format(word) for word in words]) - center, dim=-1)
