"""WordNet 3.0 as plain records, read from the files of the Debian package `wordnet-base`."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}


@dataclass(frozen=True)
class Synset:
    """One meaning: its words ("acoustic guitar"), its kinds (hypernyms), its definition and example sentences."""

    part: str
    offset: int
    lemmas: tuple[str, ...]
    hypernyms: tuple[int, ...]
    definition: str
    examples: tuple[str, ...]


def read_synsets(part: str, folder: Path = WORDNET) -> dict[int, Synset]:
    """All synsets of a part of speech ("n", "v", "a", "r"), by offset.

    The digits of an ImageNet class ("n02084071") are the offset of a noun.

    Raises:
        FileNotFoundError: WordNet is not installed; the message says how to install it.
    """
    file = folder / f"data.{PARTS[part]}"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: does not exist; expected WordNet 3.0. Run: apt-get install wordnet-base")
    lines = file.read_text(encoding="latin-1").splitlines()
    found = (parse_synset(line, part) for line in lines if not line.startswith("  "))
    return {synset.offset: synset for synset in found}


def parse_synset(line: str, part: str) -> Synset:
    """Parse a line of `data.noun` or a similar file; format: the manual page wndb(5WN)."""
    data, _, gloss = line.partition(" | ")
    fields = data.split()
    count = int(fields[3], 16)
    lemmas = tuple(re.sub(r"\((?:a|p|ip)\)$", "", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
    pointers = fields[5 + 2 * count : 5 + 2 * count + 4 * int(fields[4 + 2 * count])]
    hypernyms = tuple(int(pointers[i + 1]) for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i"))
    definition = gloss.split('; "')[0].strip().strip(";")
    examples = tuple(text.strip() for text in re.findall(r'"([^"]+)"', gloss))
    return Synset(part, int(fields[0]), lemmas, hypernyms, definition, examples)


def above(offset: int, nouns: dict[int, Synset]) -> set[int]:
    """All kinds above a noun (hypernyms at any distance), without the noun itself."""
    found, todo = set[int](), list(nouns[offset].hypernyms)
    while todo:
        next_one = todo.pop()
        if next_one not in found:
            found.add(next_one)
            todo += nouns[next_one].hypernyms
    return found


def lemma_counts(part: str, folder: Path = WORDNET) -> Counter[str]:
    """How often each word occurs as this part of speech in WordNet's sense-tagged texts."""
    kinds = {"n": "1", "v": "2", "a": "35", "r": "4"}[part]
    counts: Counter[str] = Counter()
    for line in (folder / "cntlist.rev").read_text(encoding="latin-1").splitlines():
        key, _, count = line.split()
        lemma, _, sense = key.partition("%")
        if sense[0] in kinds:
            counts[lemma.replace("_", " ")] += int(count)
    return counts
