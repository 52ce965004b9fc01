"""The CSV beside the images without the rows of what stays home: every other byte stays as it was."""

import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.embedding.beside import BesideFile, place_beside
from provenance.embedding.errors import EmbeddingError, SourceChangedError
from provenance.embedding.rows import rows_without


def without(tmp_path, data: bytes, *paths: str) -> bytes:
    source = tmp_path / "labels.csv"
    source.write_bytes(data)
    return b"".join(rows_without(source, set(paths)))


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("between", [b",", b";", b"\t"])
def test_rows_go_and_everything_else_stays(tmp_path, bom, end, between):
    head = bom + between.join([b"Path", b" caption", b"other"]) + end
    rows = [
        between.join([path, caption, b"x"]) + end
        for path, caption in [
            (b"a.jpg", b'"one, two; three\tfour"'),
            (b'"b.jpg"', b'say ""hi"" to b'),
            (b" ./d//c.jpg ", b"c"),
            (b"e\xcc\x81.jpg", b"latin \xe9 in it"),
            (b"f.jpg", b'"two' + end + b'lines"'),
        ]
    ]
    data = head + b"".join(rows) + end + b"none.jpg" + between + b"left" + between + b"over"
    paths = ("a.jpg", "b.jpg", "d/c.jpg", "\xe9.jpg", "f.jpg")
    assert without(tmp_path, data) == data
    for path, row in zip(paths, rows, strict=True):
        assert without(tmp_path, data, path) == data.replace(row, b"")
    assert without(tmp_path, data, *paths) == data.replace(b"".join(rows), b"")


FIELD = st.text(st.sampled_from(list('ab,;\t"\n\r \u00e9')), max_size=8)


@given(
    rows=st.lists(FIELD, min_size=1, max_size=12),
    home=st.sets(st.integers(0, 11)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
@budget(max_examples=80, deadline=None)
def test_what_a_reader_finds_is_the_same_but_for_those_rows(rows, home, end, tmp_path_factory):
    table = io.StringIO()
    writer = csv.writer(table, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["path", "caption"])
    writer.writerows([f"{number}.jpg", caption] for number, caption in enumerate(rows))
    kept = without(
        tmp_path_factory.mktemp("rows"), table.getvalue().encode(), *(f"{number}.jpg" for number in home)
    ).decode()
    read = list(csv.reader(io.StringIO(kept, newline="")))[1:]
    assert read == [[f"{number}.jpg", caption] for number, caption in enumerate(rows) if number not in home]


def test_a_row_named_twice_goes_twice_and_a_stray_quote_is_told(tmp_path):
    data = b"path,caption\na.jpg,one\nb.jpg,two\na.jpg,three\n"
    assert without(tmp_path, data, "a.jpg") == b"path,caption\nb.jpg,two\n"
    swallowed = b'path,caption\na.jpg,"one\nb.jpg,two\nc.jpg,three\n'  # b and c are inside the caption of a
    with pytest.raises(EmbeddingError, match="correct them") as refused:
        without(tmp_path, swallowed, "b.jpg")
    assert "b.jpg" not in str(refused.value)
    assert without(tmp_path, swallowed, "d.jpg") == swallowed


@pytest.mark.parametrize("row", [b"b.jpg,two,too many", b"b.jpg", b"x,b.jpg,", b"../x,b.jpg"])
def test_a_row_that_cannot_be_read_and_names_what_stays_home_is_refused(tmp_path, row):
    data = b"path,caption\na.jpg,one\n" + row + b"\n"
    with pytest.raises(EmbeddingError, match="cannot be read"):
        without(tmp_path, data, "b.jpg")
    assert without(tmp_path, data, "a.jpg") == b"path,caption\n" + row + b"\n"


def test_the_file_is_placed_with_a_digest_of_its_own(tmp_path):
    source, files = tmp_path / "kept.csv", tmp_path / "files"
    source.write_bytes(b"path,label\na.jpg,x\nb.jpg,y\n")
    wanted = BesideFile("about/labels.csv", 27, hashlib.sha256(source.read_bytes()).hexdigest())
    placed = place_beside(source, wanted, files, {"a.jpg"})
    data = (files / "about/labels.csv").read_bytes()
    assert data == b"path,label\nb.jpg,y\n"
    assert (placed.size, placed.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    whole = place_beside(source, wanted, files)
    assert (whole.size, whole.sha256) == (27, wanted.sha256)
    source.write_bytes(b"path,label\na.jpg,x\nb.jpg,z\n")
    with pytest.raises(SourceChangedError):
        place_beside(source, wanted, files, {"a.jpg"})
    assert sorted(path.name for path in (files / "about").iterdir()) == ["labels.csv"]
