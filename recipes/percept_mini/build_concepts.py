"""Write what the bundled picture tower is read out with, and the text vectors that the package brings ready-made.

    python -m recipes.percept_mini.build_concepts             all files
    python -m recipes.percept_mini.build_concepts --vectors   text-vectors.npz alone, after a change of words

Run it again after every change of the text tower. Needs, for the first form, the Debian package `wordnet-base`.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from engines.networks.picture import CONCEPTS_FILE, load_network
from recipes.percept_mini.text_data import BUNDLED, text_vectors
from recipes.percept_mini.wordnet import Synset, read_synsets

SYNSETS = Path(__file__).parent / "imagenet_synsets.txt"
PROMPT = "a photo of {}"
VECTORS_FILE = "text-vectors.npz"
RIDGE = 1.0
SHARE = 0.38
"""Of the projection in a token; probabilities count 1. Both are from `recipes.percept_mini.choose_read_out`."""
VECTOR_PROMPTS = ("a photo of {}", "motion: {}", "the sound of {}")
Vectors = npt.NDArray[np.float32]


def imagenet_synsets() -> list[Synset]:
    """The 1000 classes in the order of the network's outputs, which is that of their WordNet offsets."""
    nouns = read_synsets("n")
    return [nouns[int(line[1:])] for line in SYNSETS.read_text().split()]


def descriptions(synset: Synset, nouns: dict[int, Synset]) -> tuple[str, str, str, str]:
    """A concept in four ways: its name, with what it is a kind of, with its definition, and the definition alone."""
    name = synset.lemmas[0]
    kind = nouns[synset.hypernyms[0]].lemmas[0]
    meant = synset.definition
    return PROMPT.format(name), PROMPT.format(f"{name}, {kind}"), PROMPT.format(f"{name}, {meant}"), meant


def description_vectors(texts: list[tuple[str, str, str, str]]) -> list[Vectors]:
    """Text vectors "1000 384" of each of the four ways; label vectors are centred on the mean of the first."""
    return [text_vectors([text[way] for text in texts]) for way in range(4)]


def concept_vectors(ways: list[Vectors]) -> Vectors:
    """Concepts "1000 384": each way centred among its own kind and normalised, then their mean, normalised again.

    With what a thing is a kind of and what it is for, things and actions without a concept of their own come out right
    more often.
    """
    return normalise(np.sum([normalise(vectors - vectors.mean(0)) for vectors in ways], axis=0))


def weight_directions() -> Vectors:
    """Which features speak for each class: the classifier's weights, centred, at unit length, "1000 1280"."""
    weights: Vectors = load_network()._fc.weight.detach().numpy()
    return normalise(weights - weights.mean(0))


def projection(directions: Vectors, concepts: Vectors) -> Vectors:
    """The linear map "1280 384" that takes the classes' weights to their concepts (ridge regression).

    So every feature points to the words of the classes that it speaks for, also where none of these is in the picture.
    """
    square = directions.T @ directions + RIDGE * np.eye(directions.shape[1], dtype=np.float32)
    found: Vectors = np.linalg.solve(square, directions.T @ concepts).astype(np.float32)
    return found


def normalise(vectors: Vectors) -> Vectors:
    """Rows of unit length."""
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def write_concepts(folder: Path) -> None:
    """concepts.txt, one name a line, and concepts.safetensors."""
    nouns, synsets = read_synsets("n"), imagenet_synsets()
    (folder / "concepts.txt").write_text("".join(f"{synset.lemmas[0]}\n" for synset in synsets))
    ways = description_vectors([descriptions(synset, nouns) for synset in synsets])
    concepts = concept_vectors(ways)
    projected = SHARE * projection(weight_directions(), concepts)
    halves = {"concepts": concepts.astype(np.float16), "projection": projected.astype(np.float16)}
    save_file(halves | {"center": ways[0].mean(0)}, folder / CONCEPTS_FILE)
    (folder / CONCEPTS_FILE).chmod(0o644)


def write_vectors(folder: Path) -> None:
    """text-vectors.npz: vectors of the background vocabulary and the default labels, which start-up need not make then.

    `keys` uint8 "N 16" is the head of the SHA-256 of a prompt, `vectors` float16 "N 384" its vector, as in the shards
    of `stages.words.text_cache`.
    """
    words = [line for name in ("background.txt", "vocabulary.txt") for line in (folder / name).read_text().splitlines()]
    prompts = [prompt.format(word) for prompt in VECTOR_PROMPTS for word in dict.fromkeys(words)]
    keys = np.stack([np.frombuffer(hashlib.sha256(prompt.encode()).digest()[:16], np.uint8) for prompt in prompts])
    np.savez_compressed(folder / VECTORS_FILE, keys=keys, vectors=text_vectors(prompts).astype(np.float16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", action="store_true", help="write text-vectors.npz alone")
    if not parser.parse_args().vectors:
        write_concepts(BUNDLED)
    write_vectors(BUNDLED)


if __name__ == "__main__":
    main()
