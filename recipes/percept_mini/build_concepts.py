"""Write the concept vectors that read out the bundled picture tower, and the text vectors that the package ships.

    python -m recipes.percept_mini.build_concepts             all files
    python -m recipes.percept_mini.build_concepts --vectors   only text-vectors.npz, after the word lists changed

Run it again after every change of the text tower, and then `recipes.percept_mini.train_picture`, which learns the
projection from photos. The first form needs the Debian package `wordnet-base`.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from engines.models.checkpoint import read_model
from engines.networks.picture import CONCEPTS_FILE, load_network
from recipes.percept_mini.text_data import BUNDLED, text_vectors
from recipes.percept_mini.wordnet import Synset, read_synsets
from stages.words.vocabulary import known_words

SYNSETS = Path(__file__).parent / "imagenet_synsets.txt"
PROMPT = "a photo of {}"
VECTORS_FILE = "text-vectors.npz"
RIDGE = 1.0
SHARE = 0.38
"""Weight of the projection in a token; the weight of the probabilities is 1. See `choose_read_out`."""
VECTOR_PROMPTS = ("a photo of {}", "motion: {}", "the sound of {}")
Vectors = npt.NDArray[np.float32]


def imagenet_synsets() -> list[Synset]:
    """The 1000 classes in the order of the network's outputs, which is the order of their WordNet offsets."""
    nouns = read_synsets("n")
    return [nouns[int(line[1:])] for line in SYNSETS.read_text().split()]


def descriptions(synset: Synset, nouns: dict[int, Synset]) -> tuple[str, str, str, str]:
    """Four descriptions of a concept: its name, name and kind, name and definition, and the definition alone."""
    name = synset.lemmas[0]
    kind = nouns[synset.hypernyms[0]].lemmas[0]
    meant = synset.definition
    return PROMPT.format(name), PROMPT.format(f"{name}, {kind}"), PROMPT.format(f"{name}, {meant}"), meant


def description_vectors(texts: list[tuple[str, str, str, str]]) -> list[Vectors]:
    """Text vectors "1000 384" of each of the four descriptions; label vectors are centred on the mean of the first."""
    return [text_vectors([text[way] for text in texts]) for way in range(4)]


def concept_vectors(ways: list[Vectors]) -> Vectors:
    """Concepts "1000 384": each description centred on its own mean and normalised, then summed and normalised again.

    Descriptions that include the kind and the purpose of a thing improve the results for things and actions that have
    no concept of their own.
    """
    return normalise(np.sum([normalise(vectors - vectors.mean(0)) for vectors in ways], axis=0))


def weight_directions() -> Vectors:
    """The features that indicate each class: the classifier's weights, centred, unit length, "1000 1280"."""
    weights: Vectors = load_network()._fc.weight.detach().numpy()
    return normalise(weights - weights.mean(0))


def projection(directions: Vectors, concepts: Vectors) -> Vectors:
    """The linear map "1280 384" from the classes' weights to their concepts (ridge regression).

    Every feature then points to the words of the classes it indicates, even if none of them is in the picture.
    """
    square = directions.T @ directions + RIDGE * np.eye(directions.shape[1], dtype=np.float32)
    found: Vectors = np.linalg.solve(square, directions.T @ concepts).astype(np.float32)
    return found


def fitted_projection(concepts: Vectors) -> Vectors:
    """The projection "1280 384" before any photo, with its share of a token. `train_picture` begins with it."""
    fitted: Vectors = np.float32(SHARE) * projection(weight_directions(), concepts)
    return fitted


def normalise(vectors: Vectors) -> Vectors:
    """Rows of unit length."""
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def write_concepts(folder: Path) -> None:
    """Write concepts.txt, one name per line, and concepts.safetensors."""
    nouns, synsets = read_synsets("n"), imagenet_synsets()
    (folder / "concepts.txt").write_text("".join(f"{synset.lemmas[0]}\n" for synset in synsets))
    ways = description_vectors([descriptions(synset, nouns) for synset in synsets])
    concepts = concept_vectors(ways)
    halves = {"concepts": concepts.astype(np.float16), "projection": fitted_projection(concepts).astype(np.float16)}
    save_file(halves | {"center": ways[0].mean(0)}, folder / CONCEPTS_FILE)
    (folder / CONCEPTS_FILE).chmod(0o644)


def write_vectors(folder: Path) -> None:
    """Write text-vectors.npz: vectors that every run needs, to make start-up faster.

    They are those of the background vocabulary, of the default labels, and of the words that towers of few words know.

    `keys` uint8 "N 16" are the first 16 bytes of the SHA-256 of each prompt, `vectors` float16 "N 384" their vectors,
    as in the shards of `stages.words.text_cache`.
    """
    words = [line for name in ("background.txt", "vocabulary.txt") for line in (folder / name).read_text().splitlines()]
    prompts = [prompt.format(word) for prompt in VECTOR_PROMPTS for word in dict.fromkeys(words)]
    spec = read_model("percept-mini")
    for modality, tower in spec.towers().items():
        known = (*known_words(spec, modality), *tower.silent_on) if tower.speaks_of else ()
        prompts += [tower.prompts[0].format(word) for word in known]
    prompts = list(dict.fromkeys(prompts))
    keys = np.stack([np.frombuffer(hashlib.sha256(prompt.encode()).digest()[:16], np.uint8) for prompt in prompts])
    np.savez_compressed(folder / VECTORS_FILE, keys=keys, vectors=text_vectors(prompts).astype(np.float16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", action="store_true", help="write only text-vectors.npz")
    if not parser.parse_args().vectors:
        write_concepts(BUNDLED)
    write_vectors(BUNDLED)


if __name__ == "__main__":
    main()
