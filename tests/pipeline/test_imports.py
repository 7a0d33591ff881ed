"""Who may import whom, what an import costs, whose code is never run, and where the tests of a module are."""

import ast
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "engines": ("engines", "pipeline.arrays", "pipeline.errors", "pipeline.machine"),
    "stages": (
        "stages",
        "engines",
        *(f"pipeline.{name}" for name in ("clip", "stage", "part", "places", "result", "arrays", "errors", "media")),
    ),
    "pipeline": ("pipeline",),
    "pages": ("pages", "pipeline"),
    "archive": ("archive", "pages", "stages", "engines", "pipeline"),
    "evidence": ("evidence", "stages", "engines", "pipeline"),
    "live": ("live", "pipeline", "stages.words.relations", "stages.words.tree", "stages.words.word"),
    "training": ("training", "stages", "engines", "pipeline"),
    "recipes": ("recipes", "training", "stages", "engines", "pipeline", "benchmarks"),
    "commands": ("commands", "archive", "evidence", "live", "pages", "training", "stages", "engines", "pipeline"),
}
"""The modules of ours that each folder may import. Only `commands` may import `commands`."""
PACKAGES = ("archive", "commands", "evidence", "live", "pages", "pipeline", "stages", "engines", "training")
OURS = (*ALLOWED, "benchmarks", "tests", "configs", "percept")
HEAVY = ("torch", "torchaudio", "transformers", "cv2", "av", "onnx", "onnxruntime", "kornia", "numpy", "zmq")


@dataclass(frozen=True)
class Read:
    """What a source file says. Each is parsed once for all tests."""

    imports: list[tuple[int, str]]
    """Line and full name of everything that it imports, at its top or inside a function."""
    imports_at_runtime: set[str]
    """The same names, without those under `if TYPE_CHECKING`."""
    strings: list[str]
    has_code: bool


