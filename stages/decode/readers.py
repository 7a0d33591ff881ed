"""The readers there are, a line each. `--set decode.reader=` also takes "package.module:Class"."""

READERS: dict[str, str] = {
    "av": "stages.decode.reader_av:AvReader",
    "decord": "stages.decode.reader_decord:DecordReader",
}
