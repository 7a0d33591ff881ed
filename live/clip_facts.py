"""What one clip says about labels and zones, for conditions and events."""

from collections.abc import Mapping, Set

from live.condition import Truth
from live.settings import Camera
from live.zones import PICTURE, Evidence, Zone, active
from pipeline.result import ClipRecord, Label
from pipeline.status import LEAVE_SHARE


class ClipFacts:
    """One clip's answers. A label outside the best ones of a result counts as improbable.

    thresholds: by label. lasting: the labels that were probable in the clip before; they stay so at 0.6 of their
    threshold. not_asked: labels that the clip was not asked for.
    """

    def __init__(
        self,
        camera: Camera,
        record: ClipRecord,
        thresholds: Mapping[str, float],
        lasting: Set[str],
        not_asked: Set[str] = frozenset(),
    ) -> None:
        self.start_s, self.end_s = record.start_s, record.end_s
        self._camera, self._record, self._not_asked = camera, record, not_asked
        self.labels: dict[str, Label] = {each.label: each for each in record.labels or ()}
        self.is_known = record.is_result and record.labels is not None
        self.probable_labels = {
            name: self.labels[name].probability
            for name, threshold in thresholds.items()
            if self.is_known
            and name in self.labels
            and self.labels[name].probability >= (threshold * LEAVE_SHARE if name in lasting else threshold)
        }
        self._zones: dict[str, Evidence] = {}

    def probable(self, label: str) -> Truth:
        if not self.is_known or label in self._not_asked:
            return None
        return label in self.probable_labels

    def probability(self, label: str) -> float | None:
        if not self.is_known or label in self._not_asked:
            return None
        found = self.labels.get(label)
        return found.probability if found else 0.0

    def moves(self, zone: str) -> Truth:
        return self._zone(zone).active

    def tracked(self, label: str, zone: str) -> Truth:
        if self._record.tracks is None:
            return None
        found = self._zone(zone)
        return found.has(label) if label else bool(found.tracks)

    def crossed(self, label: str, line: str, way: str) -> Truth:
        if self._record.crossings is None:
            return None
        return any(
            each.line == line and way in ("", each.way) and label in ("", each.label) for each in self._record.crossings
        )

    def stays(self, label: str, zone: str, seconds: float) -> Truth:
        if self._record.zones is None:
            return None
        visits = [visit for each in self._record.zones if each.zone == zone for visit in each.visits]
        return any(visit.dwell_s >= seconds and not visit.left and label in ("", visit.label) for visit in visits)

    def _zone(self, name: str) -> Evidence:
        if name not in self._zones:
            zone = Zone(name, self._camera.zones[name]) if name else PICTURE
            self._zones[name] = active(zone, self._record)
        return self._zones[name]
