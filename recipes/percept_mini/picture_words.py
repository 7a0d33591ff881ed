"""Which words are right of a photo, from its boxes and from what its captions say.

Other words are unknown: captions leave out much, and the box of a person does not tell whether it is a woman.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipeline.arrays import Array
from recipes.percept_mini.picture_data import Photo, View

UNKNOWN, WRONG, RIGHT = -1.0, 0.0, 1.0
ONCE = 0.75
"""Target of a word that only one caption of several has."""
SAID = 2
"""Captions that must have a word for people before it counts as right."""
MEN = frozenset(["man", "men", "guy", "guys", "gentleman", "gentlemen", "groom", "cowboy"])
WOMEN = frozenset(["woman", "women", "lady", "ladies", "bride"])
CHILDREN = frozenset(
    ["boy", "boys", "girl", "girls", "child", "children", "kid", "kids", "toddler", "toddlers", "baby", "babies"]
)
OTHERS = frozenset(
    [
        "person",
        "people",
        "couple",
        "crowd",
        "family",
        "player",
        "players",
        "rider",
        "riders",
        "cyclist",
        "biker",
        "runner",
        "swimmer",
        "surfer",
        "skier",
        "climber",
        "hiker",
        "skateboarder",
        "snowboarder",
        "worker",
        "performer",
        "musician",
        "athlete",
        "soldier",
        "soldiers",
        "officer",
        "policeman",
        "someone",
        "adult",
        "adults",
        "teenager",
        "teenagers",
        "male",
        "female",
    ]
)
PEOPLE = MEN | WOMEN | CHILDREN | OTHERS
SEVERAL = frozenset(
    [
        "men",
        "women",
        "boys",
        "girls",
        "children",
        "kids",
        "people",
        "guys",
        "ladies",
        "players",
        "crowd",
        "couple",
        "family",
        "adults",
        "teenagers",
        "toddlers",
        "babies",
        "soldiers",
        "riders",
    ]
)
OF_PEOPLE: Mapping[str, frozenset[str]] = {"man": MEN, "woman": WOMEN, "child": CHILDREN}


NO_VERBS = frozenset(
    [
        *("anything", "building", "ceiling", "clothing", "evening", "everything", "lighting", "morning", "nothing"),
        *("painting", "parking", "railing", "scaffolding", "setting", "sibling", "sling", "something", "spring"),
        *("string", "swing", "thing", "wedding"),
    ]
)
LITTLE = frozenset(["a", "an", "the", "of", "in", "on", "at", "to", "with", "for", "by", "from", "his", "her", "their"])
"""Words that say nothing at the end of a phrase."""
ENDS = frozenset(["and", "while", "as", "near", "next", "behind", "that", "who", "which", "is", "are", "during", "it"])
"""Words at which a phrase ends."""
LONGEST_PHRASE = 5


def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def singular(token: str) -> str:
    """dogs -> dog, bushes -> bush, puppies -> puppy; good enough to compare captions with words."""
    if token.endswith("ies") and len(token) > 4:
        return token[:-3] + "y"
    if token.endswith(("ses", "xes", "zes", "hes")):
        return token[:-2]
    return token[:-1] if token.endswith("s") and not token.endswith("ss") and len(token) > 3 else token


def phrases(caption: str) -> tuple[str, ...]:
    """Who, and what they do, as a label would say it: "black dog", "jumping over a log"."""
    words = tokens(caption)
    verbs = [place for place, word in enumerate(words) if _is_verb(word)]
    subject = words[: min(verbs[0] if verbs else LONGEST_PHRASE, LONGEST_PHRASE)]
    spans = [subject[1:] if subject[:1] and subject[0] in LITTLE else subject]
    spans += (words[place : place + LONGEST_PHRASE] for place in verbs)
    return tuple(dict.fromkeys(text for text in (" ".join(_whole(span)) for span in spans) if text))


def _is_verb(word: str) -> bool:
    return len(word) > 4 and word.endswith("ing") and word not in NO_VERBS


def _whole(span: Sequence[str]) -> list[str]:
    """Up to where another part of the sentence begins, without small words at the end."""
    cut = next((n for n, word in enumerate(span) if n and (word in ENDS or _is_verb(word))), len(span))
    kept = [word for word in span[:cut] if word not in ("is", "are")]
    while kept and kept[-1] in LITTLE:
        kept.pop()
    return kept


class Targets:
    """Targets of words for views: 1 right, 0 wrong, between them if captions disagree, -1 unknown."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self._place = {word: place for place, word in enumerate(self.words)}
        self._said = [f" {' '.join(map(singular, tokens(word)))} " for word in self.words]
        self._of_captions: dict[tuple[str, ...], Array] = {}

    def of(self, photo: Photo, view: View) -> Array:
        """float16 "W"."""
        target = np.full(len(self.words), UNKNOWN, np.float16)
        if photo.captions and not photo.boxes:
            target = self._from_captions(photo.captions).copy()
        self._set(target, view.right, RIGHT)
        self._set(target, view.wrong, WRONG)
        if "person" in view.wrong:
            self._set(target, ("people", *OF_PEOPLE), WRONG)
        return target

    def _set(self, target: Array, words: Iterable[str], value: float) -> None:
        for word in words:
            if word in self._place:
                target[self._place[word]] = value

    def _from_captions(self, captions: tuple[str, ...]) -> Array:
        if captions not in self._of_captions:
            self._of_captions[captions] = self._said_in(captions)
        return self._of_captions[captions]

    def _said_in(self, captions: tuple[str, ...]) -> Array:
        texts = [f" {' '.join(map(singular, tokens(caption)))} " for caption in captions]
        counts = np.array([sum(said in text for text in texts) for said in self._said])
        target: Array = np.where(counts >= SAID, RIGHT, np.where(counts == 1, ONCE, WRONG)).astype(np.float16)
        found = [set(tokens(caption)) for caption in captions]
        with_people = sum(bool(each & PEOPLE) for each in found)
        several = sum(bool(each & SEVERAL) for each in found)
        self._set(target, ["person"], RIGHT if with_people >= SAID else UNKNOWN if with_people else WRONG)
        self._set(target, ["people"], RIGHT if several >= SAID else UNKNOWN if with_people else WRONG)
        for word, said in OF_PEOPLE.items():
            own = sum(bool(each & said) for each in found)
            of_others = sum(bool(each & (MEN | WOMEN | CHILDREN)) for each in found)
            is_wrong = not with_people or (not own and of_others > len(captions) / 2)
            self._set(target, [word], RIGHT if own >= SAID else WRONG if is_wrong else UNKNOWN)
        return target
