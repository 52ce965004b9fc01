#!/usr/bin/env bash
# torch.load picks the format by the file's NAME: a zip state dict that torch.save wrote under a name ending in
# .safetensors cannot be loaded again, while the same bytes under another name, or from memory, can.
# Seen with torch 2.15.0 and safetensors 0.8.0 (Python 3.11): "SafetensorError Error while deserializing header".
# Expected: torch.save and torch.load of one path are inverse; content decides, as it does for zip against pickle.
# Whoever stores uploads under names that strangers choose meets this. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 safetensors==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' | tee out.txt
import io
import shutil
import torch

torch.save({"a": torch.ones(2)}, "saved.safetensors")
shutil.copy("saved.safetensors", "saved.pt")


def attempt(what, source):
    try:
        print(what, torch.load(source, weights_only=True)["a"].tolist())
    except Exception as error:
        print(what, type(error).__name__)


print(torch.__version__.split("+")[0])
attempt("named .safetensors:", "saved.safetensors")
attempt("named .pt:", "saved.pt")
attempt("from memory:", io.BytesIO(open("saved.safetensors", "rb").read()))
PYTHON
diff out.txt - <<'SEEN'
2.15.0
named .safetensors: SafetensorError
named .pt: [1.0, 1.0]
from memory: [1.0, 1.0]
SEEN
echo "as seen"
