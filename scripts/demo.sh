#!/usr/bin/env bash
# Every search on handwritten digits at equal compute: installs what it needs, runs, prints the table and the figure's path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
.venv/bin/python run.py -m experiment=digits_demo "$@"
.venv/bin/python run.py -m experiment=digits_demo search=random verifier=null_rewards "$@"
