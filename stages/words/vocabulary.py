"""The words that a model's towers know, for models that state them."""

from pathlib import Path

from engines.models.model import ModelSpec
from pipeline.errors import ModelError
from stages.words.word import SYNONYM


def known_words(spec: ModelSpec, modality: str) -> tuple[str, ...]:
    """The words that a tower was made to know, in all phrasings; () if the model does not state them.

    Raises:
        ModelError: the file that the model names cannot be read.
    """
    tower = spec.towers()[modality]
    if not tower.vocabulary:
        return ()
    path = Path(tower.directory) / tower.vocabulary
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path}: {error}; expected the words that the {modality} tower knows, one per line"
        ) from error
    words = (word.strip() for line in lines if not line.startswith("#") for word in line.split(SYNONYM))
    return tuple(dict.fromkeys(word for word in words if word))
