"""Makes the golden files anew: `python -m tests.audits.golden.make world` or `... make expected`.

`world` runs everything again, with a clock and random bytes that stand still, so it leaves the same `world.json` on the
same machine unless the code computes or stores something else (other processors round differently). Needed only when a
shape that a stored result may have is missing in it; never to make a failing test pass.
`expected` answers everything about the world as it is stored and writes down what the code says now. Look through the
difference line by line before it is committed: each is something that a stored result now says in another way.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import environment  # noqa: F401 - first of all: the settings read where data go

FOLDER = Path(__file__).resolve().parent
UPDATE = "GOLDEN_UPDATE"  # set: the tests write what they find instead of comparing


@contextmanager
def throw_away_database() -> Iterator[Path]:
    """Django with an empty database and folders of its own, jobs worked off where they are sent. Yields the folder."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.test.runner import DiscoverRunner
    from django.test.utils import override_settings, setup_test_environment, teardown_test_environment

    from config.celery import app

    app.conf.task_always_eager, app.conf.task_eager_propagates = True, True
    setup_test_environment()
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    with tempfile.TemporaryDirectory(prefix="golden-") as name:
        data = Path(name)
        (data / "files").mkdir()
        with override_settings(
            DATA_DIR=data,
            FILES_DIR=data / "files",
            MEDIA_ROOT=data / "objects",
            KEY_FILE=data / "key_encryption_key",
            DEMO_FILE=data / "demo.json",
            CELERY_TASK_ALWAYS_EAGER=True,
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ):
            yield data
    runner.teardown_databases(databases)
    teardown_test_environment()


def make_world(keep: Path | None = None) -> None:
    """keep: a folder to which the files on disk go as well, for a look at pages that need them."""
    import shutil

    with throw_away_database() as data:
        from tests.audits.golden.steady import steady
        from tests.audits.golden.world import Story, dump

        with steady() as clock:
            story = Story(clock)
            story.tell()
            (FOLDER / "world.json").write_text(dump(), encoding="utf-8")
            shutil.rmtree(FOLDER / "reports", ignore_errors=True)
            (FOLDER / "reports").mkdir()
            for name, content in story.stored_reports.items():
                (FOLDER / "reports" / name).write_bytes(content)
        if keep is not None:
            shutil.copytree(data, keep, symlinks=True)


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "world":
        make_world(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    elif what == "expected":
        import pytest

        os.environ[UPDATE] = "1"
        sys.exit(pytest.main(["-q", str(FOLDER.parent / "test_golden_results.py")]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
