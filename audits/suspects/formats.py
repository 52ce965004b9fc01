"""The door for files of weights: told apart by content, refused with a reason, without importing torch.

Runs in the web process when a file arrives and again in the child before it is loaded.
"""

from __future__ import annotations

import pickletools
import tarfile
from dataclasses import dataclass
from pathlib import Path

from audits.suspects.errors import FormatError
from audits.suspects.onnx_files import check_onnx, is_onnx
from audits.suspects.safetensors_files import check_safetensors, is_safetensors
from audits.suspects.torch_files import check_legacy, check_zip, is_legacy
from provenance.wording import file_size

SAFETENSORS, STATE_DICT, ONNX = "safetensors", "state_dict", "onnx"
MAX_BYTES = 20 * 2**30
_BRING = "Bring safetensors, a plain PyTorch state dict or ONNX."


@dataclass(frozen=True)
class WeightsFacts:
    """What the door learned about a file: its format (``safetensors``, ``state_dict``, ``onnx``) and size in bytes."""

    format: str
    size: int


def inspect(path: Path, max_bytes: int = MAX_BYTES) -> WeightsFacts:
    """Tell the format of a file of weights by its content.

    Raises ``FormatError`` with a sentence for people for everything that is not one of the three accepted formats,
    that could run code, or that is larger than ``max_bytes``.
    """
    if path.is_symlink() or not path.is_file():
        raise FormatError("There is no such file of weights.")
    size = path.stat().st_size
    if size == 0:
        raise FormatError("This file is empty. Upload it again.")
    if size > max_bytes:
        raise FormatError(f"This file has {file_size(size)}; files of weights may have up to {file_size(max_bytes)}.")
    with path.open("rb") as stream:
        head = stream.read(1024)
    if is_safetensors(head, size):
        check_safetensors(path)
        return WeightsFacts(SAFETENSORS, size)
    if head.startswith(b"PK\x03\x04"):
        check_zip(path)
        return WeightsFacts(STATE_DICT, size)
    if is_legacy(head):
        check_legacy(path)
        return WeightsFacts(STATE_DICT, size)
    _refuse_strangers(path, head)
    if is_onnx(path):
        check_onnx(path)
        return WeightsFacts(ONNX, size)
    raise FormatError(f"This file is none of the formats that can be opened here. {_BRING}")


def _refuse_strangers(path: Path, head: bytes) -> None:
    if (head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5) or _is_text_pickle(head):
        raise FormatError(f"This is a Python pickle, which can run code when it is opened. {_BRING}")
    for start, name in _STRANGERS:
        if head.startswith(start):
            raise FormatError(f"This is {name}. {_BRING}")
    if tarfile.is_tarfile(path):
        raise FormatError(f"This is a tar archive. {_BRING}")


_STRANGERS = (
    (b"\x89HDF", "a Keras or HDF5 file, which is not supported"),
    (b"GGUF", "a GGUF file, which is not supported"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "a gzip-compressed file; unpack it first"),
    (b"BZh", "a bzip2-compressed file; unpack it first"),
    (b"\xfd7zXZ", "an xz-compressed file; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself; fetch the large file first"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<", "a web page or XML file; the download probably failed"),
)


def _is_text_pickle(head: bytes) -> bool:
    """Old pickles have no mark at their start; taken as one if its first instructions read cleanly and import."""
    seen: list[str] = []
    try:
        for step, _, _ in pickletools.genops(head):
            seen.append(step.name)
            if len(seen) >= 40:
                break
    except (ValueError, IndexError, UnicodeDecodeError):
        pass
    return len(seen) >= 2 and seen[0] in {"GLOBAL", "MARK", "INST"} and bool({"GLOBAL", "INST", "REDUCE"} & set(seen))
