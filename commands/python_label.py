"""What is generated of `percept.label` beside its options."""

LABEL_ELSEWHERE = {
    "output": "a parameter of its own",
    "follow": "call it again",
    "compact": "for the command",
    "settle": "for `follow`",
    "claim_expiry": "for tests",
    "on": "for the command, whose children read their orders from stdin",
    "cores_per_child": "for `on`",
    "gpus_per_child": "for `on`",
    "order": "for `on`",
}
"""Options of `percept label` that are no options in Python, and why."""

LABEL_TEMPLATE = '''"""`percept.label`. Written by `python -m commands.python_api` from the options of the command."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from percept._labelled import Labelled, labelled


def label(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    labels: Sequence[str] | Mapping[str, Any] | str | None = None,
    *,
    @declarations
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Labelled:
    """Label an archive: one Parquet file per source in the folder `output`. Returns what became of the sources.

        done = percept.label("videos/", "labels/", labels=["dog barking", "rain"], recursive=True)
        print(done.sources.labelled, done.sources.failed, done.sources.skipped)

    What is done is not done again. The work is done in a process of its own, which an interrupt stops too; what is
    finished by then stays. Several may work on one archive, on any machines.

    An option that is None has the value of `config`, or else the default that is given here.

    Args:
        sources: A folder, a file, a list of files (.txt), a glob; or a list of these.
        output: The folder of the archive.
        labels: Words to choose from, as for `percept.run`.
@described
        config: Settings from a TOML file.
        settings: Single settings, such as {"store.thumbnail_px": 120}.
        progress: True shows progress, False does not. None shows a bar in a notebook, and nothing elsewhere.

    Raises:
        ConfigError, ModelError, PerceptError: with the message of the command line. Sources that failed raise nothing:
            they are counted.
    """
    options = {
        @given
    }
    return labelled(sources, output, labels, options, [@repeated], config, settings, progress)
'''
