"""Where the time of a run went: each stage's share."""

from typing import TYPE_CHECKING

import msgspec

from pipeline.status import Account

if TYPE_CHECKING:
    from rich.text import Text

BAR = 24


class StageTime(msgspec.Struct, frozen=True):
    """How long a stage has taken, in all its processes together, and its share of the time of all stages.

    mb: the most that the arrays took that it made of a clip.
    """

    stage: str
    took_s: float
    ms_a_clip: float
    mb: float
    share: float


def stages(account: Account) -> list[StageTime]:
    """The decoders and every stage, the slowest first; none if nothing was done."""
    clips, whole_s = max(1, account.results + account.errors), sum(account.stage_s.values())
    slowest = sorted(account.stage_s.items(), key=lambda item: -item[1])
    return [
        StageTime(
            name,
            round(took_s, 3),
            round(took_s / clips * 1e3, 2),
            round(account.stage_mb.get(name, 0.0), 3),
            round(took_s / whole_s, 4),
        )
        for name, took_s in slowest
        if whole_s
    ]


def profile_lines(account: Account) -> list["Text"]:
    """`  encode     8.6 s   129.5 ms  0.02 MB a clip   47%  ███████████`"""
    from rich.text import Text

    found = stages(account)
    if not found:
        return []
    whole_s, width = sum(each.took_s for each in found), max(len(each.stage) for each in found)
    lines = [Text(""), Text(f"{whole_s:.1f} s in stages, in all processes together", style="bold")]
    for each in found:
        text = f"  {each.stage.ljust(width)}  {each.took_s:7.1f} s  {each.ms_a_clip:7.1f} ms {each.mb:6.2f} MB a clip"
        text += f"  {each.share:4.0%}"
        lines.append(Text(text) + Text("  " + "█" * round(each.share * BAR), style="bright_black"))
    return lines
