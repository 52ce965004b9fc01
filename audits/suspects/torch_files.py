"""Reads the outside of PyTorch's two file layouts: the zip of today and the row of pickles of before 2020."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path
from typing import IO

from audits.suspects.errors import FormatError
from audits.suspects.pickles import MAX_PICKLE, check_pickle

MAX_DIRECTORY = 64 * 2**20  # bytes of a zip's table of contents
MAX_MEMBERS = 200_000
_LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # PROTO 2, LONG1 0x1950a86a20f9469cfc6c, STOP
# What the standard library's reader raises on damaged tables of contents and headers.
_DAMAGE = (RuntimeError, EOFError, ValueError, OverflowError, KeyError, struct.error, OSError)
_MEMBER = re.compile(
    r"(data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data\.pkl)"
)


def is_legacy(head: bytes) -> bool:
    """Whether a file's first bytes are those of PyTorch's layout of before 2020."""
    return head.startswith(_LEGACY_START)


def check_legacy(path: Path) -> None:
    """Refuse a file of the old layout unless its five pickles hold plain weights only."""
    with path.open("rb") as stream:
        for _ in range(5):
            check_pickle(stream)


def check_zip(path: Path) -> None:
    """Refuse a zip unless it is a plain PyTorch file: one pickle of weights, raw storages and nothing else."""
    with path.open("rb") as stream:
        _check_directory_size(stream, path.stat().st_size)
        try:
            with zipfile.ZipFile(stream) as archive:
                pickled = _check_members(archive.infolist())
                with archive.open(pickled) as member:
                    check_pickle(member)
        except (zipfile.BadZipFile, *_DAMAGE) as error:
            raise FormatError("This zip file cannot be read; it may be cut off. Upload it again.") from error


def _check_directory_size(stream: IO[bytes], size: int) -> None:
    """Read the length of the table of contents before anything reads the table itself."""
    start = max(0, size - 65_557)
    stream.seek(start)
    tail = stream.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        raise FormatError("This zip file has no end; it was probably cut off. Upload it again.")
    length = struct.unpack_from("<I", tail, end + 12)[0]
    if length == 0xFFFFFFFF:
        locator = tail.rfind(b"PK\x06\x06", 0, end)
        if locator < 0 or end - locator < 56:
            raise FormatError("This zip file has a damaged end. Upload it again.")
        length = struct.unpack_from("<Q", tail, locator + 40)[0]
    if length > MAX_DIRECTORY:
        raise FormatError("The table of contents of this zip file is far too long for a file of weights.")
    stream.seek(0)


def _check_members(members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if len(members) > MAX_MEMBERS:
        raise FormatError("This zip file has far too many members for a file of weights.")
    names = [member.filename for member in members]
    _refuse_programs(names)
    if len(set(names)) != len(names):
        raise FormatError("This zip file holds the same name twice; save the state dict anew.")
    roots = {name.partition("/")[0] for name in names}
    pickled = [member for member in members if member.filename.partition("/")[2] == "data.pkl"]
    if len(roots) != 1 or len(pickled) != 1:
        raise FormatError("This zip file is not a PyTorch file of weights; bring a state dict or safetensors.")
    for member in members:
        inside = member.filename.partition("/")[2]
        if not _MEMBER.fullmatch(inside):
            raise FormatError(f"This zip file holds “{member.filename[:80]}”, which has no place in a file of weights.")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise FormatError("This zip file is compressed or encrypted; PyTorch's own files are not. Save it anew.")
    if pickled[0].file_size > MAX_PICKLE:
        raise FormatError("The pickle in this file is far too long for a list of weights.")
    return pickled[0]


def _refuse_programs(names: list[str]) -> None:
    inside = [name.partition("/")[2] for name in names]
    if any(name.startswith("code/") or name in {"constants.pkl", "model.json"} for name in inside):
        raise FormatError(
            "This is a TorchScript program, not a file of weights. Programs are refused: save model.state_dict() "
            "as safetensors, or export the network as ONNX."
        )
    if any(name == "archive_format" or name.startswith(("models/", "data/aotinductor")) for name in (*inside, *names)):
        raise FormatError(
            "This is an exported program (.pt2), not a file of weights. Programs are refused: save model.state_dict() "
            "as safetensors, or export the network as ONNX."
        )
    if any(name.endswith((".py", ".pyc", ".so")) for name in names):
        raise FormatError("This zip file holds program code. Save only the state dict, best as safetensors.")
