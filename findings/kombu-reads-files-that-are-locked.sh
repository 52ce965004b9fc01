#!/usr/bin/env bash
# kombu's filesystem transport opens a message under its final name, takes an exclusive lock on it and only then writes.
# Its reader heeds no lock: it moves the file away while it is still empty and parses it. The consumer ends with a
# JSONDecodeError (a celery worker: "Unrecoverable error"), and the message is in no queue any more. Here the writer's
# first two steps are done by hand, so that the moment lasts; two processes come to it by themselves in a few hundred
# messages.
# Seen with kombu 5.7.0. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kombu==5.7.0
cd "$folder"
mkdir messages control
TMPDIR="$folder" venv/bin/python - <<'PYTHON' | tee out.txt
import fcntl
from pathlib import Path

from kombu import Connection

options = {"data_folder_in": "messages", "data_folder_out": "messages", "control_folder": "control"}
with Connection("filesystem://", transport_options=options) as connection:
    queue = connection.SimpleQueue("work")
    queue.put({"number": 1})
    print("whole message:", queue.get(block=True, timeout=2).payload)
    with Path("messages/2_being-written.work.msg").open("wb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        try:
            queue.get(block=True, timeout=2)
        except Exception as error:
            print(f"message being written: {type(error).__name__}: {error}")
        print("left in the queue:", len(list(Path("messages").iterdir())))
PYTHON
diff out.txt - <<'SEEN'
whole message: {'number': 1}
message being written: JSONDecodeError: Expecting value: line 1 column 1 (char 0)
left in the queue: 0
SEEN
echo "as seen"
