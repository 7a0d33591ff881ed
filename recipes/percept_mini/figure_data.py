"""Clips of people who do something, as inputs of the motion tower; kept beside those of `motion_data`."""

from __future__ import annotations

from pathlib import Path

from pipeline.arrays import Array
from recipes.percept_mini.figure_pictures import PeopleFilm
from recipes.percept_mini.figure_scenes import DOINGS, draw_people, people_truth
from recipes.percept_mini.motion_data import Maker, grey_photos
from recipes.percept_mini.motion_pictures import Film
from recipes.percept_mini.motion_scenes import TEST, Grid, Random
from recipes.percept_mini.motion_truth import speed_of

CLIPS = 5_200


class PeopleMaker(Maker):
    """Makes clips of people who do something."""

    def _film(self, index: int, random: Random) -> tuple[Film, Array, float]:
        people = draw_people(random, self._grid, DOINGS[index % len(DOINGS)])
        photo, *clothes = self._some_photos(random, 4)
        film = PeopleFilm(people, photo, clothes, self._grid, random)
        return film, people_truth(people), speed_of(people.scene)


def people_splits(data: Path) -> dict[str, tuple[PeopleMaker, int]]:
    """As `motion_data.splits`, from the same photos."""
    train, held_out = grey_photos(data, False), grey_photos(data, True)
    half = len(held_out) // 2
    return {
        "people-test": (PeopleMaker(held_out[half:], TEST, 13), len(DOINGS) * 50),
        "people-check": (PeopleMaker(held_out[:half], Grid(), 12), len(DOINGS) * 30),
        "people-train": (PeopleMaker(train, Grid(), 11), CLIPS),
    }
