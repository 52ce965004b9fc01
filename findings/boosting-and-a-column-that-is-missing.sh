#!/usr/bin/env bash
# scikit-learn's HistGradientBoostingClassifier takes missing values, but a column in which EVERY value is missing ends
# fit with "window shape cannot be larger than input array shape" from NumPy, which names neither column nor cause.
# A column with one value present fits, and so does a constant one.
# Seen with scikit-learn 1.9.1 and NumPy 2.4.6. Such columns arise where features exist for some file formats alone and
# a half of the data has none of them. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' | tee out.txt
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

labels = np.arange(60) % 2
other = np.random.default_rng(0).normal(size=60)
columns = {
    "all missing": np.full(60, np.nan),
    "all but one missing": np.r_[1.0, np.full(59, np.nan)],
    "constant": np.ones(60),
}
for name, column in columns.items():
    try:
        HistGradientBoostingClassifier(max_iter=2).fit(np.c_[other, column], labels)
        print(f"{name}: fits")
    except ValueError as error:
        print(f"{name}: {error}")
PYTHON
diff out.txt - <<'SEEN'
all missing: window shape cannot be larger than input array shape
all but one missing: fits
constant: fits
SEEN
echo "as seen"
