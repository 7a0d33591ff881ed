"""Temperature and bias that calibrate the picture tower's scores as probabilities; for `[image]` in model.toml.

    python -m recipes.percept_mini.calibrate_picture --data ../shared/data

Fitted on ImageNet photos by the logistic loss of `calibrate_sound`, on two lists of labels with equal weight: the
photos' class names, and the kinds that these belong to ("dog", "vehicle"), which are more like the words users give.
Photos that `benchmarks.accuracy` uses are left out. Needs the Debian package `wordnet-base`.
"""

import argparse
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.accuracy import Judge
from pipeline.stage import RunSettings
from recipes.percept_mini.calibrate_sound import Sample, weighted_loss
from recipes.percept_mini.photo_words import PHOTO_WORDS
from recipes.percept_mini.wordnet import Synset, read_synsets
from training.encoder import Encoder, photos

EVERY = 2
"""Only every second photo is used."""
LEVELS = 3
"""Number of kinds above a class that are used."""


def kinds(photo: str, nouns: dict[int, Synset]) -> list[str]:
    """The kinds that the class of a photo (file name "n02085620_chihuahua") belongs to, nearest first."""
    synset, found = nouns[int(photo[1:9])], list[str]()
    while synset.hypernyms and len(found) < LEVELS:
        synset = nouns[synset.hypernyms[0]]
        found.append(synset.lemmas[0].replace("_", " "))
    return found


def sample(embeddings: np.ndarray, right_words: list[set[str]], words: list[str], judge: Judge) -> Sample:
    side = judge.labels(words).sides["image"]
    near, background, _ = side.compare(embeddings)
    right = np.array([[word in right for word in words] for right in right_words])
    return Sample(near, background, side.kept, right)


def fit(samples: list[Sample]) -> tuple[float, float, float]:
    """(temperature, bias, loss) with the lowest mean loss."""
    from stages.words.scoring import log_odds

    best = (0.0, 0.0, np.inf)
    for temperature in np.geomspace(0.02, 0.3, 28):
        plain = [log_odds(one.labels, one.background, one.kept, temperature, 0.0) for one in samples]
        for bias in np.arange(-4, 10, 0.1):
            loss = np.mean([weighted_loss(z + bias, one.right) for z, one in zip(plain, samples, strict=True)])
            if loss < best[2]:
                best = (float(temperature), float(bias), float(loss))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/")
    parser.add_argument("--cache", default="", help="folder for exported networks and text vectors")
    options = parser.parse_args()
    tar = options.data / "images" / "imagenet-1-per-class.tar"
    with tarfile.open(tar) as archive:
        file_of = {
            Path(name).stem.split("_", 1)[-1].replace("_", " ").lower(): Path(name).stem for name in archive.getnames()
        }
    run = RunSettings(cache_directory=options.cache, threads=2)
    encoder, judge = Encoder(run), Judge(run)
    chosen = [one for index, one in enumerate(photos(tar)) if index % EVERY == 0 and one[0] not in PHOTO_WORDS]
    embeddings = np.stack([encoder.photo(picture).embeddings["image"] for _, picture in chosen])
    encoder.close()
    nouns = read_synsets("n")
    own = [{name} for name, _ in chosen]
    above = [set(kinds(file_of[name], nouns)) for name, _ in chosen]
    often = [word for word, count in Counter(word for words in above for word in words).items() if count > 1]
    names = sample(embeddings, own, sorted(set().union(*own)), judge)
    everyday = sample(embeddings, above, sorted(often), judge)
    for title, samples in (("class names", [names]), ("kinds", [everyday]), ("both", [names, everyday])):
        print(f"{title}: temperature = {{:.3f}}, bias = {{:.1f}}, loss {{:.3f}}".format(*fit(samples)))


if __name__ == "__main__":
    main()
