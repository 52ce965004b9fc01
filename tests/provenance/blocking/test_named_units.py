"""Units that people name: folders, or a column of the CSV of labels."""

import csv

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from provenance.blocking.named_units import units_of_column, units_of_folders
from provenance.blocking.rule import BlockingError

PATHS = ["a/1.jpg", "a/x/2.jpg", "a/x/3.jpg", "b/4.jpg", "top.jpg"]


def test_folders_name_units_down_to_a_level():
    one, two = units_of_folders(PATHS, 1).tolist(), units_of_folders(PATHS, 2).tolist()
    assert one[0] == one[1] == one[2] != one[3]
    assert one[4] == 0
    assert two[1] == two[2] > 0
    assert [two[0], two[3], two[4]] == [0, 0, 0]


@given(units=st.lists(st.sampled_from(["", "dawn", "dusk", "crème, brûlée", "two\nlines"]), min_size=5, max_size=5))
@budget(max_examples=25, deadline=None)
def test_a_column_names_units_in_any_order_of_rows(units, tmp_path_factory):
    folder = tmp_path_factory.mktemp("column")
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Path", "label", "Burst"])
        writer.writerows([path, "x", unit] for path, unit in reversed(list(zip(PATHS, units, strict=True))))
        writer.writerow(["none.jpg", "x", "dawn"])
    found = units_of_column(folder / "labels.csv", "burst", PATHS, folder / "scratch").tolist()
    for one, name in zip(found, units, strict=True):
        assert (one == 0) == (not name)
        for other, another in zip(found, units, strict=True):
            assert (one == other) == (name == another)


def test_images_of_which_the_csv_says_nothing_stand_alone(tmp_path):
    (tmp_path / "labels.csv").write_text("path;label;burst\na/1.jpg;x;one\n../b/4.jpg;x;one\ntoo;short\n")
    found = units_of_column(tmp_path / "labels.csv", "burst", PATHS, tmp_path / "scratch")
    assert (found > 0).tolist() == [True, False, False, False, False]


def test_a_column_that_is_not_there_is_told(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label,person\na/1.jpg,x,one\n")
    with pytest.raises(BlockingError, match=r"no column “burst”\. Further columns: person"):
        units_of_column(tmp_path / "labels.csv", "burst", PATHS, tmp_path)
    with pytest.raises(BlockingError, match="cannot be read"):
        units_of_column(tmp_path / "gone.csv", "burst", PATHS, tmp_path)