@cache
def read(path: Path) -> Read:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    code = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = Read([], set(), [], any(isinstance(node, code) for node in tree.body))
    for node, at_runtime in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.strings.append(node.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [*imported(node, path)]
            found.imports.extend((node.lineno, name) for name in names)
            found.imports_at_runtime.update(names if at_runtime else ())
    return found


def imported(node: ast.Import | ast.ImportFrom, path: Path) -> Iterator[str]:
    """The full names that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        assert not node.level, f"{path}:{node.lineno}: imports are absolute"
        assert node.module
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def nodes(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes of a tree, and whether they run: those under `if TYPE_CHECKING` do not."""
    waiting = [(tree, True)]
    while waiting:
        node, runs = waiting.pop()
        yield node, runs
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += [(child, False) for child in (node.test, *node.body)]
            waiting += [(child, runs) for child in node.orelse]
        else:
            waiting += [(child, runs) for child in ast.iter_child_nodes(node)]


def under(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_in_one_direction(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for line, name in read(path).imports:
            if under(name, OURS) and name != "pipeline" and not under(name, ALLOWED[package]):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_only_the_command_itself_imports_verbs() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for package in {*OURS} - {"commands", "tests"}
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in read(path).imports
        if under(name, ("commands",)) and not (package == "percept" and under(name, ("commands.main",)))
    ]
    assert wrong == []


def modules() -> dict[str, Path]:
    """Every module of the product by its full name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_there_are_no_import_cycles() -> None:
    """Imports inside functions count as well. Those under `if TYPE_CHECKING` do not, because they never run."""
    known = modules()
    graph = {
        module: {name for name in read(path).imports_at_runtime if name in known} - {module}
        for module, path in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_only_one_module_names_stages_and_engines_in_strings() -> None:
    """A name in a string is invisible to types, find-usages and dead-code search."""
    naming = {
        str(path.relative_to(ROOT))
        for package in ("pipeline", "commands", "live", "pages", "training")
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in read(path).strings
        if re.fullmatch(r"(stages|engines|commands|live|pages|training)(\.\w+)+:\w+", text)
    }
    assert naming == {
        "pipeline/build.py",
        "pipeline/config.py",  # the default of decode.factory
        "pipeline/sinks/kinds.py",  # the page, which is also a command's
    }


@pytest.mark.parametrize("package", ["pipeline", "stages", "engines", "commands", "live", "pages"])
def test_a_package_imports_nothing_by_itself(package: str) -> None:
    assert {name for _, name in read(ROOT / package / "__init__.py").imports} <= {"os"}


def run_python(code: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import percept", []),
        ("from commands.main import main; main(['--help'])", []),
        ("from commands.main import main; main(['--version'])", []),
        ("from commands.run import make_parser; make_parser().format_help()", ["numpy"]),
    ],
    ids=["import percept", "--help", "--version", "run --help"],
)
def test_a_command_that_only_prints_imports_nothing_heavy(code: str, loaded: list[str]) -> None:
    out = run_python(f"{code}\nimport sys; print('LOADED', *sorted(set(sys.modules) & set({HEAVY!r})))")
    assert out.strip().splitlines()[-1].split() == ["LOADED", *loaded]


def test_help_is_printed_at_once() -> None:
    """In processor time, which depends little on other work on the machine; the best of three."""
    assert min(processor_seconds("from commands.main import main; main(['--help'])") for _ in range(3)) < 0.3


def processor_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "module", ["stages.flow", "stages.encode", "stages.classify", "stages.detect.stage", "pipeline.build"]
)
def test_making_a_stage_does_not_import_torch(module: str) -> None:
    heavy = ("torch", "transformers", "onnxruntime", "kornia")
    out = run_python(f"import {module}, sys; print('LOADED', *sorted(set(sys.modules) & set({heavy!r})))")
    assert out.strip() == "LOADED"


def test_what_all_processes_share_has_no_networks() -> None:
    code = "from pipeline.nursery import COMMON; import importlib, pipeline.build, sys\n"
    code += "for module in COMMON: importlib.import_module(module)\n"
    code += "pipeline.build.import_usual()\n"
    code += "print(sorted({'torch', 'onnxruntime', 'openvino', 'transformers'} & set(sys.modules)))"
    assert run_python(code).strip() == "[]"


def test_a_users_own_modules_are_not_imported(tmp_path: Path) -> None:
    """A `pipeline.py`, `stages.py` or `numpy.py` in the current folder is not ours."""
    for name in ("pipeline", "stages", "engines", "numpy", "msgspec", "zmq", "av", "pipeline_helper"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name}')\n")
    order = (
        '{"sources": ["fake:clips=4"], "output": "out.jsonl", "resume": false, '
        '"config": __import__("tests.pipeline.fakes").pipeline.fakes.fake_config()}'
    )
    run_python(
        f"from tests.pipeline.run_script import main\nassert main({order.replace('false', 'False')}) == 0", tmp_path
    )
    assert not (tmp_path / "imported").exists()
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 4


# -- where the tests of a module are ----------------------------------------------------------------------------------

COVERED_BY = {
    "tests/stages/test_pictures.py": "stages.{fit, half}",
    "tests/pipeline/test_placing.py": "pipeline.costs",
    "tests/pipeline/test_zygote.py": "pipeline.nursery",
    "tests/stages/text/test_stage.py": "stages.text.{on_rapidocr, phrases, reader, readers}",
    "tests/archive/test_store.py": "archive.{entries, s3_claims, s3_connection, s3_object} pipeline.s3",
    "tests/archive/test_claims.py": "archive.local_claims",
    "tests/archive/ask/test_answering.py": "archive.ask.{grammar, happening, limits, question, sentences}",
    "tests/archive/ask/test_log.py": "archive.ask.source_log",
    "tests/archive/ask/test_stems.py": "archive.ask.matching",
    "tests/commands/test_ask.py": "archive.ask.{answerer, nearest}",
    "tests/archive/test_plan.py": "archive.{tally, verdict}",
    "tests/archive/test_run_claims.py": "archive.process",
    "tests/archive/test_shard.py": "archive.{labels, schema, settings}",
    "tests/commands/test_labelling.py": "archive.{links, runs, sink, ticket}",
    "tests/archive/exports/test_export.py": "archive.exports.{formats, source}",
    "tests/archive/test_report.py": "archive.{report_moments, report_source}",
    "tests/archive/search/test_cache.py": "archive.search.{catalog, columns, lock, moving, reading, updating}",
    "tests/archive/search/test_where.py": "archive.search.condition",
    "tests/archive/search/test_scan.py": "archive.search.{query, rows, vectors}",
    "tests/archive/search/test_texts.py": "archive.search.odds",
    "tests/archive/search/test_candidates.py": "archive.search.nearest",
    "tests/commands/test_search.py": "archive.search.{example, opened, question, search}",
    "tests/pages/test_search_hits.py": "archive.search.sheet",
    "tests/commands/test_label_on.py": "archive.{on_local, on_ray} commands.labelling_on",
    "tests/evidence/test_explaining.py": (
        "evidence.{colours, heard, in_pixels, moved, seen, strip, told} commands.explain"
    ),
    "tests/evidence/test_heat.py": "evidence.contrast",
    "tests/evidence/finding/test_finder.py": "evidence.finding.{drawn, told} commands.find",
    "tests/evidence/finding/test_judge.py": ("evidence.finding.{answer, candidates, measured, over_time, ranked}"),
    "tests/evidence/finding/test_aligned.py": "engines.networks.words",
    "tests/stages/phrase/test_parse.py": "stages.phrase.parts",
    "tests/evidence/test_looking.py": "evidence.{overlay, sights} commands.where",
    "tests/stages/maps/test_word_map.py": "stages.maps.{cells, phrases}",
    "tests/stages/relations/test_stage.py": "stages.relations.{moving, pair, standing}",
    "tests/stages/maps/test_segments.py": "stages.maps.stuff",
    # contract suites
    "tests/engines/test_engine.py": "engines.backends.{backend, on_onnxruntime, table}",
    "tests/stages/decode/test_contract.py": ("stages.decode.{assembly, frames, grid, reader, reader_decord}"),
    "tests/stages/decode/test_hardware.py": "stages.decode.{handover, nvdec, reduced}",
    "tests/stages/decode/test_clock.py": "stages.decode.container",
    "tests/pipeline/sinks/test_hysteresis.py": "pipeline.sinks.running",
    "tests/pipeline/test_messages.py": "live.{event, settings} stages.decode.live.options",
    "tests/live/test_watch.py": "live.status_now pipeline.{clerk, live_decode}",
    "tests/commands/test_watch.py": "commands.watch.{ctl, options, screen, watching}",
    "tests/live/page/test_app.py": (
        "live.page.{api, assets, backend, calls, events, openapi, process, replies, server, watch} live.status"
    ),
    "tests/live/test_budget.py": "live.thresholds",
    "tests/live/test_condition.py": "live.condition_parts",
    "tests/live/test_health.py": "live.health_checks",
    "tests/live/test_moments.py": "live.{clip_facts, rules, running, seen}",
    "tests/live/test_read_settings.py": "live.{check_settings, sources, targets}",
    "tests/live/page/test_ctl.py": "live.page.socket_name",
    "tests/live/page/test_guard.py": "live.page.{door, rates, shown}",
    "tests/live/page/test_stream.py": "live.page.{board, pictures}",
    "tests/stages/decode/live/test_measures.py": "stages.decode.live.luma",
    "tests/stages/decode/live/test_ring.py": "stages.decode.live.{film, film_times, film_tracks, headers}",
    "tests/stages/decode/live/test_stillness.py": "stages.decode.live.{still_pictures, still_sizes, still_sound}",
    "tests/stages/decode/test_hls.py": "stages.decode.timing",
    "tests/live/test_delivery.py": "live.spool",
    "tests/live/test_history.py": "live.{history_schema, keeper}",
    "tests/live/test_mqtt.py": "live.{announced, discovery}",
    "tests/live/test_sink.py": "live.{archive, cases, films, snapshots}",
    "tests/stages/decode/test_links.py": "stages.decode.packets",
    "tests/training/data/test_layouts.py": (
        "training.data.layouts.{ave, esc50, folder, hmdb51, kinetics, layout, table, ucf101, vggsound} "
        "training.data.media"
    ),
    # verbs, which are tested through the command line
    "tests/commands/test_adapt_and_calibrate.py": (
        "commands.{adapt, calibrate, model_output, training_options} training.adapt.gather training.calibrate.store"
    ),
    "tests/commands/test_console.py": "commands.account commands.profile",
    "tests/commands/test_terminal.py": "commands.{rows, screen} pipeline.sinks.terminal",
    "tests/pipeline/sinks/test_rows.py": "pipeline.sinks.table",
    "tests/commands/test_engine.py": (
        "commands.{actions, columns} commands.engine.{bench, build, clean, list, options, quantize, samples, verify}"
    ),
    "tests/commands/test_eval.py": (
        "training.evaluate.{charts, evaluate, head, page, report, report_files, surroundings}"
    ),
    "tests/commands/test_labels.py": "commands.labels.{embedded, lint, weigh} stages.words.weigh",
    "tests/commands/test_check.py": "commands.preflight commands.check.{checking, installation, plan, sources}",
    "tests/commands/test_options.py": "commands.outputs",
    "tests/commands/test_python_api.py": "commands.python_stub",
    "tests/test_contributing.py": "commands.schema",
    "tests/training/captions/test_captions_command.py": (
        "commands.train_captions training.captions.{job, texts, trainee, views} training.train.task"
    ),
    "tests/training/train/test_train_command.py": (
        "commands.train training.train.{batch, console, job, plan, result, streams, tower, vectors}"
    ),
    # parts of a whole that is tested
    "tests/engines/backends/test_on_torch.py": "engines.devices.cuda_graphs",
    "tests/engines/building/test_building.py": "engines.building.choice",
    "tests/engines/building/test_export.py": "engines.building.precision",
    "tests/engines/building/test_quantize.py": "engines.building.int8",
    "tests/engines/gate/test_gate.py": "engines.gate.golden",
    "tests/engines/models/test_checkpoint.py": (
        "engines.models.{checkpoint_files, network, text_tower, tower} "
        "engines.networks.{checkpoint_facts, clap_mel, torchaudio_import}"
    ),
    "tests/engines/models/test_families.py": (
        "engines.models.published_ports "
        "engines.networks.{transformers_format, transformers_tokenizer, transformers_towers}"
    ),
    "tests/engines/models/test_hub.py": "engines.models.assemble",
    "tests/engines/models/test_model_file.py": "engines.models.model",
    "tests/engines/networks/test_patches.py": "engines.models.patch_tower",
    "tests/engines/networks/test_fusion.py": "engines.networks.fusion_shape",
    "tests/engines/networks/test_open_clip.py": "engines.networks.{open_clip_format, open_clip_towers}",
    "tests/stages/decode/live/test_reader.py": ("stages.decode.live.{session, streams, viewer}"),
    "tests/stages/decode/test_reader_av.py": "stages.decode.canvas",
    "tests/stages/decode/test_still.py": "stages.decode.side_data",
    "tests/stages/decode/test_tiling.py": "stages.decode.timeline",
    "tests/pages/test_page.py": "pages.source",
    "tests/pages/test_why.py": "commands.view_explained",
    "tests/pages/test_report.py": "commands.report",
    "tests/pipeline/sinks/test_film.py": "stages.decode.{film, film_relay, film_sound}",
    "tests/stages/detect/test_stage.py": "stages.detect.{change, regions}",
    "tests/stages/detect/test_own.py": "engines.models.detector, stages.built_network",
    "tests/stages/detect/test_owl.py": "engines.networks.owl_towers, stages.detect.owl_pictures",
    "tests/stages/detect/test_detectors.py": "stages.detect.detector",
    "tests/stages/test_classify.py": "stages.words.reliability",
    "tests/stages/test_encode.py": "stages.tower_inputs",
    "tests/stages/test_flow.py": "stages.flow_raft",
    "tests/stages/device_flow/test_dis.py": "stages.device_flow.{refinement, search}",
    "tests/stages/track/test_tracks.py": "stages.track.{costs, naming, options, paths, stage, state, tracker, watch}",
    "tests/stages/test_classify_watch.py": "stages.words.versions",
    "tests/stages/words/test_label_side.py": "stages.words.capped",
    "tests/stages/words/test_labels.py": "stages.words.{label_vectors, text_cache}",
    "tests/stages/words/test_word.py": "stages.words.tree",
    "tests/stages/words/test_zpe.py": "stages.words.template_stack",
    "tests/training/adapt/test_adapt.py": ("training.adapt.{adapter, choose, examples, folds, learn, measure, store}"),
    "tests/training/calibrate/test_calibrate.py": "training.calibrate.{measure, temperature, units, unknown}",
    "tests/training/data/test_read.py": "training.data.example",
    "tests/training/evaluate/test_confusion.py": "training.evaluate.picture",
    "tests/training/test_features.py": "training.{encoder, feature_cache}",
    "tests/training/train/test_head.py": "training.train.{evaluation, words}",
    "tests/training/train/test_loop.py": "training.train.state",
    "tests/training/train/test_split.py": "training.train.{curves, order}",
}
"""Modules without a test file of their own, by the test file that covers them."""


def spread(names: str) -> Iterator[str]:
    """ "a.{b, c} d.e" -> a.b, a.c, d.e"""
    for parent, group, single in re.findall(r"([\w.]+)\.\{([^}]*)\}|([\w.]+)", names):
        yield from (f"{parent}.{name.strip()}" for name in group.split(",")) if group else (single,)


def namesake(path: Path) -> Path:
    """The test file of a module; that of a package has the name of the package."""
    own = path.parent if path.name == "__init__.py" else path.with_suffix("")
    relative = own.relative_to(ROOT)
    return ROOT / "tests" / relative.with_name(f"test_{relative.name}.py")


def test_every_module_has_a_test_file_of_its_name_or_is_covered_by_another() -> None:
    covered = {name for names in COVERED_BY.values() for name in spread(names)}
    untested = [
        str(path.relative_to(ROOT))
        for name, path in modules().items()
        if read(path).has_code and not namesake(path).exists() and name not in covered
    ]
    assert not untested, "\n".join(untested)


def test_no_module_is_listed_as_covered_by_another_test_file_without_need() -> None:
    known = modules()
    stale = [file for file in COVERED_BY if not (ROOT / file).exists()]
    for name in (name for names in COVERED_BY.values() for name in spread(names)):
        if name not in known or not read(known[name]).has_code or namesake(known[name]).exists():
            stale.append(name)
    assert not stale, "\n".join(stale)
