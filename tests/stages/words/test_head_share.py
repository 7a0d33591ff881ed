"""The weight of the head depends on whether it was trained on the label, however that is written."""

from pathlib import Path

import pytest

from engines.models.model import FusionSpec
from pipeline.errors import ModelError
from stages.words.head_share import head_shares

BASE = """# trained on
dog barking

Playing_guitar
car | automobile
"""


@pytest.fixture
def fusion(tmp_path: Path) -> FusionSpec:
    (tmp_path / "base-labels.txt").write_text(BASE)
    return FusionSpec(directory=str(tmp_path))


@pytest.mark.parametrize(
    ("label", "share"),
    [
        ("dog barking", 0.65),
        ("Dog  Barking", 0.65),
        ("playing guitar", 0.65),
        ("playing-guitar", 0.65),
        ("automobile", 0.65),
        ("vehicle|car", 0.65),
        ("rain", 0.35),
        ("dog", 0.35),
        ("# trained on", 0.35),
        ("", 0.35),
    ],
)
def test_base_labels_trust_the_head_and_others_the_frozen_encoder(fusion: FusionSpec, label: str, share: float) -> None:
    assert head_shares(fusion, (label, "something else")).tolist() == [share, 0.35]  # type: ignore[union-attr]


def test_shares_are_the_models_own(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("rain\n")
    fusion = FusionSpec(directory=str(tmp_path), base="words.txt", base_share=1.0, novel_share=0.0)
    assert head_shares(fusion, ("rain", "dog")).tolist() == [1.0, 0.0]  # type: ignore[union-attr]


def test_a_model_without_a_head_has_no_shares() -> None:
    assert head_shares(None, ("rain",)) is None


def test_a_missing_list_of_base_labels_is_reported_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"base-labels\.txt: No such file.*one per line"):
        head_shares(FusionSpec(directory=str(tmp_path)), ("rain",))
