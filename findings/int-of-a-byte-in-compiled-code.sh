#!/usr/bin/env bash
# In code compiled by numba, int(x) of a uint8 is an UNSIGNED 64-bit number: the difference of two pixels wraps to
# almost 2^64, where the same function in Python gives a negative number. No warning, no error; int64(x) is right.
# Seen with numba 0.68.1 and NumPy 2.4.6. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' | tee out.txt
import numpy as np
from numba import njit


def by_int(pixels):
    return int(pixels[0]) - int(pixels[1])


def by_int64(pixels):
    return np.int64(pixels[0]) - np.int64(pixels[1])


pixels = np.array([3, 5], dtype=np.uint8)
print("Python, int:", by_int(pixels))
print("compiled, int:", njit(by_int)(pixels))
print("compiled, int64:", njit(by_int64)(pixels))
PYTHON
diff out.txt - <<'SEEN'
Python, int: -2
compiled, int: 18446744073709551614
compiled, int64: -2
SEEN
echo "as seen"
