"""Reads what a directory of OWL-ViT or OWLv2 in transformers format says about itself, without transformers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from engines.models.checkpoint_files import checkpoint_files
from engines.models.model import ModelSpec, TextSpec, TowerSpec
from engines.models.published_ports import owl_ports, owl_text_ports
from engines.networks.checkpoint_facts import (
    OPENAI_MEAN,
    OPENAI_STD,
    preprocessing,
    read_json,
    resample,
    side,
    triple,
)
from pipeline.errors import ModelError

Kind = Literal["owlvit", "owlv2"]
KINDS = ("owlvit", "owlv2")
PROMPT = "a photo of a {}"
"""As in transformers' examples. The authors average seven prompts at inference; that is not done here."""
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""Files of which one group must be there."""


@dataclass(frozen=True)
class Owl:
    """An open-vocabulary detector: a tower for pictures, which finds boxes, and one for the words to look for."""

    kind: Kind
    directory: Path
    image: TowerSpec
    text: TextSpec

    @property
    def texts(self) -> ModelSpec:
        """Its text tower as a model's, for the cache of text vectors."""
        return ModelSpec(
            name=self.directory.name,
            directory=str(self.directory),
            texts={self.kind: self.text},
            image=self.image,
            background="",
        )


def read_owl(directory: Path) -> Owl:
    """The detector in a directory.

    Raises:
        ModelError: it is of another kind, a file is missing, or its preprocessing is not supported.
    """
    config = read_json(directory / "config.json")
    kind = config.get("model_type", "")
    if kind not in KINDS:
        raise ModelError(
            f"{directory / 'config.json'}: model_type is {kind!r}; expected a detector, {' or '.join(map(repr, KINDS))}"
        )
    checkpoint_files(directory)
    if not any(all((directory / name).is_file() for name in names) for names in TOKENIZERS):
        raise ModelError(f"{directory}: no tokenizer; expected tokenizer.json, or vocab.json and merges.txt")
    (pictures,), (vectors, *_) = owl_ports(directory)
    (ids,), (text_vectors,) = owl_text_ports(directory)
    size, dim = int(pictures.dims.split()[-1]), int(text_vectors.dims.split()[-1])
    if vectors.dims.split()[-1] != str(dim):
        raise ModelError(
            f"{directory / 'config.json'}: projection_dim is {dim}, and text_config.hidden_size is "
            f"{vectors.dims.split()[-1]}; expected the same"
        )
    image = TowerSpec(network=f"{kind}_vision", directory=str(directory), space=kind, **_pictures(directory, size))
    text = TextSpec(
        network=f"{kind}_text",
        directory=str(directory),
        dim=dim,
        max_tokens=int(ids.dims.split()[-1]),
        pad_to_max=True,
    )
    return Owl(cast(Kind, kind), directory, image, text)


def _pictures(directory: Path, size: int) -> dict[str, Any]:
    """How pictures are prepared.

    Raises:
        ModelError: to another size than the network reads.
    """
    settings = preprocessing(directory)
    given = settings.get("size", size)
    sides = {side(each) for each in (given if isinstance(given, list) else [given])}
    if sides != {size}:
        raise ModelError(f"{directory}: pictures are resized to {given}, and the network reads {size} x {size}")
    return {
        "size_px": size,
        "fit": "stretch",
        "resample": resample(directory, settings),
        "mean": triple(settings.get("image_mean", OPENAI_MEAN)),
        "std": triple(settings.get("image_std", OPENAI_STD)),
    }
