"""What has been seen of a camera, so that a process that is started again tells nothing twice."""

from datetime import datetime

import msgspec

from live.running import wall_time
from pipeline.result import ClipRecord

ANOTHER_WATCH_S = 10.0
"""A clip that is later by so much, but not on the clock of clips, comes from a watch that was started anew."""
NEARLY_S = 1e-6


class Seen(msgspec.Struct):
    """Until where a camera's records have been seen. They come in order; after a restart some come again."""

    end_s: float = -1.0
    epoch: int = 0
    wall: str = ""
    """Wall time of the last record that has one."""

    def has(self, record: ClipRecord) -> bool:
        return record.end_s <= self.end_s + NEARLY_S

    def is_of_earlier_watch(self, record: ClipRecord) -> bool:
        """Whether all that was seen comes from an earlier watch than this record: the clock of clips began anew."""
        if not (self.wall and record.wall_time and record.is_result and self.has(record)):
            return False
        later_s = (wall_time(record) - datetime.fromisoformat(self.wall)).total_seconds()
        return later_s > ANOTHER_WATCH_S

    def missing_s(self, record: ClipRecord) -> float:
        """How much lies between what was seen and this record."""
        return 0.0 if self.end_s < 0 else max(0.0, record.start_s - self.end_s)

    def note(self, record: ClipRecord) -> None:
        self.end_s, self.epoch = record.end_s, record.epoch
        self.wall = record.wall_time or self.wall
