"""The words of a report's PDF."""

import io
import re
from functools import cache

from pypdf import PdfReader

from audits.report.document import render_pdf
from audits.report.facts import ReportFacts


def read(made: ReportFacts, pages: int | None = None) -> tuple[PdfReader, str]:
    """The document and the words on its first `pages` (all of them without it)."""
    data = made.to_json()
    reader = document_of(data)
    text = "\n".join(words_on(data, number) for number in range(len(reader.pages))[:pages])
    return reader, re.sub(r"\s+", " ", text.replace("\u200b", ""))


@cache
def document_of(facts_as_json: bytes) -> PdfReader:
    """Laid out once: the same facts give the same bytes, as is tested."""
    return PdfReader(io.BytesIO(render_pdf(ReportFacts.from_json(facts_as_json))))


@cache
def words_on(facts_as_json: bytes, page: int) -> str:
    """Of a page, counted from 0; to read it takes longer than to lay it out."""
    return document_of(facts_as_json).pages[page].extract_text()
