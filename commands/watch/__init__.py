"""`percept watch`: watch live cameras. `percept watch ctl` speaks to the watch that runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commands.options import Parser


def make_parser() -> "Parser":
    from commands.watch.options import make_parser as make

    return make()


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["ctl"]:
        from commands.watch.ctl import main as control

        return control(arguments[1:])
    from commands.watch.watching import main as watch

    return watch(arguments)
