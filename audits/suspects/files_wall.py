"""A wall around files: the confined process reads programs, libraries and its one file of weights, and nothing else.

Uses Landlock (Linux 5.13 and later; constants from its uapi header). Where the kernel has none the wall is absent,
which the caller can see; network and programs are blocked by other means in any case.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on x86_64 and aarch64
_VERSION_FLAG, _BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL = (1 << 13) - 1  # every right of the first version of the interface
_READ_TREE = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE

_SYSTEM = ("/usr", "/lib", "/lib64", "/opt", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc", "/sys")


def enclose(weights: Path, folder: Path, packages: Iterable[Path]) -> bool:
    """Leave this process only libraries, ``packages`` and ``weights`` to read, devices, and ``folder`` to write.

    Needs ``no_new_privs`` or privileges. Returns whether the wall stands; raises ``OSError`` where the kernel has the
    interface and yet refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CREATE, None, 0, _VERSION_FLAG) < 1:
        return False
    rights = struct.pack("<Q", _ALL)
    rules = libc.syscall(_CREATE, rights, len(rights), 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "no set of file rules")
    try:
        for place in _readable(packages):
            _allow(libc, rules, place, _READ_TREE)
        _allow(libc, rules, Path("/dev"), _READ_TREE | _WRITE_FILE)
        _allow(libc, rules, weights, _READ_FILE)
        _allow(libc, rules, folder, _ALL)
        if libc.syscall(_RESTRICT, rules, 0) != 0:
            raise OSError(ctypes.get_errno(), "file rules were refused")
    finally:
        os.close(rules)
    return True


def _readable(packages: Iterable[Path]) -> set[Path]:
    own = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    libraries = {Path(part) for part in os.environ.get("LD_LIBRARY_PATH", "").split(":") if part}
    return {place for place in {*map(Path, _SYSTEM), *own, *libraries, *packages} if place.exists()}


def _allow(libc: ctypes.CDLL, rules: int, place: Path, rights: int) -> None:
    handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        if not place.is_dir():
            rights &= _ON_FILES
        rule = struct.pack("<Qi", rights, handle)
        if libc.syscall(_ADD, rules, _BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"no rule for {place}")
    finally:
        os.close(handle)
