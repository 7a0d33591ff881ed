"""Questions in plain words to a log: the results of a run or a watch, or the labels of an archive.

A question takes this way: `log.py` reads the log into stretches (`happening.py`), `grammar.py` takes the question
apart, `matching.py` finds the log's own words for those of the question, `answering.py` cuts the stretches to the time
and place that are asked about and computes the answer, and `sentences.py` says it. The grammar is closed: what it does
not know is refused, with what could be asked.
"""
