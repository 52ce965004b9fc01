"""The Merkle tree of RFC 6962: known answers, and every proof of every tree."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.intake.errors import ManifestError
from provenance.intake.merkle import MerkleTree, build_tree, leaf_hash, level_sizes, node_hash, verify_inclusion

# The eight leaves and the roots of the trees over the first n of them that Certificate Transparency's
# implementations test themselves with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


@pytest.mark.parametrize("count", sorted(ROOTS))
def test_known_roots(tmp_path, count):
    root = build_tree(tmp_path / "tree.bin", map(leaf_hash, LEAVES[:count]))
    assert root.hex() == ROOTS[count]
    assert MerkleTree(tmp_path / "tree.bin", count).root() == root


@settings(max_examples=40, deadline=None)
@given(leaves=st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_root_and_every_proof_follow_the_definition(tmp_path_factory, leaves):
    path = tmp_path_factory.mktemp("tree") / "tree.bin"
    root = build_tree(path, [b"".join(map(leaf_hash, leaves))])
    assert root == recursive_root(leaves)
    tree = MerkleTree(path, len(leaves))
    for index, leaf in enumerate(leaves):
        proof = tree.inclusion_proof(index)
        assert verify_inclusion(leaf_hash(leaf), index, len(leaves), proof, root)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(2, 40))
def test_a_changed_proof_fails(tmp_path_factory, data, count):
    leaves = [leaf_hash(b"%d" % number) for number in range(count)]
    path = tmp_path_factory.mktemp("tree") / "tree.bin"
    root = build_tree(path, leaves)
    index = data.draw(st.integers(0, count - 1))
    proof = MerkleTree(path, count).inclusion_proof(index)
    broken = list(proof)
    at = data.draw(st.integers(0, len(proof) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "add", "short"]))
    if kind == "flip":
        broken[at] = bytes([broken[at][0] ^ 1]) + broken[at][1:]
    elif kind == "drop":
        del broken[at]
    elif kind == "add":
        broken.insert(at, bytes(32))
    else:
        broken[at] = broken[at][:-1]
    assert not verify_inclusion(leaves[index], index, count, broken, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, count, proof, root)
    assert not verify_inclusion(leaves[index], count, count, proof, root)


def test_an_index_outside_the_tree_has_no_proof(tmp_path):
    build_tree(tmp_path / "tree.bin", [leaf_hash(b"a"), leaf_hash(b"b")])
    tree = MerkleTree(tmp_path / "tree.bin", 2)
    for index in (-1, 2):
        with pytest.raises(IndexError):
            tree.inclusion_proof(index)


def test_a_tree_file_of_the_wrong_size_is_refused(tmp_path):
    build_tree(tmp_path / "tree.bin", [leaf_hash(b"a"), leaf_hash(b"b")])
    with pytest.raises(ManifestError, match="3 files"):
        MerkleTree(tmp_path / "tree.bin", 3)


def test_level_sizes_end_in_the_root():
    assert level_sizes(0) == []
    assert level_sizes(1) == [1]
    assert level_sizes(7) == [7, 4, 2, 1]


def test_large_trees_cross_the_chunks_they_are_read_in(tmp_path):
    leaves = [leaf_hash(b"%d" % number) for number in range(20_001)]
    root = build_tree(tmp_path / "tree.bin", leaves)
    level = leaves
    while len(level) > 1:
        pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    assert root == level[0]
