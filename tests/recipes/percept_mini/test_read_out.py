import numpy as np
import pytest
import torch
from PIL import Image

from engines.networks.picture import load_network
from recipes.percept_mini.build_concepts import normalise, projection
from recipes.percept_mini.choose_read_out import Reader, ReadOut, averaged, parts, within
from recipes.percept_mini.read_out_photos import fitted_photo, four_in_one

COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_network())


def test_the_projection_maps_each_class_to_its_own_words() -> None:
    random = np.random.default_rng(0)
    directions = normalise(random.standard_normal((40, 200)).astype(np.float32))
    concepts = normalise(random.standard_normal((40, 16)).astype(np.float32))
    near = normalise(directions @ projection(directions, concepts)) @ concepts.T
    np.testing.assert_array_equal(near.argmax(1), np.arange(40))


def test_each_of_four_photos_in_a_picture_has_its_place() -> None:
    photos = [Image.new("RGB", (300, 224), colour) for colour in COLOURS]
    pictures, chosen = four_in_one(photos, np.random.default_rng(1), count=12)
    for picture, which in zip(pictures, chosen, strict=True):
        seen = picture[:, 56::112, 56::112].permute(1, 2, 0).reshape(4, 3)
        torch.testing.assert_close(seen, torch.tensor([COLOURS[index] for index in which], dtype=torch.uint8))


def test_a_wide_photo_is_cropped_or_covered_by_tiles() -> None:
    photo = Image.new("RGB", (398, 224))
    assert fitted_photo(photo, "crop").shape == (1, 3, 224, 224)
    assert fitted_photo(photo, "tiles").shape == (2, 3, 224, 224)


def test_the_concept_of_an_unknown_class_is_not_used(reader: Reader) -> None:
    concepts = np.zeros((1_000, 384), np.float32)
    concepts[7] = 1.0
    way, features = ReadOut(concepts, by_quarters=True), torch.rand(3, 1280, 7, 7).half()
    assert (reader.tokens(way, features) > 0).all()
    assert not reader.tokens(way, features, np.array([7, 7, 7])).any()


def test_the_projection_for_an_unknown_class_leaves_its_weights_out(reader: Reader) -> None:
    way = ReadOut(np.eye(1_000, 384, dtype=np.float32), by_quarters=False, share=1.0)
    features = torch.rand(2, 1280, 7, 7).half()
    own = np.array([5, 5])
    assert not np.allclose(reader.tokens(way, features), reader.tokens(way, features, own), atol=1e-3)


def test_parts_are_the_whole_or_its_quarters() -> None:
    features, concepts = torch.rand(2, 1280, 7, 7), np.zeros((1_000, 384), np.float32)
    whole, quarters = (parts(ReadOut(concepts, by), features) for by in (False, True))
    torch.testing.assert_close(whole[:, 0], features.mean((2, 3)))
    torch.testing.assert_close(quarters[:, 3], features[:, :, 3:, 3:].mean((2, 3)))


def test_within_counts_the_labels_that_rank_higher() -> None:
    labels = np.eye(3, dtype=np.float32)
    tokens = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]], np.float32)
    assert [within(tokens, labels, np.array([1, 1]), first) for first in (1, 2)] == [0.0, 1.0]
    np.testing.assert_allclose(averaged(tokens, [2]), [[0.5, 0.5, 0.5]])
