import pytest

from provenance.whole_files import write_whole


def test_a_file_that_could_not_be_written_whole_stays_as_it_was(tmp_path):
    path = tmp_path / "new" / "facts.json"
    write_whole(path, lambda part: part.write_text("first"))

    def half(part):
        part.write_text("sec")
        raise OSError("The disk is full.")

    with pytest.raises(OSError, match="full"):
        write_whole(path, half)
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_two_who_write_the_same_file_do_not_share_a_draft(tmp_path):
    path = tmp_path / "new" / "facts.json"

    def slow(part):
        part.write_text("one")
        write_whole(path, lambda other: other.write_text("two"))

    write_whole(path, slow)
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]
