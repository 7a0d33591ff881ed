"""The account at the end of a run: clips in and out, speed, and events."""

import logging

from commands.console import clock_text
from pipeline.logs import log, redact
from pipeline.status import Account, SummaryRecord

SHOWN_EVENTS = 8


def report(account: Account, *, as_fields: bool) -> None:
    """Log the account, as sentences or as one line of fields."""
    level = logging.ERROR if account.exit_code not in (0, 1, 130) else logging.INFO
    for message in account.messages:
        log(logging.ERROR if account.exit_code else logging.WARNING, message)
    if as_fields:
        log(min(level, logging.INFO), "account", **fields(account))
        for summary in account.summaries:
            log(logging.INFO, "summary", **summary_fields(summary))
        return
    for summary in account.summaries:
        log(logging.INFO, summary_text(summary))
    log(logging.INFO, text(account))


def text(account: Account) -> str:
    """`42 clips in = 40 results + 2 errors + 0 drops; 3 sources (1 failed); 1:24 of media in 12.3 s, 6.8× real time`"""
    flight = f" + {account.in_flight} in flight" if account.in_flight else ""
    parts = [
        f"{account.clips_in} clips in = {account.results} results + {account.errors} errors"
        f" + {account.drops} drops{flight}",
        f"{account.sources} source{'s' * (account.sources != 1)}"
        + (f" ({account.sources_failed} failed)" if account.sources_failed else ""),
    ]
    if account.gaps:
        parts.append(f"{account.gaps} gap{'s' * (account.gaps != 1)}")
    if account.clips_before:
        parts.append(f"{account.clips_before} clips kept from an earlier run")
    parts.append(
        f"{clock_text(account.media_s)} of media in {account.elapsed_s:.1f} s, {_x_real_time(account):.1f}× real time"
    )
    parts += [f"{mean:.1f} clips per batch in {name}" for name, mean in account.mean_batch.items()]
    return ("interrupted: " if account.interrupted else "") + "; ".join(parts)


def fields(account: Account) -> dict[str, object]:
    return {
        "clips_in": account.clips_in,
        "results": account.results,
        "errors": account.errors,
        "drops": account.drops,
        "in_flight": account.in_flight,
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


def summary_text(summary: SummaryRecord) -> str:
    """`talk.mp4: dog barking 12.0–18.0 s, rain 20.0–31.0 s; 28.0 of 60.0 s labelled`"""
    longest = sorted(summary.first_events, key=lambda event: event.start_s - event.end_s)[:SHOWN_EVENTS]
    events = ", ".join(str(event) for event in sorted(longest, key=lambda event: (event.start_s, event.event)))
    more = f" and {summary.events - len(longest)} more" if summary.events > len(longest) else ""
    labelled = f"{summary.seconds_labelled:.1f} of {summary.seconds:.1f} s labelled"
    failed = f", {summary.errors} clips failed" if summary.errors else ""
    return f"{redact(summary.source)}: {events or 'no event'}{more}; {labelled}{failed}"


def summary_fields(summary: SummaryRecord) -> dict[str, object]:
    return {
        "source": summary.source,
        "clips": summary.clips,
        "events": summary.events,
        "seconds": summary.seconds,
        "seconds_labelled": summary.seconds_labelled,
        "errors": summary.errors,
        "gaps": summary.gaps,
        "longest": ", ".join(str(event) for event in summary.first_events[:SHOWN_EVENTS]),
    }


def _x_real_time(account: Account) -> float:
    return account.media_s / account.elapsed_s if account.elapsed_s > 0 else 0.0
