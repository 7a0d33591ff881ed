"""What a run with these settings would do: settings, stages, groups, engines."""

from collections.abc import Callable

from commands.check.report import Section
from commands.columns import gate_text
from engines.building.choice import taken
from pipeline.plain import PlainLoop
from pipeline.plan import Plan
from pipeline.run import place, private_directory
from pipeline.stage import RunSettings, Stage

MB = 1 << 20


def settings_section(plan: Plan) -> Section:
    settings, size_bytes = plan.settings, plan.layout.slot_bytes
    rows = (
        ("model", settings.model),
        ("audio model", settings.audio_model),
        ("labels", f"{len(settings.labels)}: {', '.join(settings.labels[:6])}{', …' * (len(settings.labels) > 6)}"),
        ("templates", settings.templates if settings.templates != "model" else ""),
        ("descriptions", settings.descriptions),
        ("modalities", ", ".join(settings.modalities)),
        ("clips", f"{settings.clip_ns / 1e9:g} s, {settings.frame_rate_hz:g} frames/s"),
        ("engine", f"{settings.engine} {settings.precision} on {settings.device}"),
        ("slots", f"{plan.slots} of {size_bytes / MB:.1f} MB = {plan.slots * size_bytes / MB:.0f} MB of shared memory"),
        ("cache", settings.cache_directory),
    )
    return Section("settings", tuple(row for row in rows if row[1]))


def stages_section(plan: Plan, stages: dict[str, Stage]) -> Section:
    home = {name: group.name for group in plan.groups for name in group.stages}
    decoded = [name for name in plan.specs if not any(name in stage.gives() for stage in stages.values())]
    rows: list[tuple[str, ...]] = [("decode", "decode", "-", "-", " ".join(decoded))]
    for name, stage in stages.items():
        ports = stage.required, stage.optional, tuple(stage.gives())
        rows.append((name, home[name], *(" ".join(names) or "-" for names in ports)))
    return Section("stages", tuple(rows), ("stage", "group", "required", "optional", "gives"))


def groups_section(plan: Plan) -> Section:
    rows = [("decode", str(plan.decode_workers), "1", "decode")]
    rows += [(group.name, str(group.workers), str(group.threads), " ".join(group.stages)) for group in plan.groups]
    rows.append(("", "", "", f"({plan.placed})"))
    return Section("groups", tuple(rows), ("group", "processes", "threads", "stages"))


def loaded_section(plan: Plan, report: Callable[[str], None]) -> Section:
    """Prepare and open every stage once, as the first workers would; the facts that each reports, such as its engine.

    Raises: PerceptError: something cannot be loaded.
    """
    with private_directory() as directory, PlainLoop(place(plan, directory), report=report, improve=False) as loop:
        facts = {
            f"{name} {key}": value for name, stage in loop.stages.items() for key, value in stage.describe().items()
        }
    return Section("loaded", tuple(sorted(facts.items())))


def engines_section(settings: RunSettings) -> Section:
    """The engine that a run uses for each tower, its gate, and why a preferred one was passed over."""
    rows = []
    for choice in taken(settings.model, settings.audio_model, settings.modalities, settings):
        gate = gate_text(choice.gate) or "is the reference"
        why = "; ".join(filter(None, (gate, choice.reason)))
        rows.append(("+".join(choice.towers), f"{choice.engine} on {choice.device}", why))
    return Section("engines", tuple(rows), ("tower", "engine", "gate and reason"))
