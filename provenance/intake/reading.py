"""Reading a block of files: one open, one read, and everything a manifest wants of each file.

This is the hot loop of intake. Run as a program it is a child that answers requests for blocks (``pool.py``).
"""

import errno
import json
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from json.encoder import encode_basestring as quote
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .blocks import Counts, Refusal, Row, write_block
from .claims import Claim, claims_of
from .decoding import Decoder
from .errors import Refused
from .images import PIXEL_CAP, Doubtful, ImageFacts, inspect
from .parts import has_second_start
from .paths import shown

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = _FILE | os.O_DIRECTORY


@dataclass(frozen=True)
class Reading:
    """What all blocks of one intake have in common. Plain values, so that it travels to child processes."""

    root: str  # folder that holds the files
    listing: str  # file of the paths to read, one a line (``listing.py``)
    blocks: str  # folder for the results
    label_folder: int | None = None  # which folder of a path is its label: 0 the first, -1 the last, None no folder
    decode_all: bool = False  # decode every image, not only doubtful ones
    pixel_cap: int = PIXEL_CAP
    file_cap: int = 256 << 20  # bytes

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Opener:
    """Opens folders below a root without following any link, one step at a time; keeps the last one open."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        self._fd = self._root

    def folder(self, path: bytes) -> int:
        """A descriptor of the folder ``path`` (empty, or ending in a slash), good until the next call."""
        self._leave()
        try:
            for part in path.split(b"/")[:-1]:
                fd = os.open(part, _FOLDER, dir_fd=self._fd)
                self._leave()
                self._fd = fd
        except OSError:
            self._leave()
            raise
        return self._fd

    def _leave(self) -> None:
        if self._fd != self._root:
            os.close(self._fd)
        self._fd = self._root

    def close(self) -> None:
        self._leave()
        os.close(self._root)


class BlockReader:
    """Reads blocks of the listing and stores their results."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._opener = Opener(reading.root)
        self._decoder = Decoder(pixel_cap=reading.pixel_cap)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._decoder.close()
        self._opener.close()

    def read(self, number: int, start: int, end: int) -> None:
        """Read the files in bytes ``start`` to ``end`` of the listing and store them as block ``number``."""
        with open(self._reading.listing, "rb") as file:  # noqa: PTH123 - no Path needed in the hot path
            text = os.pread(file.fileno(), end - start, start)
        pass_ = _Pass(self._reading, self._opener, text.splitlines())
        pass_.run(self._decoder)
        # For ASCII, the usual case, this says exactly whether a path differs from its folded form.
        pass_.counts.mixed_case = not text.isascii() or text.lower() != text
        write_block(Path(self._reading.blocks), number, pass_.rows(), pass_.refused, pass_.counts)


# A file as far as the loop got: position in the block, size, SHA-256, CRC-32, modification time.
_Read = tuple[int, int, bytes, int, int]


