"""The options of `percept watch`."""

import argparse
import re

from commands.console import add_console_options
from commands.options import FLAGS, Parser, add_config_options

EXAMPLES = """examples:
  percept watch rtsp://user:secret@cam/1 --labels "dog barking, person, glass breaking"
  percept watch cameras.toml
  percept watch /dev/video0
  percept watch talk.mp4 --realtime --labels @words.txt
  percept watch ctl status
  percept watch cameras.toml --test-alert

Ctrl-C ends it. The page is at http://127.0.0.1:8710 unless the settings say otherwise.
exit codes: 0 it was stopped, 2 usage or settings, 4 engine or model, 5 output or internal."""
NOT_LIVE = {
    "--start",
    "--end",
    "--stride-seconds",
    "--every",
    "--shots",
    "--keyframes",
    "--audio-track",
    "--gap",
    "--no-merge",
    "--exclusive",
    "--min-duration",
    "--regions",
    "--relations",
}
"""Options of files."""


class WatchParser(Parser):
    """A parser that says which command has an option that is for files."""

    def _hint(self, message: str) -> str:
        for word in re.findall(r"(--[\w-]+)", message):
            if word in NOT_LIVE:
                return f" ({word} is for files: percept run)"
        return super()._hint(message)


def make_parser() -> Parser:
    parser = WatchParser(
        prog="percept watch",
        description="Watch live cameras: say which of your words fit, open and close events, alert, and show it all\n"
        "on a web page. SOURCE is a camera's URL (rtsp, http, udp, srt), a device (/dev/video0, 0), a file with\n"
        "--realtime, or a TOML file that describes cameras.",
        epilog=EXAMPLES,
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="camera, or cameras.toml")
    parser.add_argument("--request", choices=["-"], help=argparse.SUPPRESS)
    watch = parser.add_argument_group("watch")
    watch.add_argument("--realtime", action="store_true", help="play files at their own pace, like cameras")
    watch.add_argument("--loop", action="store_true", help="and again from the start when they end")
    watch.add_argument("--record", action="store_true", help="keep a film of every event")
    watch.add_argument("--state", metavar="FOLDER", default="", help="where everything is kept")
    watch.add_argument("--port", type=int, metavar="N", help="port of the page; 0: any; -1: no page")
    watch.add_argument("--host", metavar="ADDRESS", help="address of the page; one that others reach needs a token")
    watch.add_argument(
        "--token-file", metavar="FILE", help="file that holds the token of the page, 16 characters or more"
    )
    watch.add_argument(
        "--format", choices=("table", "jsonl"),
        help="what stdout gets: events in words (default), or every record as a JSON line",
    )  # fmt: skip
    watch.add_argument("--test-alert", action="store_true", help="send one alert of each kind, and end")
    watch.add_argument("--clean", action="store_true", help="remove everything that was kept, and end")
    add_config_options(parser, [flag for flag in FLAGS if flag.name not in NOT_LIVE])
    add_console_options(parser)
    return parser
