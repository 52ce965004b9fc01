"""Lays out the report as a PDF: archival (PDF/A-2a), accessible (PDF/UA-1), and the same bytes for the same facts.

All words reach typst as data (a JSON string that the template parses), never as markup, so no name can run code or
change the page. Only fonts inside the typst wheel are used, and those in folders that the caller names; characters
that none of them can draw are shown as their code points, "[U+65E5]".
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import typst

from audits.report.facts import ReportFacts
from audits.report.view import view_of
from audits.report.wording import moment, printable
from provenance.errors import TouchmarkError

TEMPLATE = Path(__file__).with_name("report.typ")
STANDARDS: list[Literal["a-2a", "ua-1"]] = ["a-2a", "ua-1"]

_UNDRAWABLE = re.compile(r'the text `"(.+?)"` could not be displayed|the PDF contains the codepoint `"(.+?)"`')
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")
_PROBE = b"""#set document(title: "probe")
#set text(font: ("Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono"))
#for character in json(bytes(sys.inputs.characters)) [#character #parbreak()]
"""


class DocumentError(TouchmarkError):
    """The report's PDF could not be made; the message is a sentence, the cause says what typst found."""


def render_pdf(facts: ReportFacts, fonts: Sequence[Path] = ()) -> bytes:
    """The report as PDF bytes. `fonts` names folders with further fonts (for scripts the wheel's own lack).

    The same facts and fonts give the same bytes. Raises FactsError where a time cannot be read, DocumentError where
    the page cannot be laid out.
    """
    view = view_of(facts)
    undrawable = _undrawable(frozenset(_characters(view)), tuple(fonts))
    shown = _mapped(view, lambda text: printable(text, undrawable))
    try:
        result = typst.compile(
            TEMPLATE.read_bytes(),
            font_paths=_fonts(tuple(fonts)),
            ignore_system_fonts=True,
            sys_inputs={"view": json.dumps(shown, ensure_ascii=False)},
            pdf_standards=[*STANDARDS],
            timestamp=int(moment(facts.issued_at).timestamp()),
        )
    except typst.TypstError as error:
        raise DocumentError("The report could not be laid out as a PDF; the facts themselves are kept.") from error
    return bytes(result)


@cache
def _fonts(folders: tuple[Path, ...]) -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=list(folders))


def _undrawable(characters: frozenset[str], folders: tuple[Path, ...]) -> frozenset[str]:
    """Which characters no font can draw, asked of typst itself by laying out each of them alone."""
    wanted = sorted(
        character for character in characters if ord(character) > 0x7E and printable(character) == character
    )
    missing: set[str] = set()
    while wanted:
        try:
            typst.compile(
                _PROBE,
                font_paths=_fonts(folders),
                ignore_system_fonts=True,
                sys_inputs={"characters": json.dumps(wanted, ensure_ascii=False)},
                pdf_standards=[*STANDARDS],
                timestamp=0,
            )
        except typst.TypstError as error:
            named = {_unescaped(a or b) for a, b in _UNDRAWABLE.findall(error.diagnostic)} & set(wanted)
            if not named:
                raise DocumentError("The fonts for the report's PDF could not be read.") from error
            missing |= named
            wanted = [character for character in wanted if character not in named]
        else:
            break
    return frozenset(missing)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _characters(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _characters(part)
    elif isinstance(value, list):
        for part in value:
            yield from _characters(part)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [_mapped(part, change) for part in value]
    return value
