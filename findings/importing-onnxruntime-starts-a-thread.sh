#!/usr/bin/env bash
# Importing onnxruntime 1.31.1 (CPU wheel, Linux) starts a thread before any session exists; with 1.23.2 the process keeps
# its one thread. (The newer library carries a telemetry client.) disable_telemetry_events() does not end it, no variable for
# counts of threads concerns it, and Python's threading module does not see it. A server that loads its libraries once and
# forks a child for each model therefore forks with a second thread running, unless it leaves this import to the child.
# Seen with onnxruntime 1.23.2 and 1.31.1, NumPy 2.4.6. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 1.23.2 1.31.1; do
  python3 -m venv "venv-$version"
  "venv-$version/bin/pip" install --quiet --disable-pip-version-check "onnxruntime==$version" numpy==2.4.6
  OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 "venv-$version/bin/python" - <<'PYTHON'
import os
import threading

import numpy


def threads() -> str:
    return f"{len(os.listdir('/proc/self/task'))} in the kernel, {threading.active_count()} in Python"


print("NumPy alone:", threads())
import onnxruntime

print(f"onnxruntime {onnxruntime.__version__} imported:", threads())
onnxruntime.disable_telemetry_events()
print("telemetry disabled:", threads())
PYTHON
done | tee out.txt
diff out.txt - <<'SEEN'
NumPy alone: 1 in the kernel, 1 in Python
onnxruntime 1.23.2 imported: 1 in the kernel, 1 in Python
telemetry disabled: 1 in the kernel, 1 in Python
NumPy alone: 1 in the kernel, 1 in Python
onnxruntime 1.31.1 imported: 2 in the kernel, 1 in Python
telemetry disabled: 2 in the kernel, 1 in Python
SEEN
echo "as seen"
