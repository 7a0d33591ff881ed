"""What has been seen of a camera, so that a process that is started again tells nothing twice."""

import msgspec

from pipeline.result import ClipRecord

NEARLY_S = 1e-6


class Seen(msgspec.Struct):
    """Until where a camera's records have been seen. They come in order; after a restart some come again."""

    end_s: float = -1.0
    epoch: int = 0

    def has(self, record: ClipRecord) -> bool:
        return record.end_s <= self.end_s + NEARLY_S

    def missing_s(self, record: ClipRecord) -> float:
        """How much lies between what was seen and this record."""
        return 0.0 if self.end_s < 0 else max(0.0, record.start_s - self.end_s)

    def note(self, record: ClipRecord) -> None:
        self.end_s, self.epoch = record.end_s, record.epoch
