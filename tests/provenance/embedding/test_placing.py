import os

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.embedding.errors import EmbeddingError, SourceChangedError
from provenance.embedding.placing import Expected, SourceTree, copy_content, file_sha256, safe_target


@pytest.fixture
def source(tmp_path):
    (tmp_path / "from").mkdir()
    path = tmp_path / "from" / "a.jpg"
    path.write_bytes(b"content")
    return path


def expected_of(path) -> Expected:
    stat = path.stat()
    return Expected(path.name, stat.st_size, file_sha256(str(path)), stat.st_mtime_ns)


@given(size=st.one_of(st.integers(0, 300), st.integers(65_000, 66_000), st.just(3_000_001)))
@budget(max_examples=20, deadline=None)
def test_copies_of_any_size_are_whole(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("copy")
    data = os.urandom(size)
    (folder / "a").write_bytes(data)
    with (folder / "a").open("rb") as read, (folder / "b").open("wb") as write:
        copy_content(read.fileno(), write.fileno(), size)
    assert (folder / "b").read_bytes() == data


def test_a_copy_keeps_the_time_and_shares_nothing(source, tmp_path):
    expected, target = expected_of(source), tmp_path / "b.jpg"
    SourceTree(source.parent, owned=False).place(expected, str(target))
    assert target.stat().st_mtime_ns == expected.mtime_ns
    assert not target.samefile(source)


def test_what_a_killed_run_left_is_written_again(source, tmp_path):
    target = tmp_path / "b.jpg"
    target.write_bytes(b"half of a longer content")
    SourceTree(source.parent, owned=False).place(expected_of(source), str(target))
    assert target.read_bytes() == b"content"


def test_another_file_where_a_link_goes_is_replaced(source, tmp_path):
    """Such as one that an earlier run marked; the link that is there already stays."""
    target, tree = tmp_path / "b.jpg", SourceTree(source.parent, owned=True)
    target.write_bytes(b"of an earlier run")
    for _ in range(2):
        tree.place(expected_of(source), str(target))
        assert target.samefile(source)
    assert source.read_bytes() == b"content"


@pytest.mark.parametrize("owned", [True, False])
def test_a_missing_or_longer_file_is_a_changed_file(source, tmp_path, owned):
    expected, tree = expected_of(source), SourceTree(source.parent, owned)
    source.write_bytes(b"longer content")
    with pytest.raises(SourceChangedError, match=r"a\.jpg"):
        tree.place(expected, str(tmp_path / "b.jpg"))
    source.unlink()
    with pytest.raises(SourceChangedError, match=r"a\.jpg"):
        tree.place(expected, str(tmp_path / "b.jpg"))


def test_the_same_size_with_another_content_is_noticed_by_its_time(source, tmp_path):
    expected = expected_of(source)
    source.write_bytes(b"CONTENT")
    os.utime(source, ns=(1, 1))
    with pytest.raises(SourceChangedError):
        SourceTree(source.parent, owned=False).place(expected, str(tmp_path / "b.jpg"))


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b", "a\0b"])
def test_paths_never_leave_the_release(path):
    with pytest.raises(EmbeddingError):
        safe_target("/release", path)
