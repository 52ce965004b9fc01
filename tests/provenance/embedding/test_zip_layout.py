import hashlib
import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.embedding import zip_layout
from provenance.embedding.beside import BesideFile
from provenance.embedding.zip_layout import DamagedReleaseError, RangeError, ZipLayout
from provenance.intake.manifest import Manifest
from tests.provenance.embedding.builders import jpeg, write_version


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    root = tmp_path_factory.mktemp("version")
    names = ["a.jpg", "b/ü ß.jpg", "b/日本.jpg", *(f"c/{i:04d}.jpg" for i in range(40))]
    return write_version(root, {name: jpeg(i) for i, name in enumerate(names)})


def layout_of(version, top="copy"):
    return ZipLayout(version, version.folder.parent / "files", top)


def whole(layout):
    return b"".join(layout.read_range(0, layout.size))


def test_python_reads_it(version):
    data = whole(layout_of(version))
    assert len(data) == layout_of(version).size
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"copy/{entry.path}" for entry in version]
        for info, entry in zip(archive.infolist(), version, strict=True):
            assert archive.read(info) == (version.folder.parent / "files" / entry.path).read_bytes()
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_reads_it(version, tmp_path):
    path = tmp_path / "release.zip"
    path.write_bytes(whole(layout_of(version)))
    result = subprocess.run(["unzip", "-t", path], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert "No errors detected" in result.stdout


@given(st.data())
@budget(max_examples=200, deadline=None)
def test_any_range_is_a_slice_of_the_whole(version, data):
    layout = layout_of(version)
    start = data.draw(st.integers(0, layout.size))
    stop = data.draw(st.integers(start, min(layout.size, start + 5000)))
    assert b"".join(layout.read_range(start, stop)) == whole(layout)[start:stop]


def test_the_same_manifest_gives_the_same_bytes(version):
    first = whole(layout_of(version))
    (version.folder / "zip_lengths.bin").unlink()
    assert whole(layout_of(version)) == first


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, 10**9)])
def test_ranges_outside_are_refused_at_once(version, start, stop):
    with pytest.raises(RangeError):
        layout_of(version).read_range(start, stop)


def test_a_missing_or_short_file_is_noticed(tmp_path):
    version = write_version(tmp_path, {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    (tmp_path / "files" / "b.jpg").write_bytes(b"short")
    with pytest.raises(DamagedReleaseError, match=r"b\.jpg .* shorter"):
        whole(layout_of(version))
    (tmp_path / "files" / "b.jpg").unlink()
    with pytest.raises(DamagedReleaseError, match=r"b\.jpg .* read"):
        whole(layout_of(version))


def test_zip64_records_where_limits_are_passed(version, monkeypatch):
    """The limits of the old format are lowered, so that small files pass them and the reader meets ZIP64 records."""
    plain = whole(layout_of(version))
    monkeypatch.setattr(zip_layout, "_LIMIT16", 10)
    data = whole(layout_of(version))
    assert b"PK\x06\x06" in data
    assert b"PK\x06\x06" not in plain
    patched = data[:-14] + b"\xff\xff\xff\xff" + data[-10:]  # the reader knows the true limit of the format
    with zipfile.ZipFile(io.BytesIO(patched)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(version)


class Huge:
    """A manifest of files of 3 GiB that take no room on the disk."""

    def __init__(self, folder, count, size) -> None:
        self.folder, self.count, self.size = folder, count, size
        folder.mkdir()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self.page(0, self.count))

    def page(self, start, count):
        stop = min(start + count, self.count)
        return [SimpleNamespace(path=f"{i}.bin", size=self.size) for i in range(start, stop)]

    def crc32(self, index):
        return 0


@pytest.mark.parametrize("size", [3 << 30, 5 << 30])
def test_offsets_and_sizes_over_four_gibibytes(tmp_path, size):
    manifest = Huge(tmp_path / "manifest", 3, size)
    files = tmp_path / "files"
    files.mkdir()
    for i in range(3):
        with (files / f"{i}.bin").open("wb") as file:
            file.truncate(size)
    layout = ZipLayout(cast(Manifest, manifest), files)
    last = layout.size
    tail = b"".join(layout.read_range(last - 1000, last))
    with zipfile.ZipFile(Sparse(layout, tail)) as archive:
        infos = archive.infolist()
        assert [info.file_size for info in infos] == [size] * 3
        with archive.open(infos[2]) as member:
            assert member.read(100) == bytes(100)


class Sparse(io.RawIOBase):
    """The archive as a file that can be sought in, without ever being whole in memory."""

    def __init__(self, layout, tail) -> None:
        self.layout, self.at, self.tail = layout, 0, tail

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.layout.size)[whence]
        return self.at

    def read(self, count=-1):
        stop = self.layout.size if count < 0 else min(self.at + count, self.layout.size)
        data = b"".join(self.layout.read_range(self.at, stop))
        self.at = stop
        return data


def test_files_beside_the_manifest_come_last_and_any_range_of_them_is_a_slice(version):
    files = version.folder.parent / "files"
    table = "path,caption\r\na.jpg,Größe\r\n".encode() * 50
    (files / "about").mkdir(exist_ok=True)
    (files / "about/captions ü.csv").write_bytes(table)
    beside = BesideFile("about/captions ü.csv", len(table), hashlib.sha256(table).hexdigest(), zlib.crc32(table))
    layout = ZipLayout(version, files, "copy", [beside])
    data = whole(layout)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*(f"copy/{entry.path}" for entry in version), "copy/about/captions ü.csv"]
        assert archive.read("copy/about/captions ü.csv") == table
    at = data.index(table)
    for start, stop in [(at - 50, at + 10), (at, at + len(table)), (at + len(table) - 3, len(data)), (0, len(data))]:
        assert b"".join(layout.read_range(start, stop)) == data[start:stop]
    assert whole(layout_of(version)) != data  # and nothing of it is kept for the copy without
