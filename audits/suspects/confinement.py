"""Confines the current process for good: no network, no programs, no other processes, bounded resources.

A private network namespace where the system lets us have one, and always a seccomp filter (classic BPF) that refuses
sockets; ``confine`` tries to open one and fails closed. Constants and system call numbers are those of Linux's uapi
headers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import socket
import struct
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
CLONE_THREAD, CLONE_NEWUSER, CLONE_NEWNET = 0x00010000, 0x10000000, 0x40000000
SIGKILL = 9

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_ABSENT = 0x00050000 | errno.ENOSYS
_KILL = 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


@dataclass(frozen=True)
class _Machine:
    audit: int  # AUDIT_ARCH_*
    seccomp: int
    clone: int
    clone3: int
    tgkill: int
    refused: tuple[int, ...]


# socket … recvmmsg; io_uring (which opens sockets beside the filter); exec and fork; signals to others; ptrace and
# its kin; namespaces and mounts; kernel modules, bpf, perf, keys, userfaultfd
_SHARED = (424, 425, 426, 427, 434, 438)
_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317, 56, 435, 234,
        (41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299, 307, 57, 58, 59, 322, 62, 200, 101, 310, 311, 312, 272, 308,
         165, 166, 155, 161, 175, 313, 176, 246, 320, 321, 298, 248, 249, 250, 323, 304, *_SHARED),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, 220, 435, 131,
        (198, 199, 200, 201, 202, 203, 206, 207, 211, 212, 242, 243, 269, 221, 281, 129, 130, 117, 270, 271, 272, 97,
         268, 40, 39, 41, 51, 105, 273, 106, 104, 294, 280, 241, 217, 218, 219, 282, 265, *_SHARED),
    ),
}  # fmt: skip


class ConfinementError(RuntimeError):
    """The process could not be confined; nothing of a stranger's may be opened in it."""


@dataclass(frozen=True)
class Walls:
    """Which walls stand: the filter always, a network namespace where the system allowed one."""

    network_namespace: bool


def confine(memory: int | None, cpu_seconds: int, file_bytes: int) -> Walls:
    """Confine this process; call it while it has one thread and before it reads anything of a stranger's.

    ``memory`` caps the address space in bytes (``None`` where a GPU's driver reserves far more than it uses).
    Raises ``ConfinementError`` where the filter cannot be installed or does not hold.
    """
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, 1024),
        *(((resource.RLIMIT_AS, memory),) if memory else ()),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
    _install_filter(libc)
    _prove_no_network()
    return Walls(namespace)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and make sure that it has not already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise ConfinementError("The process that started this one has ended.")


def _step(code: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, operand)


def filter_program(machine: str, pid: int) -> bytes:
    """The BPF program for ``machine`` (``x86_64`` or ``aarch64``) and process ``pid``; ``ConfinementError`` for others.

    A foreign instruction set is killed; refused calls get EPERM; clone3 looks absent; clone may start threads only;
    signals may go to the process itself only; all else is allowed.
    """
    try:
        kind = _MACHINES[machine]
    except KeyError as error:
        raise ConfinementError(f"Suspects cannot be confined on this processor ({machine}).") from error
    number, architecture, argument = 0, 4, 16
    program = [_step(_LOAD, architecture), _step(_EQUAL, kind.audit, 1, 0), _step(_RETURN, _KILL), _step(_LOAD, number)]
    if machine == "x86_64":  # the x32 calls have numbers of their own from 2^30 on
        program += [_step(_AT_LEAST, 0x40000000, 0, 1), _step(_RETURN, _REFUSE)]
    for call in kind.refused:
        program += [_step(_EQUAL, call, 0, 1), _step(_RETURN, _REFUSE)]
    # Its flags lie in memory, which a filter cannot read; without it the C library falls back to clone.
    program += [_step(_EQUAL, kind.clone3, 0, 1), _step(_RETURN, _ABSENT)]
    program += [_step(_EQUAL, kind.clone, 0, 4), _step(_LOAD, argument), _step(_ANY_BIT, CLONE_THREAD, 0, 1)]
    program += [_step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE)]
    program += [_step(_EQUAL, kind.tgkill, 0, 4), _step(_LOAD, argument), _step(_EQUAL, pid, 0, 1)]
    program += [_step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE), _step(_RETURN, _ALLOW)]
    return b"".join(program)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_char_p)]


def _install_filter(libc: ctypes.CDLL) -> None:
    if platform.system() != "Linux":
        raise ConfinementError("Suspects can be confined on Linux only.")
    code = filter_program(os.uname().machine, os.getpid())
    program = _Program(len(code) // 8, code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise ConfinementError("This system does not let a process give up its privileges.")
    call = _MACHINES[os.uname().machine].seccomp
    flags = SECCOMP_FILTER_FLAG_TSYNC
    if libc.syscall(call, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program)) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise ConfinementError(f"This system does not install system call filters ({reason}).")


def _prove_no_network() -> None:
    for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
        try:
            socket.socket(family, kind).close()
        except PermissionError:
            continue
        except OSError as error:
            raise ConfinementError(f"The check of the network block failed in an unexpected way: {error}") from error
        raise ConfinementError("The network is still open after it was closed.")
