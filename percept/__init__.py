"""Percept watches and listens: which words fit each clip of a video, and why.

First steps
-----------

    import percept

    for result in percept.run("talk.mp4", labels=["dog barking", "rain", "people talking"]):
        print(result)

    # ClipRecord(talk.mp4 0:00–0:02: people talking 81 %, rain 35 %; 2 tracks)

A video is cut into clips of two seconds. Each gives one record, as soon as it is there. Labels are free words; without
any, a vocabulary of everyday words is used. `help(percept.run)` describes every option. The work is done in a process
of its own, so that this module is light and a script needs no `if __name__ == "__main__"`. In a notebook, the loop
shows a bar, and a record shows itself with a picture.

Archives
--------

    done = percept.label("videos/", "labels/", labels=["dog barking", "rain"], recursive=True)

One Parquet file per source: labels, and embeddings that can be searched. What is done is not done again.

    for hit in percept.search("labels/", "a dog barking at night"):
        print(hit)

    # videos/yard.mp4 3:12–3:18: 91 %

Questions
---------

    print(percept.ask("talk.jsonl", "how often did the dog bark after the siren?"))

    # Dog barking was found twice after siren (0:04–0:06), at 0:08–0:10 and 0:14–0:18.

Many calls
----------

    with percept.Session() as session:
        for result in results:
            print(result.explain(session=session))

`percept.explain`, `percept.find` and `result.explain` load their networks in each call; a session keeps them open.

Live cameras
------------

    for result in percept.watch("rtsp://cam/1", labels=["dog barking", "person"]):
        print(result.wall_time, result)

The loop goes on until it is left; `async for` works too. A camera that is lost is tried again.

A record
--------

    result.source, result.start_s, result.end_s    "talk.mp4", 0.0, 2.0
    result.width, result.height                    of the upright picture, in pixels; boxes refer to it
    result.labels                                  the best labels, best first; None if the clip has none
    result.labels[0].label                         "people talking"
    result.labels[0].probability                   0.81: of this label alone; two labels can both be true
    result.labels[0].share                         0.64: among the given labels, for those that exclude each other
    result.labels[0].evidence["audio"]             what the sound alone says; also "image" and "motion"
    result.tracks                                  objects: id, label, and boxes of time_s, x0, y0, x1, y1
    result.tracks[0].evidence                      what its name rests on: up to three views of it
    result.tracks[0].movement                      "moving right", speed, direction, still since
    result.zones, result.crossings                 of run(..., zone="door:0,0;.2,0;.2,1;0,1", line="gate:.5,0;.5,1")
    result.text                                    of run(..., text=True): what is written, where, and how sure it is
    result.regions                                 of run(..., regions=True): where labels are: box, area
    result.relations                               of run(..., relations=True): "dog on sofa", with tracks, score, times
    result.absent                                  what is missing, and why: {"audio": "no_stream"}
    result.is_result                               False for an error, a dropped clip and a gap
    result.explain()                               why it has its best label: two sentences and a picture
    result.to_dict()                               plain data: what the JSON line of the command contains

Tables
------

    table = percept.to_pandas(percept.run("talk.mp4"))         one row per clip and label; also to_polars
    table = percept.to_pandas("talk.jsonl", what="tracks")     of a file that `percept run -o talk.jsonl` wrote
    percept.to_supervision(results)                            tracks, picture by picture, for the package supervision
    results = list(percept.read("talk.jsonl"))

Errors
------

A clip or a source that cannot be read is a record with `error`, and the loop goes on. What stops a run is raised:
`ConfigError` for wrong options, `SourceError` if no source can be read, `ModelError` for models and engines, all of
them a `PerceptError`. Messages say what to do.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from percept._ask import Answer, Proof, ask
    from percept._child import Run
    from percept._explain import Why, explain
    from percept._find import Found, FoundBox, FoundPart, FoundTrack, find
    from percept._label import label
    from percept._labelled import Labelled
    from percept._reading import read
    from percept._records import (
        Category,
        ClipRecord,
        ConfigError,
        Crossing,
        Evidence,
        Label,
        ModelError,
        Movement,
        OpenSet,
        OutputError,
        PerceptError,
        Region,
        Relation,
        SourceError,
        TextLine,
        Track,
        TrackEvidence,
        View,
        Visit,
        ZoneVisits,
    )
    from percept._run import run
    from percept._search import Hit, search
    from percept._session import Session
    from percept._supervision import to_supervision
    from percept._tables import to_pandas, to_polars
    from percept._watch import Watch, watch
else:

    def __getattr__(name: str) -> Any:
        """Public names are loaded when they are first used, so that the command starts without them."""
        from importlib import import_module

        for module in (
            (
                *("_records", "_reading", "_tables", "_supervision", "_run", "_label", "_labelled", "_search"),
                *("_watch", "_child", "_explain", "_ask", "_find", "_session"),
            )
            if name in __all__
            else ()
        ):
            found = vars(import_module(f"percept.{module}"))
            if name in found:
                return globals().setdefault(name, found[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Category",
    "ClipRecord",
    "ConfigError",
    "Crossing",
    "Evidence",
    "Found",
    "FoundBox",
    "FoundPart",
    "FoundTrack",
    "Hit",
    "Label",
    "Labelled",
    "ModelError",
    "Movement",
    "OpenSet",
    "OutputError",
    "PerceptError",
    "Proof",
    "Region",
    "Relation",
    "Run",
    "Session",
    "SourceError",
    "TextLine",
    "Track",
    "TrackEvidence",
    "View",
    "Visit",
    "Watch",
    "Why",
    "ZoneVisits",
    "ask",
    "explain",
    "find",
    "label",
    "read",
    "run",
    "search",
    "to_pandas",
    "to_polars",
    "to_supervision",
    "watch",
]


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]


def main() -> int:
    """The command `percept`. In its process, our packages come first on the path."""
    import sys

    from percept._home import HOME

    sys.path.insert(0, str(HOME))
    from commands.main import main as command

    return command()
