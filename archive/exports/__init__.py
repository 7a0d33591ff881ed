"""What an archive says about a source, as files that other programs read: `formats.py` is the table of them."""
