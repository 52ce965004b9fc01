import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.keying import KeyingError, commit, draw_key, draw_salt, verify_commitment

ROOT = hashlib.sha256(b"root").hexdigest()
SETTINGS = {"family": "patch", "groups": ["Kühe", "dogs"], "share": 0.1}


def test_it_is_the_hash_of_tag_salt_and_canonical_json():
    key, salt = bytes(range(32)), bytes(32)
    opened = (
        '{"key":"'
        + key.hex()
        + '","mark":{"family":"patch","groups":["Kühe","dogs"],"share":0.1},"root":"'
        + ROOT
        + '"}'
    )
    expected = hashlib.sha256(b"touchmark/1/commitment\x00" + salt + opened.encode()).hexdigest()
    assert commit(key, salt, SETTINGS, ROOT) == expected
    assert commit(key, salt, json.dumps(SETTINGS, indent=3), ROOT) == expected


def test_every_part_is_bound():
    key, salt = draw_key(), draw_salt()
    commitment = commit(key, salt, SETTINGS, ROOT)
    assert verify_commitment(commitment, key, salt, SETTINGS, ROOT)
    assert not verify_commitment(commitment, draw_key(), salt, SETTINGS, ROOT)
    assert not verify_commitment(commitment, key, draw_salt(), SETTINGS, ROOT)
    assert not verify_commitment(commitment, key, salt, {**SETTINGS, "share": 0.2}, ROOT)
    assert not verify_commitment(commitment, key, salt, SETTINGS, "0" * 64)


@given(st.binary(max_size=70).filter(lambda b: len(b) != 32))
def test_keys_and_salts_of_the_wrong_length_are_refused(wrong):
    with pytest.raises(KeyingError, match="32 bytes"):
        commit(wrong, bytes(32), SETTINGS, ROOT)
    with pytest.raises(KeyingError, match="32 bytes"):
        commit(bytes(32), wrong, SETTINGS, ROOT)


@pytest.mark.parametrize("root", ["", "abc", "G" * 64, "A" * 64])
def test_a_malformed_root_is_refused(root):
    with pytest.raises(KeyingError, match="manifest root"):
        commit(bytes(32), bytes(32), SETTINGS, root)


def test_keys_are_not_repeated():
    assert len({draw_key() for _ in range(100)}) == 100
