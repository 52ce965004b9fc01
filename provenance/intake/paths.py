"""Which names a dataset may hold. One policy for archives, folders and label files."""

import re
import unicodedata

from .errors import Refused

PATH_BYTES = 1024
NAME_BYTES = 255
DEPTH = 32

JUNK_FOLDERS = {"__MACOSX", ".git", ".svn", "@eaDir", ".ipynb_checkpoints"}
JUNK_FILES = {".DS_Store", "Thumbs.db", "desktop.ini", ".gitkeep", ".gitignore", ".localized"}
_DRIVE = re.compile(r"^[A-Za-z]:")
# Plain names pass without a look at each character. Everything else is judged by Unicode category.
_PLAIN = re.compile(r"[A-Za-z0-9_\- ()+,=@#~!%&\[\]{};'./]*\Z")
# Zero-width joiners belong to words and emoji; every other format character (text direction, tags) only misleads.
_JOINERS = {"\u200c", "\u200d"}


def safe_path(name: str) -> str:
    """The path that ``name`` gets in a manifest: relative, NFC, "/" between parts. Raises ``Refused`` otherwise."""
    if not _PLAIN.match(name):
        _refuse_bad_characters(name)
        name = unicodedata.normalize("NFC", name)
    if name.startswith("/"):
        raise Refused("absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if parts and _DRIVE.match(parts[0]):
        raise Refused("path with a drive letter")
    if ".." in parts:
        raise Refused("path leaves the dataset's folder (..)")
    if not parts:
        raise Refused("empty path")
    if len(parts) > DEPTH:
        raise Refused(f"more than {DEPTH} folders deep")
    path = "/".join(parts)
    if len(path.encode()) > PATH_BYTES:
        raise Refused(f"path longer than {PATH_BYTES} bytes")
    if any(len(part.encode()) > NAME_BYTES for part in parts):
        raise Refused(f"name longer than {NAME_BYTES} bytes")
    if junk(parts):
        raise Refused("left behind by a file browser or a tool, not part of the dataset", skipped=True)
    return path


def _refuse_bad_characters(name: str) -> None:
    for character in name:
        category = unicodedata.category(character)
        if category == "Cs":
            raise Refused("name is not valid UTF-8")
        if category in ("Cc", "Zl", "Zp") or (category == "Cf" and character not in _JOINERS):
            raise Refused("control character in the name")
        if character == "\\":
            raise Refused("backslash in the name")


def junk(parts: list[str]) -> bool:
    """Whether the path's parts name something that file browsers and tools leave behind."""
    return parts[-1] in JUNK_FILES or parts[-1].startswith("._") or not JUNK_FOLDERS.isdisjoint(parts)


def shown(name: str | bytes) -> str:
    """``name`` as it can be listed: valid UTF-8, nothing that moves a cursor, at most 300 characters."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    text = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text[:300]
    )
    return text[:300]


def folded(path: str) -> str:
    """Equal for two paths that a case-insensitive file system would take for one."""
    return unicodedata.normalize("NFC", path.casefold())
