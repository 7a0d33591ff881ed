#!/usr/bin/env bash
# One call of `nncf.set_log_level(logging.ERROR)` in a test empties pytest's `caplog` in all later tests.
#
# NNCF's logger does not propagate. From 9.2 on, pytest attaches its capture handlers to the root logger and, during
# each test, to every logger that does not propagate. `nncf.set_log_level` sets the level of the logger and of every
# handler that is attached to it at that moment. pytest uses the same handler objects in all tests and does not reset
# their level, so records below ERROR, of any logger, no longer arrive.
#
# One would guess that a function called `set_log_level` of one library changes only what that library logs.
#
# It matters because the failing tests are elsewhere, in code that has nothing to do with NNCF; they pass alone, and
# pass or fail depending on the order. `logging.getLogger("nncf").setLevel(...)` silences NNCF and changes nothing else.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check nncf==3.4.0 openvino==2026.4.1 numpy==2.4.6 pytest==9.2.0

cd "$work"
cat > disable_telemetry.py <<'PY'
import sys

sys.modules["openvino_telemetry"] = None  # it would report the imports
PY
for how in 'nncf.set_log_level(logging.ERROR)' 'logging.getLogger("nncf").setLevel(logging.ERROR)'; do
  cat > test_order.py <<PY
import logging

import nncf


def test_before(caplog):
    logging.getLogger("mine").warning("hello")
    print("before:", caplog.messages)


def test_that_silences_nncf():
    $how
    print("$(printf '%s' "$how" | sed 's/"/\\"/g')")


def test_after(caplog):
    logging.getLogger("mine").warning("hello")
    print("after: ", caplog.messages)
PY
  "$work/venv/bin/python" -m pytest -q -s -p disable_telemetry test_order.py >> out.txt 2>&1 || { cat out.txt; exit 1; }
done

"$work/venv/bin/python" - <<'PY'
import platform
from importlib.metadata import version

print(f"Python {platform.python_version()}, nncf {version('nncf')}, pytest {version('pytest')}")
PY
grep -E '^\.?(before|after|nncf\.set|logging\.get)' out.txt | sed 's/^\.//'
seen=$(grep -E '^\.?(before|after)' out.txt | sed 's/^\.//')
expected="before: ['hello']
after:  []
before: ['hello']
after:  ['hello']"
if [ "$seen" != "$expected" ]; then
  echo "changed: expected"
  echo "$expected"
  exit 1
fi
echo "as described: after nncf.set_log_level, caplog of another logger is empty"
