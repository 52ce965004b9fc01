"""Asks a stranger's model that lives in a confined child process. No torch on this side."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audits.suspects.answers import Answers, Limits, SuspectInfo
from audits.suspects.errors import SuspectError
from audits.suspects.forked import ForkedProcess, surroundings
from audits.suspects.identity import Identity, identity_of
from audits.suspects.marks import AppliedMark
from audits.suspects.protocol import ClosedError, Frame, LateError, Pipe, ProtocolError
from audits.suspects.requests import blocks_of, check_mark, numbers_of, texts_of
from audits.suspects.spec import ModelSpec
from audits.suspects.views import AppliedViews
from provenance.wording import duration, file_size


class SandboxedModel:
    """A model in a child process without network, with bounded memory, processor time and files.

    >>> with SandboxedModel(spec, weights) as suspect:
    ...     suspect.load_images("probes", images)
    ...     answers = suspect.answer("probes", range(100))

    Every failure raises ``SuspectError``; after one that ended the child, the object is of no more use.
    """

    def __init__(self, spec: ModelSpec, weights_path: Path, limits: Limits | None = None) -> None:
        self.spec, self.limits = spec, limits or Limits()
        self._weights = Path(weights_path).resolve()
        self._counts: dict[str, int] = {}
        self._captioned: set[str] = set()
        self._info: SuspectInfo | None = None
        self._process: ForkedProcess | None = None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="suspect-"))
        try:
            self._start()
            self._info = self._load()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def info(self) -> SuspectInfo:
        """What the child learned about the model when it loaded it."""
        if self._info is None:
            raise SuspectError("request", "The suspect is not open.")
        return self._info

    def load_images(self, name: str, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> int:
        """Send images under a name; returns how many.

        ``images`` is (N, H, W, 3) uint8, or a sequence of (H, W, 3) arrays of any sizes. The child brings each to the
        model's input once (see ``preparation``). A name that is sent again is replaced.
        """
        self._request({"do": "forget", "name": name})
        self._captioned.discard(name)
        blocks = list(blocks_of(images))
        if not blocks:
            raise SuspectError("request", "There are no images to send.")
        for place, block in enumerate(blocks):
            self._request({"do": "images", "name": name, "more": place + 1 < len(blocks)}, {"images": block})
        self._counts[name] = sum(len(block) for block in blocks)
        return self._counts[name]

    def answer(
        self, name: str, indices: Sequence[int] | NDArray[np.integer[Any]], mark: AppliedMark | None = None
    ) -> Answers:
        """Answers to the images ``indices`` of ``name``, each with ``mark`` in it where one is given."""
        chosen = numbers_of(indices)
        header: dict[str, Any] = {"do": "ask", "name": name}
        arrays: dict[str, NDArray[Any]] = {"indices": chosen}
        if mark is not None:
            patterns, placements = np.asarray(mark.patterns), np.asarray(mark.placements, dtype=np.float64)
            check_mark(patterns, placements, len(chosen))
            header["settings"] = mark.settings_json
            arrays |= {"patterns": patterns, "placements": placements}
        reply = self._request(header, arrays)
        return self._checked(name, reply.arrays, len(chosen))

    def load_captions(self, name: str, captions: Sequence[str]) -> None:
        """Send the captions of the images ``name``, in their order: answers bring each image's cosine with its own."""
        if len(captions) != self._counts.get(name):
            raise SuspectError("request", "Send one caption for every image, after the images.")
        self._request({"do": "captions", "name": name}, {"texts": texts_of(captions)})
        self._captioned.add(name)

    def load_views(self, views: AppliedViews) -> None:
        """Send the views in which images may be asked about; those sent before are replaced."""
        self._request({"do": "views"}, views.arrays())

    def answer_views(
        self, name: str, indices: Sequence[int] | NDArray[np.integer[Any]], views: NDArray[np.integer[Any]]
    ) -> Answers:
        """Answers to view ``views[i]`` of image ``indices[i]`` of ``name``: both (B,)."""
        chosen, numbers = numbers_of(indices), numbers_of(views)
        if numbers.shape != chosen.shape:
            raise SuspectError("request", "Name one view for every image.")
        reply = self._request({"do": "ask", "name": name}, {"indices": chosen, "views": numbers})
        return self._checked(name, reply.arrays, len(chosen))

    def identify(self) -> Identity:
        """By what the model is known again: its tensors, and its answers to the fixed noise images."""
        self._send({"do": "identify", "path": str(self._weights)}, {}, self.limits.load_seconds)
        reply = self._receive(self.limits.load_seconds)
        return identity_of(reply.header["ok"], reply.arrays)

    def close(self) -> None:
        """End the child and remove its folder; safe to call again."""
        process, self._process = self._process, None
        if process is not None:
            process.end()  # it has nothing to save, and leaving in good order takes seconds
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        limits = self.limits
        memory = 0 if _has_gpu(limits) else limits.memory_bytes
        numbers = (memory, limits.cpu_seconds, limits.file_bytes, limits.answer_bytes)
        words = [*map(str, numbers), str(self._weights)]
        known = surroundings(self._folder, limits.threads)
        with (self._folder / "errors").open("wb") as errors:
            try:
                self._process = process = ForkedProcess(
                    words, self.spec.family, self._folder, known, errors.fileno(), limits.load_seconds
                )
            except subprocess.TimeoutExpired as error:
                raise self._late(limits.load_seconds) from error
        self._pipe = Pipe(process.reading, process.writing, limits.answer_bytes, self._watch)
        self._receive(limits.load_seconds)

    def _load(self) -> SuspectInfo:
        told = {"spec": self.spec.to_json(), "path": str(self._weights), "limits": self.limits.to_json()}
        header = {"do": "load", **told}
        self._send(header, {}, self.limits.load_seconds)
        facts = self._receive(self.limits.load_seconds).header["ok"]
        try:
            for name in ("input_shape", "mean", "deviation"):
                facts[name] = tuple(facts[name])
            info = SuspectInfo(**facts)
        except (TypeError, KeyError) as error:
            sentence = "The suspect's process described itself in an unknown way."
            raise SuspectError("shape", sentence, repr(facts)) from error
        missing = [level for level in self.spec.returns if level not in info.levels]
        if missing:
            sentence = f"This model returns no {' and no '.join(missing)}; change what it is asked for."
            raise SuspectError("shape", sentence)
        return info

    def _request(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> Frame:
        if self._process is None:
            raise SuspectError("request", "The suspect is not open.")
        self._send(header, arrays or {}, self.limits.answer_seconds)
        return self._receive(self.limits.answer_seconds)

    def _send(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], seconds: float) -> None:
        try:
            self._pipe.send(header, arrays, seconds)
        except ClosedError as error:
            raise self._ended() from error
        except LateError as error:
            raise self._late(seconds) from error

    def _receive(self, seconds: float) -> Frame:
        try:
            frame = self._pipe.receive(seconds)
        except ClosedError as error:
            raise self._ended() from error
        except LateError as error:
            raise self._late(seconds) from error
        except ProtocolError as error:
            self._kill()
            sentence = "The suspect's process sent an answer that cannot be read."
            raise SuspectError("shape", sentence, str(error)) from error
        problem = frame.header.get("error")
        if isinstance(problem, dict):
            kind, sentence = str(problem.get("kind")), str(problem.get("sentence"))[:500]
            kind = kind if kind in SuspectError.KINDS else "model"
            raise SuspectError(kind, sentence, str(problem.get("detail"))[:8000])
        if not isinstance(frame.header.get("ok"), dict):
            raise SuspectError("shape", "The suspect's process sent an answer that cannot be read.")
        return frame

    def _checked(self, name: str, arrays: dict[str, NDArray[Any]], count: int) -> Answers:
        """The answers, if they are what the spec and the loaded model promised; the child is not trusted with it."""
        wanted = {"features": self.info.feature_size, "soft": self.info.class_count}
        kinds = ("features", "soft", "hard", "captions")
        for kind in (*self.spec.returns, *(("captions",) if name in self._captioned else ())):
            rows = arrays.get(kind)
            shape = (count, wanted[kind]) if kind in wanted else (count,)
            if rows is None or rows.shape != shape or rows.dtype != (np.int64 if kind == "hard" else np.float32):
                have = None if rows is None else rows.shape
                raise SuspectError("shape", f"The model answered {kind} of the shape {have} instead of {shape}.")
            if kind != "hard" and not np.isfinite(rows).all():
                raise SuspectError("numbers", "The model answered with values that are not numbers (NaN or infinity).")
        return Answers(*(arrays.get(kind) for kind in kinds))

    def _watch(self) -> None:
        """Called about once a second while waiting: a child that holds too much memory is ended."""
        process = self._process
        if process is None:
            return
        try:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return
        if pages * os.sysconf("SC_PAGE_SIZE") > self.limits.memory_bytes:
            self._kill()
            raise self._too_much_memory("resident memory over the limit")

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _late(self, seconds: float) -> SuspectError:
        self._kill()
        sentence = f"The model did not answer within {duration(seconds)}, so its process was ended."
        return SuspectError("timeout", sentence, self._last_words())

    def _too_much_memory(self, detail: str) -> SuspectError:
        size = file_size(self.limits.memory_bytes)
        return SuspectError("memory", f"The model needs more memory than it may have ({size}).", detail)

    def _ended(self) -> SuspectError:
        """Why the child is gone, in words."""
        assert self._process is not None  # noqa: S101
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._kill()
            code = self._process.wait()
        words = self._last_words()
        if "MemoryError" in words or "bad_alloc" in words or "annot allocate memory" in words:
            return self._too_much_memory(words)
        if code == -signal.SIGXCPU:
            spent = duration(self.limits.cpu_seconds)
            return SuspectError("timeout", f"The model used up its processor time ({spent}).", words)
        if code < 0:
            name = signal.Signals(-code).name
            reason = "probably because the machine ran out of memory" if code == -signal.SIGKILL else f"by {name}"
            return SuspectError("killed", f"The model's process was ended from outside, {reason}.", f"{name}\n{words}")
        return SuspectError("crashed", "The model's process crashed.", f"exit code {code}\n{words}")

    def _last_words(self) -> str:
        try:
            return (self._folder / "errors").read_bytes()[-4000:].decode("utf-8", "replace")
        except OSError:
            return ""


def _has_gpu(limits: Limits) -> bool:
    """Whether the child will reserve a GPU's address space, without asking torch."""
    return limits.device != "cpu" and Path("/dev/nvidiactl").exists()
