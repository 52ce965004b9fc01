"""How captions are read: folding, what a word is, and where one begins and ends. In every script."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby, pairwise

# Scripts that are written without spaces between words: a name in them is found anywhere, for there is no edge to ask
# for. Han and Kana with their marks, Thai, Lao, Tibetan, Myanmar, Khmer.
_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_UNSPACED = f"{_HAN}{_KATAKANA}\u3040-\u309f\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\uaa60-\uaa7f"


@cache
def letters() -> str:
    """A class of the characters of words that have edges: Python's \\w, and accents, vowel signs and joiners.

    One flat class, because looking behind at every character is all the work of finding names. Made when it is first
    needed: no page and no command should wait for it.
    """
    unspaced = re.compile(f"[{_UNSPACED}]")
    ranges: list[list[int]] = []
    for code in (*range(0x323B0), *range(0xE0100, 0xE01F0)):  # beyond are no letters and no marks
        character = chr(code)
        part = character.isalnum() or character == "_" or code in (0x200C, 0x200D)
        if (part or unicodedata.category(character)[0] == "M") and not unspaced.match(character):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in ranges)}]"


@cache
def _letter() -> re.Pattern[str]:
    return re.compile(letters())


@cache
def _words() -> re.Pattern[str]:
    return re.compile(rf"(?P<spaced>{letters()}+)|(?P<han>[{_HAN}]+)|(?P<katakana>[{_KATAKANA}]+)")


_ASCII_GAPS = re.compile(r"[^\w ]+", re.ASCII)


# Raise it when `folded` changes: files of folded captions have it in their names, so that older ones are not read.
FOLDING = 1


def folded(text: str) -> str:
    """Text as names and captions are compared: any case, composed or decomposed, any white space."""
    text = text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())
    return " ".join(text.split())


def is_letter(character: str) -> bool:
    """Whether it belongs to a word that has edges, so that a name must not begin or end inside it."""
    return _letter().match(character) is not None


class Names:
    """Finds folded names in folded texts: whole words, where their script has them; the longest that fits."""

    def __init__(self, names: Iterable[str]) -> None:
        longest_first = sorted(names, key=lambda name: (-len(name), name))  # an alternation takes the first that fits
        parts = []
        for edged, run in groupby(longest_first, lambda name: is_letter(name[-1:])):
            parts.append(f"(?:{'|'.join(map(re.escape, run))})" + (f"(?!{letters()})" if edged else ""))
        self._letter = _letter()
        self._pattern = re.compile("|".join(parts) or r"(?!)")

    def found_in(self, text: str) -> Iterator[str]:
        """Names in the order of the text, none overlapping another."""
        at = 0
        while match := self._pattern.search(text, at):
            start, at = match.span()
            # Looked at here, not in the pattern: one that begins with literals is ten times as fast.
            if start and self._letter.match(text, start) and self._letter.match(text, start - 1):
                at = start + 1
            else:
                yield match.group()


def terms(text: str) -> Iterator[str]:
    """Words and phrases of two words of a folded text, repeated where they are.

    A phrase is two words with one space between them. Of scripts without spaces: every Chinese character and pair of
    characters, and unbroken runs of Katakana; of Thai and its neighbours nothing, for their words cannot be told
    apart without a dictionary.
    """
    if text.isascii():  # the same, three times as fast
        for piece in _ASCII_GAPS.split(text):
            words = piece.split(" ")
            yield from filter(None, words)
            yield from (f"{first} {second}" for first, second in pairwise(words) if first and second)
        return
    last, end = "", -2
    for match in _words().finditer(text):
        word, start = match.group(), match.start()
        if match.lastgroup == "han":
            yield from word
            yield from map("".join, pairwise(word))
        else:
            yield word
        if match.lastgroup == "spaced":
            if start == end + 1 and text[end] == " ":
                yield f"{last} {word}"
            last, end = word, match.end()
