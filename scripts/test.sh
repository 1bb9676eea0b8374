#!/usr/bin/env bash
# Linter, type checker and the default tests; arguments go to pytest, e.g. `bash scripts/test.sh -m long`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
export OMP_NUM_THREADS=1   # small batches: two threads on a busy core are slower than one
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python -m pytest -q -n 2 "$@"
