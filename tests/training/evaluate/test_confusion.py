import cv2
import numpy as np
import pytest

from tests.training.evaluate.made_up import many
from training.evaluate.confusion import confusion_matrix, near_order, used, worst_pairs
from training.evaluate.picture import NAMED_UP_TO, draw_confusion, png


def test_rows_are_right_labels_and_columns_answers() -> None:
    matrix = confusion_matrix(many(3, [0, 0, 1], [0, 2, 1]), "pooled", 4)
    assert matrix.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert used(matrix).tolist() == [0, 1, 2]


def test_the_worst_pairs_come_first() -> None:
    matrix = np.array([[5, 3, 0], [1, 0, 1], [0, 0, 9]])
    assert worst_pairs(matrix, 2) == [(0, 1, 3, 8), (1, 0, 1, 2)]


def test_confused_labels_are_next_to_each_other() -> None:
    matrix = np.diag([9] * 6)
    for a, b in ((0, 5), (5, 2), (1, 4)):
        matrix[a, b] = 4
    place = np.argsort(near_order(matrix))
    assert sorted(near_order(matrix)) == list(range(6))
    assert abs(place[0] - place[5]) == abs(place[5] - place[2]) == abs(place[1] - place[4]) == 1


@pytest.mark.parametrize("labels", [1, 10, 46, NAMED_UP_TO, NAMED_UP_TO + 1, 400])
def test_a_picture_shows_every_label_in_a_reasonable_size(labels: int) -> None:
    matrix = np.diag([20] * labels) + 3 * np.diag([1] * (labels - 1), 1)
    picture = draw_confusion(matrix, [f"a label with a long name {number}" for number in range(labels)])
    assert max(picture.shape) < 2000
    blue = (picture[..., 2].astype(int) - picture[..., 0] > 40).any(axis=0).sum()
    assert blue > 40 or labels == 1
    decoded = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], picture)
