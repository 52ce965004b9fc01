"""Fixtures that every test may use: three stock people, eager jobs, the shared data."""

import gc
import os
import sys
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from django.test import Client, override_settings
from hypothesis import settings as hypothesis_settings

from tests import migrated
from tests.environment import DATA
from tests.known_keys import known_keys

SHARED = Path(__file__).resolve().parents[2] / "shared"

# How long an example takes says nothing on a busy machine.
hypothesis_settings.register_profile("touchmark", deadline=None)
hypothesis_settings.load_profile("touchmark")


# Marks of tests that take long. Two processes that share the files end together if the longest files go first.
LONGEST_FIRST = ("instance", "browser", "suspect")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        items.sort(key=_by_length)
    if SHARED.is_dir():
        return
    absent = pytest.mark.skip(reason="the shared data folder is not beside the project")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(absent)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded stays until the end: to look for garbage in it, over and over, takes a good part of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def _by_length(item: pytest.Item) -> int:
    places = (place for place, mark in enumerate(LONGEST_FIRST) if item.get_closest_marker(mark))
    return min(places, default=len(LONGEST_FIRST))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """SQLite in a file, as in an instance: in memory, all threads of a live server share one connection, and a request
    that writes fails ("database table is locked") where another one reads at that moment."""
    if _is_sqlite():
        from django.db import connections

        place = DATA / "tests.sqlite3"
        migrated.copy_to(place)
        connections["default"].settings_dict["TEST"]["NAME"] = str(place)


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool) -> bool:
    """What was copied already holds every migration."""
    return django_db_keepdb or _is_sqlite()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Nothing of ours asks Django's permissions and content types; without this, the database that is emptied after
    every test with transactions of its own gets all of them anew, which takes longer than most of these tests."""
    from django.contrib.auth.management import create_permissions
    from django.contrib.contenttypes.management import create_contenttypes
    from django.db.models.signals import post_migrate

    assert post_migrate.disconnect(
        create_permissions, dispatch_uid=f"{create_permissions.__module__}.create_permissions"
    )
    assert post_migrate.disconnect(create_contenttypes)


def _is_sqlite() -> bool:
    from django.db import connections

    return connections["default"].vendor == "sqlite"


@pytest.fixture
def shared() -> Path:
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Passwords are hashed quickly, and no client looks at all static files anew before its first request."""
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"], WHITENOISE_AUTOREFRESH=True
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def eager_jobs() -> Iterator[None]:
    """Jobs run in the test's own process as soon as they are sent."""
    from config.celery import app

    before = (app.conf.task_always_eager, app.conf.task_eager_propagates)
    app.conf.task_always_eager, app.conf.task_eager_propagates = True, True
    with override_settings(CELERY_TASK_ALWAYS_EAGER=True):
        yield
    app.conf.task_always_eager, app.conf.task_eager_propagates = before


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path) -> None:
    """Every test writes into its own folder."""
    settings.DATA_DIR = tmp_path / "data"
    settings.FILES_DIR = settings.DATA_DIR / "files"
    settings.MEDIA_ROOT = settings.DATA_DIR / "objects"
    settings.KEY_FILE = settings.DATA_DIR / "key_encryption_key"
    settings.DEMO_FILE = settings.DATA_DIR / "demo.json"
    settings.FILES_DIR.mkdir(parents=True)


@pytest.fixture(autouse=True)
def keys_of_this_test(request) -> Iterator[None]:
    """A test draws the same keys in every run, or fresh ones where TOUCHMARK_RANDOM_KEYS is set."""
    if os.environ.get("TOUCHMARK_RANDOM_KEYS"):
        yield
        return
    with known_keys(zlib.crc32(request.node.nodeid.encode())):
        yield


@pytest.fixture(autouse=True)
def uninspected(monkeypatch) -> None:
    """No release is inspected unasked, as one of few images is not: it takes seconds, and most tests make releases."""
    monkeypatch.setattr("provenance.services.releases.LEAST", sys.maxsize)


@pytest.fixture
def no_worker(monkeypatch) -> None:
    """Messages stay unread, so that a test works its job off when it wants to, and no job that follows from it."""
    from provenance.services.jobs import queue

    monkeypatch.setattr(queue, "send", lambda job: None)


@pytest.fixture
def world(db):
    """Organisations and people: see tests.world."""
    from tests.world import World

    return World()


@pytest.fixture
def sign_in():
    """sign_in(user) -> a browser-like client of that person."""

    def client_of(user) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return client_of
