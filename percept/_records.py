"""The record of a clip and its parts, the errors, and how a record shows itself in a notebook.

Type checkers read `_records.pyi` instead, since they would look for our package `pipeline` in the user's program.
"""

from percept._display import clip_html
from percept._home import ours

_errors, _result = ours("errors"), ours("result")

ClipRecord = _result.ClipRecord
Label = _result.Label
Evidence = _result.Evidence
Track = _result.Track
TrackEvidence = _result.TrackEvidence
View = _result.View
Movement = _result.Movement
ZoneVisits = _result.ZoneVisits
Visit = _result.Visit
TextLine = _result.TextLine
Region = _result.Region
Relation = _result.Relation
Crossing = _result.Crossing
Category = _result.Category
OpenSet = _result.OpenSet
clock_text = _result.clock_text
clip_seconds = _result.clip_seconds
decode_json = _result.decode_json

PerceptError = _errors.PerceptError
ConfigError = _errors.ConfigError
SourceError = _errors.SourceError
ModelError = _errors.ModelError
OutputError = _errors.OutputError

ClipRecord._repr_html_ = clip_html


def _explain(record, label="", **more):  # type: ignore[no-untyped-def]  # its types are in the stub
    from percept._explain import explain_record

    return explain_record(record, label, **more)


ClipRecord.explain = _explain
