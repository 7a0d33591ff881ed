"""The generated part of the Python API follows the options of the command and the record."""

import msgspec

from commands import python_api
from commands.console import add_console_options
from commands.options import Parser, add_config_options
from commands.python_stub import RECORDS, records_stub
from commands.run import make_parser
from pipeline import result
from pipeline.sinks.kinds import KINDS


def test_the_generated_files_are_up_to_date() -> None:
    old = [path.name for path, text in python_api.generated().items() if path.read_text(encoding="utf-8") != text]
    assert not old, f"{', '.join(old)}: not what the options and the record say. Run: {python_api.COMMAND}"


def test_options_are_parameters_with_their_types() -> None:
    parser = Parser(prog="percept run")
    add_config_options(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--html", metavar="FILE", help="write a page, see --set page.width=80")
    group.add_argument("-r", "--recursive", action="store_true", help="folders with their folders")
    group.add_argument("--panel", choices=["below", "off"], help="where")
    group.add_argument("--pause", type=float, help="seconds")
    group.add_argument("--page", nargs="?", const=True, help="with or without a value")
    group.add_argument("--format", help="of the command only")
    found = {each.name: each for each in python_api.parameters(parser)}
    types = {
        "html": "str | os.PathLike[str] | None",
        "recursive": "bool",
        "panel": "Literal['below', 'off'] | None",
        "pause": "float | None",
        "page": "bool | str | None",
        "start": "float | str | None",
        "min_probability": "float | str | None",
        "modalities": "Sequence[str] | str | None",
    }
    assert {name: found[name].type for name in types} == types
    assert found["html"].text == 'write a page, see settings={"page.width": "80"}'
    assert not {"format", "labels", "config", "set", "help"} & set(found)


def test_options_about_the_log_are_not_parameters() -> None:
    parser = Parser(prog="percept run")
    add_console_options(parser)
    assert list(python_api.parameters(parser)) == []


def test_lengths_say_that_they_are_seconds() -> None:
    texts = {each.name: each.text for each in python_api.parameters(make_parser())}
    assert texts["clip_seconds"] == "length of a clip, in seconds (default: 2.0)"
    assert texts["end"].count("seconds") == 1


def test_the_output_names_every_suffix_of_a_file() -> None:
    suffixes = [kind.suffixes[0] for kind in KINDS.values() if kind.suffixes]
    assert [suffix for suffix in suffixes if suffix not in python_api.TEXTS["output"]] == []


def test_the_stub_has_every_field_of_the_record_with_its_description() -> None:
    stub = " ".join(records_stub().split())
    for name in RECORDS:
        for field in msgspec.structs.fields(getattr(result, name)):
            assert f" {field.encode_name}: " in stub
    assert "Cosine between the modality's embedding and the label's text vector." in stub
