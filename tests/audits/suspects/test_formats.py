"""The door for files of weights: what gets in, and what is refused with which words."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from audits.suspects import FormatError
from audits.suspects.formats import inspect
from tests.audits.suspects.models import cifar_weights, onnx_file


class Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("true",))


def written(path, data):
    path.write_bytes(data)
    return path


def test_safetensors_state_dicts_and_onnx_get_in(tmp_path):
    state = {"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)}
    torch.save(state, tmp_path / "new.pt")
    torch.save({"state_dict": OrderedDict(state), "epoch": 3, "best": 0.5}, tmp_path / "nested.pth")
    torch.save(state, tmp_path / "old.th", _use_new_zipfile_serialization=False)
    torch.save(
        {"w": torch.nn.Parameter(torch.ones(2)), "h": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "more.bin"
    )
    found = {path.name: inspect(path).format for path in sorted(tmp_path.glob("*.*"))}
    assert found == dict.fromkeys(["more.bin", "nested.pth", "new.pt", "old.th"], "state_dict")
    assert inspect(cifar_weights(tmp_path)).format == "safetensors"
    assert inspect(onnx_file(tmp_path / "net.onnx")).format == "onnx"


@pytest.mark.shared
def test_the_strangers_resnets_get_in(shared):
    for path in (shared / "models").glob("*.th"):
        assert inspect(path).format == "state_dict"


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_runs_code_is_refused_by_the_name_it_calls(tmp_path, zipped):
    torch.save({"w": torch.ones(2), "x": Evil()}, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(FormatError, match=r"posix\.system"):
        inspect(tmp_path / "evil.pt")


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(FormatError, match=r"torch\.nn\.modules\.linear"):
        inspect(tmp_path / "whole.pt")


@pytest.mark.parametrize("protocol", range(6))
def test_bare_pickles_are_refused_as_such(tmp_path, protocol):
    with pytest.raises(FormatError, match="Python pickle"):
        inspect(written(tmp_path / "w.pkl", pickle.dumps(Evil(), protocol)))


def test_code_named_by_strings_on_the_stack_is_refused(tmp_path):
    """STACK_GLOBAL takes its names from the stack, past any look at GLOBAL alone."""
    hidden = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
    with zipfile.ZipFile(tmp_path / "hidden.pt", "w") as archive:
        archive.writestr("archive/data.pkl", hidden)
        archive.writestr("archive/version", "3")
    with pytest.raises(FormatError, match=r"SHORT_BINUNICODE|STACK_GLOBAL"):
        inspect(tmp_path / "hidden.pt")


def test_torchscript_and_exported_programs_are_refused(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "script.pt"))
    with pytest.raises(FormatError, match="TorchScript"):
        inspect(tmp_path / "script.pt")
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "program.pt2")
    with pytest.raises(FormatError, match=r"\.pt2"):
        inspect(tmp_path / "program.pt2")


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({"a/data.pkl": b"\x80\x02}.", "a/helper.py": b"print()"}, "program code"),
        ({"a/data.pkl": b"\x80\x02}.", "a/readme.txt": b"hello"}, "no place"),
        ({"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02}."}, "not a PyTorch file"),
        ({"photo.jpg": b"123"}, "not a PyTorch file"),
        ({"a/data.pkl": b"\x80\x02}"}, "cut off"),
        ({"a/data.pkl": b"\x80\x02X\xff\xff\xff\x7f"}, "too long"),
    ],
)
def test_zips_that_are_not_plain_weights_are_refused(tmp_path, members, word):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(FormatError, match=word):
        inspect(tmp_path / "w.pt")


def test_compressed_doubled_and_huge_zips_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/data/0", bytes(10**6))
    with pytest.raises(FormatError, match="compressed"):
        inspect(tmp_path / "bomb.pt")
    with zipfile.ZipFile(tmp_path / "twice.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a/data.pkl", b"\x80\x02].")
    with pytest.raises(FormatError, match="twice"):
        inspect(tmp_path / "twice.pt")
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 60000, 60000, 2**31, 4, 0)
    with pytest.raises(FormatError, match="table of contents"):
        inspect(written(tmp_path / "table.pt", b"PK\x03\x04" + bytes(100) + end))


def safetensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(7)), "cut off"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(9)), "left over"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', bytes(8)), "own shape"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}', bytes(8)), "own shape"),
        (safetensors(b'{"a":{"dtype":"EXE","shape":[2],"data_offsets":[0,8]}}', bytes(8)), "not supported"),
        (safetensors(b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', bytes(3)), "gaps"),
        (safetensors(b"{broken json}"), "damaged"),
        (safetensors(b"{}"), "no tensors"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path, data, word):
    with pytest.raises(FormatError, match=word):
        inspect(written(tmp_path / "w.safetensors", data))


def test_onnx_with_external_data_or_foreign_operators_is_refused(tmp_path):
    model = onnx.load(onnx_file(tmp_path / "net.onnx"))
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="passwd", size_threshold=0)
    with pytest.raises(FormatError, match="another file"):
        inspect(tmp_path / "outside.onnx")
    constant = helper.make_tensor("inner", TensorProto.FLOAT, [1], [1.0])
    constant.data_location = TensorProto.EXTERNAL
    node = helper.make_node("Constant", [], ["c"], value=constant)
    body = helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])])
    branch = helper.make_node("If", ["yes"], ["c2"], then_branch=body, else_branch=body)
    with pytest.raises(FormatError, match="another file"):
        inspect(onnx_file(tmp_path / "nested.onnx", nodes=[branch]))
    with pytest.raises(FormatError, match="evil"):
        inspect(onnx_file(tmp_path / "domain.onnx", nodes=[helper.make_node("Run", ["x"], ["y"], domain="evil.ops")]))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "Keras"),
        (b"GGUF" + bytes(50), "GGUF"),
        (b"\x93NUMPY\x01\x00" + bytes(50), "NumPy"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (b"version https://git-lfs.example/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x7fELF" + bytes(50), "program"),
        (b"just some text that nobody meant to upload", "none of the formats"),
    ],
)
def test_strangers_are_told_what_they_are(tmp_path, data, word):
    with pytest.raises(FormatError, match=word):
        inspect(written(tmp_path / "file", data))


def test_links_folders_and_large_files_are_refused(tmp_path):
    real = cifar_weights(tmp_path)
    (tmp_path / "link").symlink_to(real)
    for path in (tmp_path / "link", tmp_path, tmp_path / "absent"):
        with pytest.raises(FormatError, match="no such file"):
            inspect(path)
    with pytest.raises(FormatError, match="may have up to"):
        inspect(real, max_bytes=1000)


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    state = {"a": torch.ones(2, 3), "b": torch.zeros(4)}
    new, old = io.BytesIO(), io.BytesIO()
    torch.save(state, new)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    onnx_bytes = onnx_file(folder / "net.onnx").read_bytes()
    tensors = safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8))
    return folder, [new.getvalue(), old.getvalue(), onnx_bytes, tensors]


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 3), place=st.floats(0, 1), value=st.binary(min_size=1, max_size=6), cut=st.booleans())
def test_damage_anywhere_gives_a_verdict_and_never_another_error(good_files, which, place, value, cut):
    folder, files = good_files
    data = files[which]
    at = int(place * (len(data) - 1))
    damaged = data[:at] if cut else data[:at] + value + data[at + len(value) :]
    try:
        verdict = str(inspect(written(folder / "damaged", damaged)).size)
    except FormatError as refusal:
        verdict = refusal.sentence
    assert verdict == str(len(damaged)) or verdict.endswith(".")


def test_the_door_does_not_import_torch():
    import subprocess
    import sys

    program = "import sys, audits.suspects.formats, audits.suspects.catalogue; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
