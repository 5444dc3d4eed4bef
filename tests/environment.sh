# Sourced by the tests in Python, each in a folder of its own with a `requirements.txt`: their environment in the
# target folder as `$place/venv`, made anew where what is required has changed.
#
# NEUROLAKE_BIN is the program; it is taken from the target folder where it is not named.
set -euo pipefail
cd "$(dirname "$0")"
root=$(realpath ../..)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
export NEUROLAKE_BIN=${NEUROLAKE_BIN:-$target/debug/neurolake-demo}

place=$target/$(basename "$PWD")
stamp=$({ python3 --version; cat requirements.txt; } | sha256sum | cut -c1-16)
if [ "$(cat "$place/stamp" 2>/dev/null)" != "$stamp" ]; then
  rm -rf "$place"
  python3 -m venv "$place/venv"
  "$place/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
  echo "$stamp" >"$place/stamp"
fi
export PATH=$place/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
