"""Which code made a plan, a run or a report: the version and a digest of the sources that are installed."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("provenance", "audits")


@cache
def code_version() -> str:
    """For instance "0.1.0 (sources 1f2e3d4c5b6a)": twelve hex digits of SHA-256 over all our Python files."""
    root = Path(__file__).resolve().parents[1]
    state = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            state.update(f"{path.relative_to(root)}\0".encode())
            state.update(hashlib.sha256(path.read_bytes()).digest())
    try:
        number = version("touchmark")
    except PackageNotFoundError:  # run from a checkout that was never installed
        number = "0.1.0"
    return f"{number} (sources {state.hexdigest()[:12]})"
