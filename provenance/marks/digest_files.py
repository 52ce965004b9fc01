"""Arrays of a version in files that are named by their digest, so that mark settings can commit to one."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.whole_files import write_whole


class AlteredFileError(Exception):
    """The file's content is not what its name says."""


def array_path(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.npy"


def write_array(folder: Path, array: NDArray[Any]) -> str:
    """Store an array under the SHA-256 of its file; returns that. What lies there is replaced whole or not at all."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    data = stream.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    write_whole(array_path(folder, digest), lambda part: part.write_bytes(data))
    return digest


def read_array(folder: Path, digest: str) -> NDArray[Any]:
    """The array, checked against its digest. Raises OSError where it is gone, and AlteredFileError."""
    data = array_path(folder, digest).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise AlteredFileError(digest)
    array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    return array
