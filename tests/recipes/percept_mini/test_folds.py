from collections import Counter

from recipes.percept_mini.folds import is_checked, is_reported, is_reported_sound, recording


def test_a_third_is_reported_and_a_tenth_of_the_rest_is_for_choices() -> None:
    names = [f"photo{number}.jpg" for number in range(6000)]
    found = Counter("report" if is_reported(name) else "check" if is_checked(name) else "train" for name in names)
    assert abs(found["report"] - 2000) < 150
    assert abs(found["check"] - 400) < 80
    assert not any(is_reported(name) and is_checked(name) for name in names)


def test_the_rule_is_not_changed_by_accident() -> None:
    assert [is_reported(f"{number}.jpg") for number in range(6)] == [True, False, True, False, False, True]
    assert is_reported("train/1.jpg") == is_reported("1.jpg")


def test_all_cuts_of_a_recording_are_in_one_fold() -> None:
    assert recording("air_conditioner/57320-0-0-21.opus") == "57320"
    for number in range(50):
        assert len({is_reported_sound(f"siren/{number}-8-0-{cut}.opus") for cut in range(9)}) == 1
