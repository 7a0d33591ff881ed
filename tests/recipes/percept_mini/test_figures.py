"""Figures move as people do, and films of them are labelled by what they do."""

import numpy as np
import pytest

from recipes.percept_mini.figure_pictures import PeopleFilm
from recipes.percept_mini.figure_scenes import DOINGS, LOOKS_LIKE, People, draw_people, people_truth
from recipes.percept_mini.figures import Figure, Motion, joints, seen
from recipes.percept_mini.motion_scenes import Camera, Grid, Scene
from recipes.percept_mini.motion_words import ACTION_WORDS, WORDS

SECONDS = 2.0
TIMES_S = np.linspace(0, SECONDS, 41)


def figure(action: str, seed: int = 3, yaw: float = 0.0) -> Figure:
    return Figure(action, 0.8, (0.0, 0.4), yaw, seed)


def heights(action: str, part: str) -> np.ndarray:
    """The height of a part's end above the ground over time, in heights of the body."""
    motion = Motion(figure(action), SECONDS)
    return np.array([joints(motion.posture(t))[part][1][1] for t in TIMES_S])


def test_a_walker_has_a_foot_on_the_ground_and_gets_ahead_by_a_step_or_two() -> None:
    motion = Motion(figure("walking"), SECONDS)
    lower = [min(joints(motion.posture(t))[f"{side} shin"][1][1] for side in ("left", "right")) for t in TIMES_S]
    np.testing.assert_allclose(lower, 0, atol=0.02)
    ahead = joints(motion.posture(SECONDS))["head"][1][0] - joints(motion.posture(0.0))["head"][1][0]
    assert 0.7 < ahead < 2.2


def test_the_legs_of_a_walker_swing_in_turn() -> None:
    motion = Motion(figure("walking"), SECONDS)
    swings = np.array([motion.posture(t).thigh[:, 0] for t in TIMES_S])
    assert np.corrcoef(swings.T)[0, 1] < -0.95


def test_who_jumps_leaves_the_ground_and_lands() -> None:
    feet = np.minimum(heights("jumping", "left shin"), heights("jumping", "right shin"))
    assert feet.max() > 0.05
    assert feet.min() < 0.01


def test_who_falls_lies_at_the_end_and_who_sits_down_is_lower() -> None:
    fallen, seated = heights("falling down", "head"), heights("sitting down", "head")
    assert fallen[0] > 0.85 > 0.35 > fallen[-1]
    assert 0.75 > seated[-1] > 0.5
    risen = heights("standing up", "head")
    assert risen[-1] > risen[0] + 0.15


def test_who_waves_holds_a_hand_above_the_shoulder() -> None:
    hands = np.maximum(heights("waving", "left forearm"), heights("waving", "right forearm"))
    assert hands.min() > 0.75


def test_a_figure_that_faces_right_walks_to_the_right_of_the_picture() -> None:
    for yaw, sign in ((0.0, 1), (np.pi, -1)):
        walker = figure("walking", yaw=yaw)
        motion = Motion(walker, SECONDS)
        first, last = (seen(walker, motion.posture(t), 0.1)["head"][1] for t in (0.0, SECONDS))
        assert (last[0] - first[0]) * sign > 0.5
        assert first[1] < -0.8, "the head is up in the picture"


def words_of(people: People) -> dict[str, int]:
    return dict(zip(WORDS, people_truth(people).tolist(), strict=True))


def test_the_words_of_people() -> None:
    scene = Scene("walking", SECONDS, 8.0, 1.0, Camera())
    alone = words_of(People(scene, (figure("walking"),), 0.0))
    assert {word for word, value in alone.items() if value == 1} == {"walking", "something moving right"}
    followed = Scene("walking", SECONDS, 8.0, 1.0, Camera((-0.6, 0.0)))
    assert words_of(People(followed, (figure("walking"),), 0.0))["panning right"] == 1
    two = words_of(People(scene, (figure("walking"), figure("walking", yaw=np.pi)), 0.0))
    assert (two["something moving right"], two["something moving left"]) == (-1, -1)
    standing = words_of(People(Scene("standing", SECONDS, 8.0, 1.0), (figure("standing"),), 0.0))
    assert 1 not in standing.values()
    assert set(LOOKS_LIKE) <= set(DOINGS)
    assert {word for words in LOOKS_LIKE.values() for word in words} <= set(ACTION_WORDS)


@pytest.mark.parametrize("doing", DOINGS)
def test_people_are_seen_in_their_films(doing: str) -> None:
    """They cover a part of the empty scene, and what they do changes the picture."""
    random = np.random.default_rng(1)
    photo = random.integers(0, 256, (120, 160)).astype(np.uint8)
    people = draw_people(random, Grid(noise=0.0, quality=(90, 91)), doing)
    film = PeopleFilm(people, photo, [photo], Grid(), np.random.default_rng(2))
    without = np.zeros((film.size[1], film.size[0]), np.float32)
    pictures = []
    for t in (0.4, 0.5, 1.2):
        picture = without - 1000
        film._in_front(picture, t - people.scene.seconds / 2, np.zeros(2, np.float32))
        pictures.append(picture)
    covered = (pictures[0] > -900).mean()
    assert 0.0005 < covered < 0.95
    assert people.figures[0].action == doing
    if doing not in ("standing", "sitting", "falling down", "sitting down", "standing up"):
        assert np.abs(pictures[0] - pictures[2]).max() > 100
