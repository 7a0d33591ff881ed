from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recipes.percept_mini import picture_data
from recipes.percept_mini.folds import is_checked, is_reported
from recipes.percept_mini.picture_data import Photo, Reader, load, make, split_of, views
from recipes.percept_mini.picture_networks import LastBlocks
from recipes.percept_mini.text_data import BUNDLED
from tests.recipes.percept_mini.photos import photos_in, picture


def test_names_are_right_where_their_boxes_are_seen() -> None:
    photo = Photo(
        "voc2012",
        "3.png",
        boxes=(("sheep", 0, 0, 50, 50), ("cow", 150, 0, 200, 100)),
        names_known=("cow", "dog", "sheep"),
    )
    found = [view for view, _ in views(photo, 7, picture(200, 100))]
    middle, whole = found[0], found[1]
    assert (middle.photo, middle.right, middle.wrong) == (7, (), ("dog",)) or middle.right in ((), ("sheep",))
    assert set(whole.right) == {"sheep", "cow"}
    assert whole.wrong == ("dog",)
    assert any(set(view.right) == {"sheep"} for view in found[-picture_data.CROPS_OF_BOXES :])


def test_the_same_photo_is_always_seen_in_the_same_ways() -> None:
    photo = Photo("flickr8k", "a.webp", captions=("A dog .",))
    first, second = ([np.asarray(square) for _, square in views(photo, 0, picture(224, 224))] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert {square.shape for square in first} == {(224, 224, 3)}


def test_what_a_collection_sets_apart_is_for_reporting() -> None:
    name = next(f"{n}.webp" for n in range(99) if not is_reported(f"{n}.webp") and not is_checked(f"{n}.webp"))
    assert split_of(Photo("flickr8k", name)) == "train"
    assert split_of(Photo("flickr8k", name, is_dev=True)) == "report"


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # in torch.export
def test_what_is_read_is_made_once_and_never_of_photos_for_reporting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = photos_in(tmp_path, "voc2012", 12)
    reader, runs = Reader(1), tmp_path / "runs"
    make(tmp_path, "voc2012", runs, reader)
    seen = load(runs, "voc2012")
    assert seen.named.shape == (len(seen.views), 384)
    assert seen.directions.shape == (len(seen.views), 1280)
    assert seen.maps.size == 0
    maps = load(runs, "voc2012", with_maps=True).maps
    last = LastBlocks(load_file(BUNDLED / "concepts.safetensors")["concepts"]).eval()
    with torch.inference_mode():
        named, directions = last(torch.from_numpy(maps).float())
    # OpenVINO may compute in bfloat16
    np.testing.assert_allclose(named, seen.named.astype(np.float32), atol=0.02)
    np.testing.assert_allclose(directions, seen.directions.astype(np.float32), atol=0.02)
    assert (np.linalg.norm(seen.directions.astype(np.float32), axis=1) > 0.5).all()
    used = {seen.photos[view.photo].file for view in seen.views}
    assert used == {file for file in files if not is_reported(file)}
    assert "12 photos" not in capsys.readouterr().out
    make(tmp_path, "voc2012", runs, reader)
    assert not capsys.readouterr().out
