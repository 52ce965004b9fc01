"""Typed reading of environment variables; every `NAME` may also come from a file named by `NAME_FILE`."""

import contextlib
import os
import secrets
from importlib.util import find_spec
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.FileAwareEnv()


def secret_from_file(path: Path) -> str:
    """Return the secret kept in `path`, drawing it on first use into a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written aside and linked into place: of two processes that start together, both read the winner's secret.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def package_folder(name: str) -> Path:
    """Where an installed package lies, without the time that importing it takes."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImproperlyConfigured(f"The package “{name}” is not installed. Install what requirements.txt names.")
    return Path(spec.origin).parent
