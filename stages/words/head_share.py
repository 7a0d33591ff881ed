"""The weight of a fusion head in the score of each label: higher for labels it was trained on."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from engines.models.model import FusionSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError


def head_shares(fusion: FusionSpec | None, labels: tuple[str, ...]) -> NDArray[np.float64] | None:
    """The head's exponent against the frozen encoder's, for each label: float64 "C". None for a model without a head.

    F-VLM (Kuo et al. 2023, arXiv 2209.15639, section 3.4): p_head^.65 p_frozen^.35 for base labels, the other way round
    for novel ones. A label with synonyms ("car|automobile") is a base label if any of them is.

    Raises:
        ModelError: the list of base labels cannot be read.
    """
    if fusion is None:
        return None
    base = read_base(Path(fusion.directory) / fusion.base)
    is_base = [any(word in base for word in words(label)) for label in labels]
    return np.where(is_base, fusion.base_share, fusion.novel_share).astype(np.float64)


def is_base(fusion: FusionSpec, labels: tuple[str, ...]) -> Array:
    """Which labels the head was trained on: bool "C". Raises: ModelError: as `head_shares`."""
    shares = head_shares(replace(fusion, base_share=1.0, novel_share=0.0), labels)
    result: Array = np.asarray(shares, bool)
    return result


def mixed(frozen: Array, head: Array, head_share: Array) -> Array:
    """Log-odds of the frozen encoder and of a trained head, mixed geometrically with a share per label: all "... C".

    F-VLM (Kuo et al. 2023, arXiv 2209.15639, eq. 4). If both are equal, the result is the same to the bit.
    """
    result: Array = frozen + head_share * (head - frozen)
    return result


def read_base(path: Path) -> frozenset[str]:
    """The words that a head was trained on, from a file with one label per line; blank lines and # are skipped.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; expected the head's base labels, one per line") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: not UTF-8 text (byte {error.start}); expected one label per line") from error
    return frozenset(word for line in lines if not line.lstrip().startswith("#") for word in words(line))


def words(label: str) -> list[str]:
    """The synonyms of a label in lower case, with single spaces in place of underscores and hyphens."""
    plain = label.casefold().replace("_", " ").replace("-", " ")
    return [" ".join(synonym.split()) for synonym in plain.split("|") if synonym.strip()]
