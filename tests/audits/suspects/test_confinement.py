"""The confined process: what it can no longer do. Tried for real, in processes of their own."""

import subprocess
import sys
import time

import pytest

from audits.suspects.confinement import ConfinementError, filter_program

CONFINED = """
import os, sys
from audits.suspects.confinement import confine
walls = confine(None, 60, 1 << 20)
def attempt(action):
    try:
        action()
    except OSError as error:
        print(type(error).__name__)
    else:
        print("went through")
"""


def run(body, **options):
    process = subprocess.run([sys.executable, "-c", CONFINED + body], capture_output=True, text=True, **options)
    return process.stdout.split("\n")[:-1], process


@pytest.mark.parametrize(
    "action",
    [
        "__import__('socket').create_connection(('127.0.0.1', 9), 1)",
        "__import__('socket').socket(__import__('socket').AF_INET6, __import__('socket').SOCK_DGRAM)",
        "__import__('socket').socket(__import__('socket').AF_UNIX)",
        "__import__('socket').socketpair()",
        "os.fork()",
        "__import__('subprocess').run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.kill(1, 9)",
    ],
)
def test_network_programs_and_other_processes_are_out_of_reach(action):
    printed, process = run(f"attempt(lambda: {action})")
    assert printed == ["PermissionError"], process.stderr


def test_threads_files_and_arithmetic_still_work(tmp_path):
    body = """
import threading
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
open("small", "w").write("x" * 100)
attempt(lambda: open("large", "w").write("x" * (1 << 21)))
"""
    printed, process = run(body, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})
    assert printed == ["thread", "OSError"], process.stderr


def test_processor_time_ends():
    started = time.monotonic()
    body = "confine(None, 1, 1 << 20)\nwhile True: pass"
    assert run(body, timeout=60)[1].returncode in (-24, -9)
    assert time.monotonic() - started < 60


def test_memory_ends():
    printed, _ = run(
        "confine(1 << 30, 60, 1 << 20)\ntry:\n    bytearray(1 << 31)\nexcept MemoryError:\n    print('MemoryError')"
    )
    assert printed == ["MemoryError"]


def test_files_outside_of_the_wall_cannot_be_read_or_written(tmp_path):
    inside, weights, secret = tmp_path / "inside", tmp_path / "weights", tmp_path / "key"
    inside.mkdir()
    weights.write_text("numbers")
    secret.write_text("secret")
    body = f"""
from pathlib import Path
from audits.suspects.files_wall import enclose
if not enclose(Path({str(weights)!r}), Path({str(inside)!r}), []):
    print("absent"); raise SystemExit
print(open({str(weights)!r}).read())
attempt(lambda: open({str(secret)!r}).read())
attempt(lambda: open({str(weights)!r}, "w"))
attempt(lambda: os.listdir({str(tmp_path)!r}))
attempt(lambda: open({str(inside / "note")!r}, "w"))
attempt(lambda: open({str(tmp_path / "note")!r}, "w"))
"""
    printed, process = run(body)
    if printed == ["absent"]:
        pytest.skip("this kernel has no Landlock")
    refused = "PermissionError"
    assert printed == ["numbers", refused, refused, refused, "went through", refused], process.stderr


def test_an_unknown_processor_fails_closed():
    with pytest.raises(ConfinementError, match="riscv64"):
        filter_program("riscv64", 1)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_inside_it_and_every_path_ends(machine):
    program = filter_program(machine, 4242)
    steps = [program[at : at + 8] for at in range(0, len(program), 8)]
    for place, step in enumerate(steps):
        code, yes, no = int.from_bytes(step[:2], "little"), step[2], step[3]
        if code in (0x15, 0x35, 0x45):
            assert place + 1 + max(yes, no) < len(steps)
    assert int.from_bytes(steps[-1][:2], "little") == 0x06
