"""Features of every image of a version, kept on disk block by block, so that a killed job goes on where it was.

Memory stays the same for any number of images: one block is decoded by threads while the model works on the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import AskedModel
from audits.asking.probe_images import ProbeImageError, load_images
from provenance.errors import TouchmarkError
from provenance.whole_files import write_whole

MOST_IMAGES, LEAST_IMAGES = 512, 16  # per block
BLOCK_BYTES = 64 * 2**20  # of decoded images

FilesOf = Callable[[int, int], Sequence[tuple[Path, str]]]


class EncodingError(TouchmarkError):
    """The stored features belong to other images, or the model gives none."""


def block_images(size: int) -> int:
    """How many images of `size` pixels a side make one block."""
    return max(LEAST_IMAGES, min(MOST_IMAGES, BLOCK_BYTES // (3 * size * size)))


@dataclass(frozen=True)
class FeatureStore:
    """Two files: `features.npy`, (n, d) float16 rows of unit length, NaN for what could not be read, and `done.npy`,
    one byte for every block that is whole. A block counts only once its features are on disk.
    """

    features: NDArray[np.float16]
    done: NDArray[np.uint8]
    block: int

    @classmethod
    def open(cls, folder: Path, subject: str, images: int, width: int, block: int) -> FeatureStore:
        """The store in `folder`, new or as it was left. subject: names model and images; other ones are refused."""
        folder.mkdir(parents=True, exist_ok=True)
        note, said = folder / "subject", f"{subject} {images} {width} {block}"
        if not note.exists():
            for name, shape, kind in (
                ("features.npy", (images, width), np.float16),
                ("done.npy", (-(-images // block),), np.uint8),
            ):
                made: Any = np.lib.format.open_memmap(folder / name, mode="w+", dtype=kind, shape=shape)
                made.flush()
            write_whole(note, lambda part: part.write_text(said, encoding="utf-8"))
        elif note.read_text(encoding="utf-8") != said:
            raise EncodingError("The features kept so far belong to another encoder or other images; start anew.")
        return cls(
            np.load(folder / "features.npy", mmap_mode="r+"), np.load(folder / "done.npy", mmap_mode="r+"), block
        )

    def missing(self) -> list[int]:
        return [int(number) for number in np.flatnonzero(self.done == 0)]

    def range_of(self, number: int) -> tuple[int, int]:
        """(start, stop) of a block's images."""
        return number * self.block, min((number + 1) * self.block, len(self.features))

    def put(self, number: int, rows: NDArray[np.float32]) -> None:
        """rows: (B, d), of any length; NaN where an image could not be read."""
        start, stop = self.range_of(number)
        self.features[start:stop] = _unit(rows)
        _flush(self.features)
        self.done[number] = 1
        _flush(self.done)


def encode(
    store: FeatureStore,
    files_of: FilesOf,
    model: AskedModel,
    size: int,
    on_block: Callable[[int], None],
    workers: int,
) -> None:
    """Asks the model for the features of every image that has none yet.

    A file that is gone, altered or broken gets none. files_of: (path, SHA-256) of the images from `start` up to `stop`.
    size: side of the model's input in pixels. on_block: told how many images the last block had; it may raise to stop.
    workers: threads that decode.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[tuple[int, list[Future[NDArray[np.uint8] | None]]]] = deque()
    try:
        for number in store.missing():
            waiting.append((number, [pool.submit(_image, file, size) for file in files_of(*store.range_of(number))]))
            if len(waiting) > 1:
                _finish(store, model, *waiting.popleft(), on_block)
        while waiting:
            _finish(store, model, *waiting.popleft(), on_block)
    finally:
        pool.shutdown(cancel_futures=True)


def _finish(
    store: FeatureStore,
    model: AskedModel,
    number: int,
    pending: list[Future[NDArray[np.uint8] | None]],
    on_block: Callable[[int], None],
) -> None:
    images = [future.result() for future in pending]
    readable = [place for place, image in enumerate(images) if image is not None]
    rows = np.full((len(images), store.features.shape[1]), np.nan, dtype=np.float32)
    if readable:
        model.load_images("images", np.stack([image for image in images if image is not None]))
        features = model.answer("images", np.arange(len(readable))).features
        if features is None:
            raise EncodingError("This model gives no features, so it cannot group images.")
        rows[readable] = features
    store.put(number, rows)
    on_block(len(images))


def _image(file: tuple[Path, str], size: int) -> NDArray[np.uint8] | None:
    try:
        image: NDArray[np.uint8] = load_images([file], size)[0]
    except ProbeImageError:
        return None
    return image


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float16]:
    """Rows of unit length: single precision numbers as models give them do not fit into half precision."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit: NDArray[np.float16] = (scaled / np.where(length > 0, length, 1)).astype(np.float16)
    return unit


def _flush(array: Any) -> None:
    array.flush()
