"""`percept check`: what this installation is and can do; settings, model and sources, without running.

Modules of the product are imported late: where a package is missing, the rest is still told.
"""

from typing import TYPE_CHECKING

from commands.check.installation import sections
from commands.check.report import Report
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from commands.options import Parser


def make_parser() -> "Parser":
    from commands.console import add_console_options
    from commands.options import Parser, add_config_options
    from commands.sources import add_sources

    parser = Parser(
        prog="percept check",
        description="Say what this installation is and can do, and what is missing, with the command for it. Validate\n"
        "settings and model without running, and show the engines that a run would use. With sources, inspect\n"
        "these instead of the installation. With --load, also load the networks. With -v, also show stages and groups\n"
        "of processes.",
    )
    add_sources(parser, "to inspect")
    parser.add_argument("--load", action="store_true", help="load the networks once, as a run would")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for instance for a bug report")
    add_config_options(parser)
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    report = Report("--json" in arguments)
    try:
        from commands.check.checking import check

        return check(make_parser().parse_intermixed_args(arguments), report)
    except ImportError as error:
        for section in sections():
            report.add(section)
        raise ModelError(
            f"{error.name or 'a package'} cannot be imported: {error}. Install what is missing, see above, or "
            "everything again, in the folder of the source: pip install --force-reinstall . -c constraints.txt"
        ) from error
    finally:
        report.finish()
