"""Search in an archive: its vectors as raw files beside it, scanned exactly, row by row.

One query takes this way: `search.py` brings the cache up to date (`cache.py`), makes a query of words and examples
(`words.py`, `example.py`), scans all rows (`scan.py`), settles the best of them exactly and merges neighbours
(`ranges.py`), and reads labels and thumbnails of what it found (`hits.py`).
"""
