"""Archives of every sort, most of them hostile."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.intake.archives import ArchiveLimits
from provenance.intake.errors import ArchiveError
from provenance.intake.opening import open_archive

from .samples import jpeg, write_tar, write_zip

IMAGE = jpeg()
LIMITS = ArchiveLimits(members=50, total=3 << 20, member=1 << 20, ratio=50, ratio_from=1 << 16)


def read(path, limits=LIMITS, **options):
    """(taken: {path: data}, refused: {name: reason}) of an archive."""
    reader = open_archive(path, limits)
    taken, refused = {}, {}
    try:
        for member in reader.members(**options):
            if member.refused:
                refused[member.name] = member.refused.reason
            else:
                taken[member.path] = member.data
    finally:
        reader.close()
    return taken, refused


def writers():
    yield "zip", lambda path, members: write_zip(path, members)
    yield "deflated zip", lambda path, members: write_zip(path, members, zipfile.ZIP_DEFLATED)
    yield "tar", lambda path, members: write_tar(path, members)
    yield "gnu tar", lambda path, members: write_tar(path, members, layout=tarfile.GNU_FORMAT)
    yield "tar.gz", lambda path, members: write_tar(path, members, "w:gz")


@pytest.fixture(params=[name for name, _ in writers()])
def write(request, tmp_path):
    writer = dict(writers())[request.param]
    return lambda members: writer(tmp_path / "archive", members)


def test_images_come_out_as_they_went_in(write):
    members = [
        ("cat/1.jpg", IMAGE),
        ("dog/" + "long" * 40 + ".jpg", jpeg(2)),
        ("猫.jpg", jpeg(3)),
        ("b/b.png", jpeg(4)),
    ]
    taken, refused = read(write(members))
    assert taken == dict(members)
    assert refused == {}


def test_hostile_names_are_refused_and_the_rest_is_taken(write):
    bad = ["../up.jpg", "/abs.jpg", "a/../../b.jpg", "line\nfeed.jpg", "c:/x.jpg", "a\u202eb.jpg", "__MACOSX/._1.jpg"]
    taken, refused = read(write([(name, IMAGE) for name in bad] + [("good.jpg", IMAGE)]))
    assert taken == {"good.jpg": IMAGE}
    assert len(refused) == len(bad)
    assert all(name.isprintable() for name in refused)


def test_foreign_content_is_refused_by_content_not_by_name(write):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.jpg", IMAGE)
    taken, refused = read(write([("nested.jpg", inner.getvalue()), ("page.jpg", b"<html>"), ("none.jpg", b"")]))
    assert taken == {}
    assert "archive" in refused["nested.jpg"]
    assert "not an image" in refused["page.jpg"]
    assert "empty" in refused["none.jpg"]


def test_a_named_label_file_is_read(write):
    taken, refused = read(write([("labels.csv", b"path,label\n"), ("a.jpg", IMAGE)]), keep=frozenset({"labels.csv"}))
    assert taken["labels.csv"] == b"path,label\n"
    assert refused == {}


def test_members_larger_than_allowed_are_refused(write):
    taken, refused = read(write([("big.jpg", IMAGE + bytes(1 << 20)), ("a.jpg", IMAGE)]), ArchiveLimits(member=1 << 20))
    assert taken == {"a.jpg": IMAGE}
    assert "larger than" in refused["big.jpg"]


def test_too_many_members_end_the_reading(write):
    with pytest.raises(ArchiveError, match="more than 50 members"):
        read(write([(f"{number}.jpg", IMAGE) for number in range(51)]))


def test_too_many_bytes_end_the_reading(write):
    noise = bytes(range(256)) * 2000
    with pytest.raises(ArchiveError, match="unpacks to more"):
        read(
            write([(f"{number}.jpg", IMAGE + noise) for number in range(8)]), ArchiveLimits(total=3 << 20, ratio=10**6)
        )


def test_reading_goes_on_from_a_cursor(write):
    members = [(f"{number:02d}.jpg", jpeg(number)) for number in range(9)]
    path = write([*members[:4], ("../no.jpg", IMAGE), *members[4:]])
    reader = open_archive(path, LIMITS)
    for member in reader.members():
        if member.number == 5:
            break
    reader.close()
    reader = open_archive(path, LIMITS)
    rest = [(member.number, member.path) for member in reader.members(member.cursor)]
    reader.close()
    assert rest == [(6, "05.jpg"), (7, "06.jpg"), (8, "07.jpg"), (9, "08.jpg")]


def test_a_cursor_keeps_the_limits_counting(write):
    path = write([(f"{number:02d}.jpg", IMAGE) for number in range(60)])
    reader = open_archive(path, LIMITS)
    for member in reader.members():
        if member.number == 40:
            break
    reader.close()
    reader = open_archive(path, LIMITS)
    with pytest.raises(ArchiveError, match="more than 50 members"):
        list(reader.members(member.cursor))
    reader.close()


# Zip ------------------------------------------------------------------------------------------------------------------


def test_links_devices_and_encrypted_members_of_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, kind in (("link.jpg", stat.S_IFLNK), ("device.jpg", stat.S_IFCHR), ("pipe.jpg", stat.S_IFIFO)):
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, b"/etc/passwd")
        archive.writestr("good.jpg", IMAGE)
    data = (tmp_path / "a.zip").read_bytes()
    taken, refused = read(tmp_path / "a.zip")
    assert taken == {"good.jpg": IMAGE}
    assert refused == {
        "link.jpg": "a link",
        "device.jpg": "neither file nor folder (a device, pipe or socket)",
        "pipe.jpg": "neither file nor folder (a device, pipe or socket)",
    }
    at = data.rfind(b"PK\x01\x02")  # the central entry of good.jpg: say that it is encrypted
    (tmp_path / "b.zip").write_bytes(data[: at + 8] + struct.pack("<H", 1) + data[at + 10 :])
    assert read(tmp_path / "b.zip")[1]["good.jpg"] == "encrypted"


def test_a_zip_bomb_by_ratio_is_refused_without_unpacking(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("bomb.jpg", IMAGE + bytes(900_000)), ("a.jpg", IMAGE)], zipfile.ZIP_DEFLATED)
    taken, refused = read(path)
    assert taken == {"a.jpg": IMAGE}
    assert "archive bombs" in refused["bomb.jpg"]


def test_a_zip_that_lies_about_its_sizes_unpacks_no_more_than_it_states(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("liar.jpg", IMAGE + bytes(500_000))], zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 2000)
    path.write_bytes(bytes(data))
    taken, refused = read(path)
    assert taken == {}
    assert "size that is stated" in refused["liar.jpg"]


def test_overlapping_members_are_refused(tmp_path):
    """Many entries of the directory point to one and the same data."""
    path = write_zip(tmp_path / "a.zip", [("a.jpg", IMAGE + bytes(range(256)) * 200)])
    data = path.read_bytes()
    start = data.rfind(b"PK\x01\x02")
    end = data.rfind(b"PK\x05\x06")
    directory = b"".join(data[start:end].replace(b"a.jpg", b"%c.jpg" % (97 + number)) for number in range(20))
    tail = data[end:]
    tail = tail[:8] + struct.pack("<HHLL", 20, 20, len(directory), start) + tail[20:]
    path.write_bytes(data[:start] + directory + tail)
    taken, refused = read(path)
    assert list(taken) == ["a.jpg"]
    assert set(refused.values()) == {"overlaps other members, as archive bombs do"}
    assert len(refused) == 19


def test_damage_inside_a_zip_costs_one_member(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("a.jpg", IMAGE), ("b.jpg", jpeg(2))])
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(bytes(data))
    taken, refused = read(path)
    assert list(taken) == ["b.jpg"]
    assert "checksum" in refused["a.jpg"]


def test_large_zips_with_64_bit_fields_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, archive.open("a.jpg", "w", force_zip64=True) as member:
        member.write(IMAGE)
    data = (tmp_path / "a.zip").read_bytes()
    end = data.rfind(b"PK\x05\x06")
    count, length, start = struct.unpack_from("<HLL", data, end + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    tail = data[end : end + 10] + struct.pack("<HLL", 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + data[end + 20 :]
    (tmp_path / "b.zip").write_bytes(data[:end] + record + locator + tail)
    for name in ("a.zip", "b.zip"):
        assert read(tmp_path / name)[0] == {"a.jpg": IMAGE}


def test_a_zip_behind_other_bytes_is_read(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("a.jpg", IMAGE)])
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert read(path)[0] == {"a.jpg": IMAGE}


# Tar ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
    ],
)
def test_links_and_devices_of_a_tar_are_refused(tmp_path, kind, reason):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("trap.jpg")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
        good = tarfile.TarInfo("good.jpg")
        good.size = len(IMAGE)
        archive.addfile(good, io.BytesIO(IMAGE))
    taken, refused = read(tmp_path / "a.tar")
    assert taken == {"good.jpg": IMAGE}
    assert reason in refused["trap.jpg"]


def test_a_gzip_bomb_ends_the_reading(tmp_path):
    info = tarfile.TarInfo("bomb.jpg")
    info.size = 100 << 20
    packed = gzip.compress(info.tobuf() + bytes(100 << 20))
    (tmp_path / "a.tar.gz").write_bytes(packed)
    with pytest.raises(ArchiveError, match="archive bombs"):
        read(tmp_path / "a.tar.gz", ArchiveLimits(member=1 << 20))


def test_a_pax_header_the_size_of_a_bomb_is_not_read(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(ArchiveError, match="larger than any file name"):
        read(tmp_path / "a.tar")


def test_a_tar_of_several_gzip_members_is_read_whole(tmp_path):
    path = write_tar(tmp_path / "a.tar", [(f"{number}.jpg", jpeg(number)) for number in range(6)])
    data = path.read_bytes()
    path.write_bytes(b"".join(gzip.compress(data[at : at + 700]) for at in range(0, len(data), 700)) + bytes(512))
    assert len(read(path)[0]) == 6


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_cut_tar_says_so(tmp_path, mode):
    path = write_tar(tmp_path / "a.tar", [(f"{number}.jpg", jpeg(number)) for number in range(6)], mode)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 4 if mode == "w" else len(data) * 3 // 4])
    with pytest.raises(ArchiveError, match="complete"):
        read(path)


# Everything -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"PK\x03\x04" + bytes(100),
        gzip.compress(b"no tar", mtime=0),
        gzip.compress(b"", mtime=0),
        IMAGE,
        b"7z\xbc\xaf" + bytes(90),
    ],
)
def test_what_is_no_archive_gives_one_error(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ArchiveError):
        read(tmp_path / "a")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_archives_never_raise_anything_else(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    _, write = data.draw(st.sampled_from(list(writers())))
    path = write(folder / "a", [("cat/1.jpg", IMAGE), ("dog/" + "long" * 40 + ".jpg", jpeg(2)), ("c.jpg", jpeg(3))])
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    try:
        taken, _ = read(path)
    except ArchiveError:
        return
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in taken)
