"""A run of the fakes in a process of its own: `python -m tests.pipeline.run_script ORDER`, with the order as JSON.

The account is the last line on stderr, as JSON.
"""

import json
import sys

import msgspec

from pipeline.config import make_config
from pipeline.run import run
from pipeline.status import OutputSpec


def main(order: dict[str, object]) -> int:
    sources = tuple(order["sources"])  # type: ignore[arg-type, var-annotated]
    output = OutputSpec(path=str(order["output"]), sources=sources, resume=bool(order["resume"]))
    account = run(
        make_config(order["config"]),  # type: ignore[arg-type]
        sources,
        [output],
        on_notice=lambda notice: print(notice.text, file=sys.stderr),
    )
    print(msgspec.json.encode(account).decode(), file=sys.stderr)
    return account.exit_code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
