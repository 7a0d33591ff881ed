"""Problems are collected and reported together."""

import pytest

from pipeline.errors import ConfigError, ModelError, OutputError, PerceptError, Problems, SourceError


def raised(*errors: PerceptError) -> PerceptError:
    problems = Problems()
    for error in errors:
        with problems.collected():
            raise error
    with pytest.raises(PerceptError) as caught:
        problems.raise_all()
    return caught.value


def test_all_problems_are_reported_at_once_and_none_twice() -> None:
    error = raised(ConfigError("one\ntwo"), ConfigError("two"), ConfigError("three"))
    assert str(error).splitlines() == ["one", "two", "three"]


def test_problems_of_one_class_keep_it_and_mixed_ones_are_a_config_error() -> None:
    assert type(raised(ModelError("one"), ModelError("two"))) is ModelError
    assert type(raised(ModelError("one"), ConfigError("two"))) is ConfigError
    assert type(raised(ModelError("one"), OutputError("two"))) is ConfigError


def test_without_problems_nothing_is_raised() -> None:
    problems = Problems()
    with problems.collected():
        pass
    assert not problems
    problems.raise_all()
    problems.add(SourceError("one"))
    assert problems


def test_a_bug_is_not_collected() -> None:
    problems = Problems()
    with pytest.raises(ZeroDivisionError), problems.collected():
        raise ZeroDivisionError
    assert not problems


def test_every_class_of_error_has_the_exit_code_of_the_readme() -> None:
    codes = {error: error.exit_code for error in (ConfigError, SourceError, ModelError, OutputError, PerceptError)}
    assert codes == {ConfigError: 2, SourceError: 3, ModelError: 4, OutputError: 5, PerceptError: 5}
