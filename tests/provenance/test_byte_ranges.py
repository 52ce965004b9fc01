import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.views.byte_ranges import ByteRange, UnsatisfiableRangeError, parse_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=90-", ByteRange(90, 100)),
        ("bytes=-5", ByteRange(95, 100)),
        ("bytes=-500", ByteRange(0, 100)),
        ("bytes=50-5000", ByteRange(50, 100)),
        ("BYTES = 1 - 1", ByteRange(1, 2)),
        ("bytes=9-1", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("", None),
    ],
)
def test_known_headers(header, expected):
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
def test_ranges_outside(header):
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, 100)


@given(st.one_of(st.text(), st.from_regex(r"bytes=\d{0,3}-\d{0,3}", fullmatch=True)), st.integers(0, 500))
def test_whatever_comes_a_range_lies_inside(header, size):
    try:
        found = parse_range(header, size)
    except UnsatisfiableRangeError:
        return
    if found is not None:
        assert 0 <= found.start < found.stop <= size
