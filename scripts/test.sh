#!/usr/bin/env bash
# Linter, type checker and the default tests; arguments go to pytest, e.g. `bash scripts/test.sh -m long`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
.venv/bin/ruff check its run.py scripts tests
.venv/bin/mypy
.venv/bin/python -m pytest -q "$@"
