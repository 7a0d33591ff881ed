"""The generated parts of docs/, and what the documentation site needs. Nothing of this is installed.

python -m manual            writes the generated parts anew
python -m manual --check    fails if one of them is out of date
"""
