"""The table that a terminal shows, as plain text in a file or a pipe."""

from pipeline.result import ClipRecord
from pipeline.sinks.file import WholeFile
from pipeline.sinks.rows import Headings, plain_row, row_of
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec


class Table(Sink):
    """One line per clip. With several sources, each begins with a line of its name."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._file = WholeFile(spec.path)
        self._headings = Headings(len(spec.sources))

    def open(self) -> None:
        self._file.open()

    def write(self, record: ClipRecord) -> None:
        row = row_of(record, self.spec.events)
        heading = self._headings.before(row)
        self._file.write((f"{heading}\n" if heading else "") + plain_row(row) + "\n")
        self._file.flush()

    def close(self, complete: bool) -> None:
        self._file.close(complete)
