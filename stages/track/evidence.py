"""What the name of a track rests on: the crops that fit it best, in this clip and in those before."""

import msgspec

from pipeline.clip import ClipInfo
from pipeline.result import TrackEvidence, View
from stages.track.naming import Name, Naming
from stages.track.paths import Path, told_box
from stages.track.state import Known

MOST_VIEWS = 3


def evidence(
    path: Path, name: Name, naming: Naming, info: ClipInfo, before: Known
) -> tuple[TrackEvidence | None, Known]:
    """The evidence for a name, and what is to be remembered of it; None without a name.

    With another name, views are those of this clip: what earlier crops say of it is not known any more.
    """
    if name.label is None:
        return None, msgspec.structs.replace(before, name="", views=())
    views = list(before.views) if before.name == name.thing else []
    for place in path.places:
        seen = place.detection
        if seen is not None and seen.vector is not None:
            similarity = naming.similarity(name, seen.vector)
            if similarity is not None:
                kind = "crop" if seen.is_crop else "place"
                time_s = round(place.time_ns / 1e9, 3)
                views.append(View(time_s, told_box(place.box, info), round(similarity, 4), kind))
    best = sorted(views, key=lambda view: (view.kind, -view.similarity))[:MOST_VIEWS]
    return TrackEvidence(name.by, best), msgspec.structs.replace(before, name=name.thing, views=tuple(best))
