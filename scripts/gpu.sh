#!/usr/bin/env bash
# Measure on this machine's CUDA device, in under 8 minutes: `bash scripts/gpu.sh`; docs/performance.md says how to read it.
# Before them: the environment, if there is none. Where python3 has torch, it is taken as it is, and diffusers beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
python=.venv/bin/python
if [ ! -x "$python" ]; then
  python="${PYTHON:-python3}"
  if "$python" -c 'from typing import Self; import numpy, safetensors, torch, yaml' 2> /dev/null; then
    packages=outputs/gpu-packages
    export PYTHONPATH="$PYTHONPATH:$PWD/$packages"
    "$python" -c 'import diffusers' 2> /dev/null ||
      "$python" -m pip install --quiet --no-deps --target "$packages" -c constraints.txt diffusers importlib_metadata zipp
  else
    . scripts/install.sh
    python=.venv/bin/python
  fi
fi
exec "$python" scripts/gpu_benchmark.py "$@"
