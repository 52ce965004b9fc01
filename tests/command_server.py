"""Runs commands of manage.py for tests, each in a process forked from this one, which has loaded Django once.

A request is a line of JSON on standard input, the arguments; the answer is one on standard output: exit code, output
and errors. What a command does, prints and returns is what it does from a shell; only loading is not repeated.
"""

import json
import os
import sys
import tempfile
import traceback

import django

import manage


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import config.urls  # noqa: F401  # commands load it, with all that pages need

    for line in sys.stdin:
        print(json.dumps(answer_to(json.loads(line))), flush=True)


def answer_to(arguments: list[str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            os._exit(run(arguments, out.fileno(), errors.fileno()))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0), errors.seek(0)
        return code, out.read(), errors.read()


def run(arguments: list[str], out: int, errors: int) -> int:
    """In the child: its exit code."""
    sys.stdin.close()
    os.dup2(out, 1), os.dup2(errors, 2)
    sys.argv = ["manage.py", *arguments]
    try:
        manage.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush(), sys.stderr.flush()
    return 0


if __name__ == "__main__":
    main()
