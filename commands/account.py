"""What a run says at its end: what was found, what was written, how long it took, and where every clip went."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from commands.columns import size_text
from commands.console import Console
from commands.profile import profile_lines, stages
from commands.progress import clock_text
from pipeline.logs import log, redact, visible
from pipeline.sinks.paths import output_paths
from pipeline.sinks.rows import short_name
from pipeline.status import Account, EventRecord, LineCount, OutputSpec, SummaryRecord, ZoneCount

if TYPE_CHECKING:
    from rich.text import Text

SHOWN_EVENTS = 8
SHOWN_LABELS = 8
SHOWN_SPANS = 3
SHOWN_SOURCES = 10
"""Of more sources, only what was found in all of them together."""
_NAME_COLUMNS = 28


def report(
    account: Account, console: Console, outputs: Sequence[OutputSpec] = (), began_s: float = 0.0, profile: bool = False
) -> None:
    """Say how a run ended: lines for a person, or log lines of fields.

    began_s: its start, by `time.time()`. profile: say also where the time went.
    """
    written = written_files(outputs, began_s)
    for message in account.messages:
        log(logging.ERROR if account.exit_code else logging.WARNING, message)
    if account.interrupted and account.in_flight and (text := unwritten_text(outputs, written)):
        log(logging.WARNING, text)
    if console.as_fields:
        log(logging.INFO, "account", **fields(account))
        for stage in stages(account) if profile else ():
            log(logging.INFO, "profile", **msgspec.structs.asdict(stage))
        for summary in account.summaries:
            log(logging.INFO, "summary", **summary_fields(summary))
        for path in written:
            log(logging.INFO, "written", path=path, bytes=os.path.getsize(path))
    elif logging.getLogger("percept").isEnabledFor(logging.INFO):
        found, wrote = found_lines(account.summaries), written_lines(written)
        console.print([*found, *wrote, *(profile_lines(account) if profile else ()), *closing_lines(account)])


def found_lines(summaries: Sequence[SummaryRecord]) -> list["Text"]:
    """A heading for each source, and a line for each label: its total time, and when."""
    from rich.text import Text

    heard = [each for each in summaries if each.clips]
    if len(heard) > SHOWN_SOURCES:
        totals: dict[str, float] = {}
        for each in heard:
            for name, label_s in each.summary.items():
                totals[name] = totals.get(name, 0.0) + label_s
        heading = Text(f"Found in {len(heard)} sources", style="bold")
        return [Text(""), heading, *_label_lines(totals, ()), *_counted_lines(heard)]
    lines: list[Text] = []
    for each in heard:
        lines += [Text(""), Text(f"Found in {short_name(redact(each.source))}", style="bold")]
        lines += _label_lines(each.summary, each.first_events) or [
            Text("  no label fits for long", style="bright_black")
        ]
        lines += _counted_lines([each])
    if len(heard) > 1 and (together := _counted_lines(heard)):
        lines += [Text(""), Text(f"In all {len(heard)} sources", style="bold"), *together]
    return lines


def counted_texts(summaries: Sequence[SummaryRecord]) -> list[str]:
    """What zones and lines have counted in these sources together.

    `over gate: 3 in, 1 out` and `in door: 4 visits, 2.5 s each, at most 4.0 s`
    """
    lines, zones = dict[str, LineCount](), dict[str, ZoneCount]()
    for summary in summaries:
        for name, line in summary.lines.items():
            lines[name] = lines.get(name, LineCount()) + line
        for name, zone in summary.zones.items():
            zones[name] = zones.get(name, ZoneCount()) + zone
    texts = [f"over {name}: {each.inward} in, {each.out} out" for name, each in lines.items()]
    for name, each in zones.items():
        times = f", {each.mean_s:.1f} s each, at most {each.longest_s:.1f} s" if each.visits else ""
        texts.append(f"in {name}: {each.visits} visit{'s' * (each.visits != 1)}{times}")
    return texts


def _counted_lines(summaries: Sequence[SummaryRecord]) -> list["Text"]:
    from rich.text import Text

    return [Text(f"  {visible(text)}") for text in counted_texts(summaries)]


def _label_lines(totals: dict[str, float], events: Sequence[EventRecord]) -> list["Text"]:
    """`  dog barking   0:04  0:00–0:04`"""
    from rich.text import Text

    from commands.screen import cut

    begins = {event.event: event.start_s for event in reversed(events)}
    ordered = sorted(totals, key=lambda name: (-round(totals[name]), begins.get(name, 0.0), name))
    names = {name: cut(Text(visible(name)), _NAME_COLUMNS) for name in ordered[:SHOWN_LABELS]}
    columns = max((name.cell_len for name in names.values()), default=0)
    lines = []
    for name, shown in names.items():
        spans = [event for event in events if event.event == name]
        texts = [f"{clock_text(event.start_s)}–{clock_text(event.end_s)}" for event in spans[:SHOWN_SPANS]]
        more = f" and {len(spans) - SHOWN_SPANS} more" if len(spans) > SHOWN_SPANS else ""
        line = Text("  ").append_text(shown).append(" " * (columns - shown.cell_len))
        line.append(f"  {clock_text(round(totals[name])):>7}", style="green")
        lines.append(line.append(f"  {', '.join(texts)}{more}", style="bright_black"))
    left = len(totals) - len(names)
    return lines + ([Text(f"  and {left} more labels", style="bright_black")] if left > 0 else [])


def written_files(outputs: Sequence[OutputSpec], since_s: float) -> list[str]:
    """The files of a run that were written since a time."""
    paths = [path for spec in outputs for path in output_paths(spec)]
    return [path for path in paths if os.path.isfile(path) and os.path.getmtime(path) >= since_s - 1]


def unwritten_text(outputs: Sequence[OutputSpec], written: Sequence[str]) -> str:
    """Which files a run did not write that was stopped at once, and how they come about; "" if there are none."""
    files = [(spec.kind, path) for spec in outputs for path in output_paths(spec) if path not in written]
    missing = [visible(path) for kind, path in files if kind != "jsonl" and path not in ("", "-")]
    if not missing:
        return ""
    lines = [path for spec in outputs if spec.kind == "jsonl" for path in output_paths(spec) if path in written]
    how = f"; the same command with --resume goes on from {visible(lines[0])} and writes them" if lines else ""
    return f"stopped at once, so not written: {', '.join(missing)}{how}"


def written_lines(paths: Sequence[str]) -> list["Text"]:
    from rich.text import Text

    if not paths:
        return []
    lines = [Text(""), Text("Written", style="bold")]
    return lines + [
        Text.assemble("  ", visible(path), (f"  {size_text(Path(path).stat().st_size)}", "bright_black"))
        for path in paths
    ]


def closing_lines(account: Account) -> list["Text"]:
    from rich.text import Text

    return [Text(""), Text(speed_text(account)), Text(account_text(account), style="bright_black")]


def speed_text(account: Account) -> str:
    """`1:24 of media in 12.3 s: 2.1 s to start, then 8.2 times real time`"""
    text = f"{clock_text(round(account.media_s))} of media in {account.elapsed_s:.1f} s"
    working_s = account.elapsed_s - account.ready_s
    if not account.media_s or working_s <= 0:
        return text
    start = f"{account.ready_s:.1f} s to start, then " if account.ready_s else ""
    return f"{text}: {start}{account.media_s / working_s:.1f} times real time"


def account_text(account: Account) -> str:
    """`42 clips in = 40 results + 2 errors + 0 drops; 3 sources (1 failed); 7.3 clips per batch in encode`"""
    flight = f" + {account.in_flight} in flight" if account.in_flight else ""
    parts = [
        f"{account.clips_in} clips in = {account.results} results + {account.errors} errors"
        f" + {account.drops} drops{flight}",
        f"{account.sources} source{'s' * (account.sources != 1)}"
        + (f" ({account.sources_failed} failed)" if account.sources_failed else ""),
    ]
    if account.reused:
        parts.append(f"{account.reused} clip{'s' * (account.reused != 1)} reused, where nothing changed")
    if account.gaps:
        parts.append(f"{account.gaps} gap{'s' * (account.gaps != 1)}")
    if account.clips_before:
        parts.append(f"{account.clips_before} clips kept from an earlier run")
    parts += [f"{mean:.1f} clips per batch in {name}" for name, mean in account.mean_batch.items()]
    return ("interrupted: " if account.interrupted else "") + "; ".join(parts)


def fields(account: Account) -> dict[str, object]:
    return {
        "clips_in": account.clips_in,
        "results": account.results,
        "errors": account.errors,
        "drops": account.drops,
        "in_flight": account.in_flight,
        "reused": account.reused,
        "gaps": account.gaps,
        "sources": account.sources,
        "sources_failed": account.sources_failed,
        "clips_before": account.clips_before,
        "media_s": round(account.media_s, 2),
        "elapsed_s": round(account.elapsed_s, 2),
        "ready_s": round(account.ready_s, 2),
        "x_real_time": round(_x_real_time(account), 2),
        "interrupted": account.interrupted,
        "exit_code": account.exit_code,
        **{f"mean_batch_{name}": round(mean, 2) for name, mean in account.mean_batch.items()},
    }


def summary_fields(summary: SummaryRecord) -> dict[str, object]:
    """`longest` has the longest events, in order of time."""
    longest = sorted(summary.first_events, key=lambda event: event.start_s - event.end_s)[:SHOWN_EVENTS]
    return {
        "source": summary.source,
        "clips": summary.clips,
        "events": summary.events,
        "seconds": summary.seconds,
        "seconds_labelled": summary.seconds_labelled,
        "errors": summary.errors,
        "gaps": summary.gaps,
        **({"counted": "; ".join(counted)} if (counted := counted_texts([summary])) else {}),
        "longest": ", ".join(map(str, sorted(longest, key=lambda event: (event.start_s, event.event)))),
    }


def _x_real_time(account: Account) -> float:
    return account.media_s / account.elapsed_s if account.elapsed_s > 0 else 0.0