class _Pass:
    """One pass over one block's files."""

    def __init__(self, reading: Reading, opener: Opener, lines: list[bytes]) -> None:
        self.reading = reading
        self.opener = opener
        self.refused: list[Refusal] = []
        self.counts = Counts()
        pairs = [line.partition(b"\0")[::2] for line in lines]
        self._paths = [path for path, _ in pairs]
        # What the listing says of each file (JSON of label and caption), or a folder of its path; empty for nothing.
        self._extras = [extra for _, extra in pairs]
        if reading.label_folder is not None:
            place = reading.label_folder
            self._extras = [path.rpartition(b"/")[0].split(b"/")[place] for path in self._paths]
        self._rows: list[tuple[int, Row]] = []
        self._doubtful: list[_Read] = []
        self._claims: dict[int, tuple[Claim, ...]] = {}  # by position in the block

    def run(self, decoder: Decoder) -> None:
        self._take(self._read_files())
        if self._doubtful:
            root = os.fsencode(self.reading.root)
            verdicts = decoder.decode([root + b"/" + self._paths[read[0]] for read in self._doubtful])
            settled = []
            for read, verdict in zip(self._doubtful, verdicts, strict=True):
                if isinstance(verdict, Refused):
                    self._refuse(read[0], verdict)
                else:
                    settled.append((read, verdict))
            self._take(settled)
            self._rows.sort(key=lambda row: row[0])

    def rows(self) -> list[Row]:
        return [row for _, row in self._rows]

    def _refuse(self, index: int, refusal: Refused) -> None:
        self.refused.append((shown(self._paths[index]), refusal.reason, refusal.outcome))

    def _read_files(self) -> list[tuple[_Read, ImageFacts]]:
        """Read every file; return what was read with the facts of those that are settled by their structure."""
        open_, read, close, fstat, crc32 = os.open, os.read, os.close, os.fstat, zlib.crc32
        cap, decode_all, pixel_cap = self.reading.file_cap, self.reading.decode_all, self.reading.pixel_cap
        files: list[tuple[_Read, ImageFacts]] = []
        # Files of one encoder often share every byte up to the scan, and then all facts: compared whole, never guessed.
        known, facts_of_known = b"no file starts like this", ImageFacts("", 0, 0, "")
        claims_of_known: tuple[Claim, ...] = ()
        folder, folder_fd = None, -1
        for index, path in enumerate(self._paths):
            try:
                cut = path.rfind(b"/") + 1
                if path[:cut] != folder:
                    folder = None
                    folder_fd = self.opener.folder(path[:cut])
                    folder = path[:cut]
                fd = open_(path[cut:], _FILE, dir_fd=folder_fd)
                try:
                    status = fstat(fd)
                    size = status.st_size
                    data = read(fd, size + 1) if size <= cap else b""
                    if len(data) != size:
                        data = _read_rest(fd, data, status, cap)
                finally:
                    close(fd)
                this = (index, size, sha256(data).digest(), crc32(data), status.st_mtime_ns)
                if data.startswith(known) and data.endswith(b"\xff\xd9"):
                    if claims_of_known or has_second_start(data, len(known)):
                        self._claims[index] = claims_of(data)
                    files.append((this, facts_of_known))
                    continue
                if claims := claims_of(data):
                    self._claims[index] = claims
                facts, settled = inspect(data, pixel_cap)
                if decode_all:
                    raise Doubtful
                if settled:
                    known, facts_of_known, claims_of_known = data[:settled], facts, claims
                files.append((this, facts))
            except Doubtful:
                self._doubtful.append(this)
            except Refused as refusal:
                self._refuse(index, refusal)
            except OSError as error:
                self._refuse(index, _unreadable(error))
        return files

    def _take(self, files: Iterable[tuple[_Read, ImageFacts]]) -> None:
        """Write the lines of accepted files and count them."""
        paths, extras, rows = self._paths, self._extras, self._rows
        images: dict[ImageFacts, int] = {}
        labels: dict[bytes, int] = {}
        sizes = []
        last_facts, last_extra, before, after = None, b"", "", ""
        for (index, size, digest, crc, mtime), facts in files:
            extra = extras[index]
            if facts is not last_facts or extra != last_extra:
                before, after = self._frame(facts, extra)
                last_facts, last_extra = facts, extra
            line = f'{before}{quote(paths[index].decode())},"sha256":"{digest.hex()}","size":{size}{after}'
            rows.append((index, (line.encode(), crc, mtime, digest)))
            sizes.append(size)
            if claims := self._claims.get(index):
                self.counts.add_claims(claims)
            images[facts] = images.get(facts, 0) + 1
            labels[extra] = labels.get(extra, 0) + 1
        self.counts.add_sizes(sizes)
        for facts, number in images.items():
            self.counts.add_image(facts, number)
        for extra, number in labels.items():
            label, caption = self._label(extra)
            if label is not None:
                self.counts.add_label(label, number)
            self.counts.captions += number * (caption is not None)

    def _frame(self, facts: ImageFacts, extra: bytes) -> tuple[str, str]:
        """The canonical line's parts before the path and after the size."""
        label, caption = self._label(extra)
        before = '{"bits":16,' if facts.bits == 16 else "{"
        if caption is not None:
            before += f'"caption":{quote(caption)},'
        before += f'"format":"{facts.format}","height":{facts.height},'
        if label is not None:
            before += f'"label":{quote(label)},'
        before += f'"mode":"{facts.mode}",'
        if facts.orientation != 1:
            before += f'"orientation":{facts.orientation},'
        return before + '"path":', f',"width":{facts.width}}}'

    def _label(self, extra: bytes) -> tuple[str | None, str | None]:
        if not extra:
            return None, None
        if self.reading.label_folder is not None:
            return extra.decode(), None
        label, caption = json.loads(extra)
        return label, caption


def _read_rest(fd: int, data: bytes, status: os.stat_result, cap: int) -> bytes:
    """The whole of a file that one read did not get; raises ``Refused``."""
    if not stat.S_ISREG(status.st_mode):
        raise Refused("neither file nor folder (a device, pipe or socket)")
    if status.st_size > cap:
        raise Refused(f"larger than {cap:,} bytes")
    pieces = [data]
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
        if sum(map(len, pieces)) > status.st_size:
            break
    data = b"".join(pieces)
    if len(data) != status.st_size:
        raise Refused("it changed while it was read")
    return data


def _unreadable(error: OSError) -> Refused:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Refused("a link")
    if error.errno == errno.ENOENT:
        return Refused("it disappeared while the dataset was read")
    if error.errno == errno.EACCES:
        return Refused("no permission to read it")
    return Refused(f"it cannot be read: {error.strerror}")


def main() -> None:
    """The child: a line ``[block, start, end]`` comes in, a line with the block's number goes out."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    answer: Callable[[bytes], int] = sys.stdout.buffer.write
    with BlockReader(Reading(**settings)) as reader:
        for request in sys.stdin.buffer:
            number, start, end = json.loads(request)
            reader.read(number, start, end)
            answer(b"%d\n" % number)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
