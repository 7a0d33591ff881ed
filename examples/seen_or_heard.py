"""Is it seen or heard? Compare what picture and sound say: python seen_or_heard.py talk.mp4 dog rain siren"""

import sys

import percept


def main(video: str, words: list[str]) -> None:
    best: dict[str, tuple[float, float]] = {}
    for result in percept.run(video, labels=words, top_k=len(words)):
        for label in result.labels or ():
            seen, heard = (of(label, modality) for modality in ("image", "audio"))
            before = best.get(label.label, (0.0, 0.0))
            best[label.label] = (max(before[0], seen), max(before[1], heard))
    for word, (seen, heard) in best.items():
        print(f"{word:16} seen {seen:4.0%}  heard {heard:4.0%}  {verdict(seen, heard)}")


def of(label: percept.Label, modality: str) -> float:
    """The label's probability from one modality alone; 0 if the clip has no such stream."""
    evidence = label.evidence.get(modality)
    return evidence.probability if evidence else 0.0


def verdict(seen: float, heard: float, least: float = 0.5) -> str:
    names = [name for name, value in (("seen", seen), ("heard", heard)) if value >= least]
    return " and ".join(names) or "neither"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
