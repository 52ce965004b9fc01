"""Which code made a plan, a run or a report, and which code computed: two digests of the sources that are installed.

Answers and calibrations are bound to the second alone. It covers the rooms whose statements decide about a number, so
that a changed page, docstring or comment asks no model anew.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("provenance", "audits")
COMPUTING_ROOMS = (
    "provenance/canonical.py",
    "provenance/intake/decoding.py",
    "provenance/intake/grey.py",
    "provenance/keying",
    "provenance/marks",
    "provenance/embedding",
    "audits/statistics",
    "audits/asking",
    "audits/judging",
    "audits/other_tests",
    "audits/suspects",
    "audits/calibration",
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DIGITS = 12  # of a SHA-256 in hex


@cache
def code_version() -> str:
    """For instance "0.1.0 (sources 1f2e3d4c5b6a, computing 6f5e4d3c2b1a)": our release and both digests."""
    try:
        number = version("touchmark")
    except PackageNotFoundError:  # run from a checkout that was never installed
        number = "0.1.0"
    return f"{number} (sources {sources_digest(ROOT)}, computing {computing_digest()})"


@cache
def computing_digest() -> str:
    """Of the code that is installed; what answers and calibrations are bound to."""
    return digest_of_statements(ROOT)


def computes_alike(one: str, other: str) -> bool:
    """Whether two code versions compute the same. Those written before there were two digests have to be the same."""
    return _computing_part(one) == _computing_part(other)


def sources_digest(root: Path) -> str:
    """Over all our Python files, byte by byte."""
    files = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    return _digest(root, ((path, path.read_bytes()) for path in files))


def digest_of_statements(root: Path) -> str:
    """Over the computing rooms as Python parses them, without docstrings, comments and layout."""
    return _digest(root, ((path, _statements(path).encode()) for path in _computing_files(root)))


def _computing_files(root: Path) -> Iterable[Path]:
    for room in COMPUTING_ROOMS:
        place = root / room
        yield from sorted(place.rglob("*.py")) if place.is_dir() else (place,)


def _statements(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def _digest(root: Path, contents: Iterable[tuple[Path, bytes]]) -> str:
    state = hashlib.sha256()
    for path, content in contents:
        state.update(f"{path.relative_to(root).as_posix()}\0".encode())
        state.update(hashlib.sha256(content).digest())
    return state.hexdigest()[:DIGITS]


def _computing_part(code: str) -> str:
    return code.rpartition("computing ")[2].removesuffix(")")
