#!/usr/bin/env bash
# Every search on handwritten digits at equal compute: installs what it needs, runs, prints the table and the figure's path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/install.sh
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # of each process; these networks are too small for more
.venv/bin/python run.py -m experiment=digits_demo "$@"
.venv/bin/python run.py -m experiment=digits_demo search=random verifier=null_rewards "$@"
