"""Decoding doubtful images in a child process that may die of them.

The parent (``Decoder``) sends a batch of absolute paths in one round trip and gets one JSON line per file. The child
lowers its own limits for memory, processor time, and writing before it reads a byte.
"""

import contextlib
import json
import os
import resource
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import Refused
from .images import FORMATS, PIXEL_CAP, TRUNCATED, ImageFacts, check_pixels

MEMORY = 3 << 30  # bytes of address space; a decoded image at the pixel cap takes at most 800 MB
SECONDS = 30  # processor time for one file, and as much again of waiting

_KILLED = "decoding it took more memory or time than is allowed"


def child_environment() -> dict[str, str]:
    """Environment for a child that shall import this package and nothing of the caller's."""
    root = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": root, "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


class Decoder:
    """Owns the child; starts it at the first question and again after each death."""

    def __init__(self, *, pixel_cap: int = PIXEL_CAP) -> None:
        self._limits = json.dumps({"pixel_cap": pixel_cap, "memory": MEMORY, "seconds": SECONDS})
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def decode(self, paths: Sequence[bytes]) -> list[ImageFacts | Refused]:
        """One verdict for each of ``paths`` (absolute, as the file system spells them), in order."""
        verdicts: list[ImageFacts | Refused] = []
        while len(verdicts) < len(paths):
            rest = paths[len(verdicts) :]
            verdicts += self._ask(rest[:64])
        return verdicts

    def _ask(self, paths: Sequence[bytes]) -> list[ImageFacts | Refused]:
        child = self._running()
        assert child.stdin is not None  # noqa: S101 - narrows the type
        assert child.stdout is not None  # noqa: S101
        verdicts: list[ImageFacts | Refused] = []
        try:
            child.stdin.write(json.dumps([os.fsdecode(path) for path in paths]).encode("ascii") + b"\n")
            child.stdin.flush()
            for line in self._answers(child, len(paths)):
                verdicts.append(_verdict(json.loads(line)))
        except BrokenPipeError:
            pass
        if len(verdicts) < len(paths):  # it died of the next one
            self.close()
            verdicts.append(Refused(_KILLED))
        return verdicts

    def _answers(self, child: subprocess.Popen[bytes], count: int) -> list[bytes]:
        assert child.stdout is not None  # noqa: S101
        lines: list[bytes] = []
        buffer = b""
        fd = child.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            deadline = time.monotonic() + 2 * SECONDS
            while len(lines) < count:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    break
                piece = os.read(fd, 1 << 16)
                if not piece:
                    break
                *whole, buffer = (buffer + piece).split(b"\n")
                if whole:
                    lines += whole
                    deadline = time.monotonic() + 2 * SECONDS
        return lines

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            # Not `multiprocessing`: the workers of a task queue are daemons and may not have such children.
            self._child = subprocess.Popen(
                [sys.executable, "-m", "provenance.intake.decoding", self._limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
                cwd="/",
            )
        return self._child

    def close(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # unsent bytes for a child that is gone
                    pipe.close()
        self._child = None


def _verdict(answer: dict[str, object]) -> ImageFacts | Refused:
    if "reason" in answer:
        return Refused(str(answer["reason"]))
    facts = answer["facts"]
    assert isinstance(facts, list)  # noqa: S101 - our own child wrote it
    return ImageFacts(*facts)


# The child ------------------------------------------------------------------------------------------------------------


def _decode(path: str, pixel_cap: int) -> ImageFacts:
    """Facts of the image at ``path``, after decoding every pixel of it. Raises ``Refused``."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height, mode = image.width, image.height, image.mode
            check_pixels(width, height, pixel_cap)
            # A camera's MPO file is a JPEG with further pictures behind the first; the first is the image.
            name = "JPEG" if image.format == "MPO" else image.format or ""
            if name != "JPEG" and getattr(image, "n_frames", 1) > 1:
                raise Refused("animated images are not taken")
            raw = getattr(image, "tile", None)
            bits = 16 if mode.startswith("I;16") or (raw and "16" in str(raw[0][3])) else 8
            image.load()
            orientation = image.getexif().get(0x0112, 1)
    except UnidentifiedImageError:
        raise Refused("the image cannot be read: its structure is damaged") from None
    except MemoryError:
        raise Refused(_KILLED) from None
    except (OSError, SyntaxError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        if "truncated" in str(error).lower():
            raise Refused(TRUNCATED) from None
        raise Refused(f"the image cannot be decoded: {str(error)[:120] or type(error).__name__}") from None
    return ImageFacts(name, width, height, mode, orientation if orientation in range(1, 9) else 1, bits)


def limit_process(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Answer batches of paths from standard input until it closes."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 - loaded before the limits

    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # our own cap is asked first
    limits = json.loads(sys.argv[1])
    limit_process(limits["memory"])
    for line in sys.stdin.buffer:
        for path in json.loads(line):
            allow_seconds(limits["seconds"])
            answer: dict[str, object]
            try:
                answer = {"facts": list(_decode(path, limits["pixel_cap"]))}
            except Refused as refusal:
                answer = {"reason": refusal.reason}
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
