"""From a registered model to an open, confined one: its weights on a local disk, checked against their digest."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import cpu_count
from pathlib import Path

from django.conf import settings

from audits.models import RegisteredModel
from audits.suspects import Limits, SandboxedModel
from provenance.errors import TouchmarkError


class WeightsChangedError(TouchmarkError):
    """The stored weights are gone or are not those that were registered."""


@contextmanager
def local_weights(model: RegisteredModel) -> Iterator[Path]:
    """The weights as a file on this machine; a copy where the storage is remote. Raises WeightsChangedError."""
    with tempfile.TemporaryDirectory(prefix="weights-") as folder:
        try:
            path = Path(model.weights.path)
        except NotImplementedError:  # storages without local files
            path = Path(folder) / "weights"
            with model.weights.open("rb") as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise WeightsChangedError(f"The weights of {model.name} cannot be read any more.", str(error)) from error
        if digest != model.sha256:
            raise WeightsChangedError(f"The weights of {model.name} are not those that were registered.", digest)
        yield path


def limits() -> Limits:
    """Bounds of every suspect's process on this machine; plans' time estimates rest on tests under the same bounds."""
    return Limits(
        threads=cpu_count() or 1,
        memory_bytes=settings.SUSPECT_MEMORY_BYTES,
        weights_bytes=settings.WEIGHTS_MAX_BYTES,
        answer_seconds=settings.SUSPECT_ANSWER_SECONDS,
    )


@contextmanager
def sandboxed(model: RegisteredModel) -> Iterator[SandboxedModel]:
    """The model, open in its confined process."""
    with (
        local_weights(model) as path,
        SandboxedModel(model.model_spec, path, limits()) as session,
    ):
        yield session
