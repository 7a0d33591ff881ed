"""The contact sheet shows every label, at its best."""

from pages.moments import APART_S, PER_LABEL, Moment, choose


def test_every_label_comes_before_any_label_comes_twice() -> None:
    candidates = [(0.9 - step / 100, 2.0 * step, "dog") for step in range(20)] + [(0.4, 100.0, "rain")]
    assert choose(candidates, most=2) == [Moment(0.0, "dog", 0.9), Moment(100.0, "rain", 0.4)]
    assert sum(moment.label == "dog" for moment in choose(candidates)) == PER_LABEL


def test_a_moment_is_shown_once_with_its_most_probable_label() -> None:
    found = choose([(0.9, 1.0, "dog"), (0.8, 1.0, "animal"), (0.7, 1.0 + APART_S, "animal")])
    assert found == [Moment(1.0, "dog", 0.9), Moment(2.0, "animal", 0.7)]


def test_improbable_labels_are_left_out_and_the_order_is_that_of_time() -> None:
    found = choose([(0.29, 9.0, "cat"), (0.5, 5.0, "dog"), (0.9, 7.0, "rain"), (0.6, 1.0, "dog")])
    assert [moment.time_s for moment in found] == [1.0, 5.0, 7.0]
