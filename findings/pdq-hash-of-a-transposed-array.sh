#!/usr/bin/env bash
# pdqhash.compute takes an array in Fortran order without complaint and hashes other pixels: the binding reads memory
# from the first pixel on as if it were in C order. Equal arrays get hashes that differ in about half of their bits,
# with the same quality value. Images from transposes, some readers and torch tensors (C, H, W moved to H, W, C) come so.
# Seen with pdqhash 0.2.8 and NumPy 2.4.6 (built from source: needs a C++ compiler). Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pdqhash==0.2.8 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' | tee out.txt
import numpy as np
import pdqhash

rng = np.random.default_rng(0)
small = rng.integers(0, 256, (8, 12), dtype=np.uint8)
grey = np.kron(small, np.ones((16, 16), dtype=np.uint8))
image = np.ascontiguousarray(grey[:, :, None].repeat(3, axis=2))
other = np.asfortranarray(image)
first, _ = pdqhash.compute(image)
second, _ = pdqhash.compute(other)
print("equal arrays:", bool((image == other).all()))
print("differing bits, at least 64 of 256:", int((first != second).sum()) >= 64)
print("made contiguous again:", int((first != pdqhash.compute(np.ascontiguousarray(other))[0]).sum()))
PYTHON
diff out.txt - <<'SEEN'
equal arrays: True
differing bits, at least 64 of 256: True
made contiguous again: 0
SEEN
echo "as seen"
