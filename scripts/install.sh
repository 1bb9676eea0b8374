# Sourced by demo.sh and test.sh: makes .venv if there is none and installs the pinned dependencies once.
PYTHON="${PYTHON:-python3}"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "its needs Python 3.11 or newer, and $PYTHON is $("$PYTHON" --version 2>&1); set PYTHON=/path/to/one" >&2
  exit 1
}
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
stamp=$(cat pyproject.toml constraints.txt | cksum)
if [ "$(cat .venv/.its-installed 2>/dev/null)" != "$stamp" ]; then
  echo "installing (once; a few minutes) ..."
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
  echo "$stamp" > .venv/.its-installed
fi
