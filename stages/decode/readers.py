"""All readers, one per line. `--set decode.reader=` also accepts "package.module:Class"."""

READERS: dict[str, str] = {
    "av": "stages.decode.reader_av:AvReader",
    "decord": "stages.decode.reader_decord:DecordReader",
}
USUAL = "av"
