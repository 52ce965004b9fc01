"""Which words of its captions would make good groups of a dataset: large, even, and hardly ever two in one caption.

Three passes in memory that does not grow: terms are counted in a table of bounded size; a sample of the captions
chooses those whose groups are disjoint; the third counts what a release would count.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from provenance.errors import TouchmarkError
from provenance.marks.captions import folded, terms
from provenance.marks.function_words import FUNCTION_WORDS
from provenance.marks.groups import Grouping, plan_groups

DEFAULT_COUNT = 10
LEAST_COUNT, MOST_COUNT = 4, 32
TABLE = 200_000  # terms in the table of the first pass, some 20 MiB
SHORTLIST = 256  # terms that the choice is made from
SAMPLE = 1 << 17  # captions that the choice looks at
LEAST_IMAGES = 4  # a word of fewer images makes no group
MOST_OF_ALL = 0.4  # a word in more of the captions than this leaves too few for the other groups
ROUNDS = 4  # of exchanging single words, at most
_LONGEST = 60  # characters of a term: longer ones are digests and addresses, not words

Progress = Callable[[int, int, str], None]


class WordsError(TouchmarkError):
    """Words cannot be suggested like this; the sentence says what to ask for instead."""


@dataclass(frozen=True)
class SuggestedWord:
    """A word or phrase, folded: in how many captions it stands, and in how many without any other chosen one."""

    word: str
    images: int
    alone: int


@dataclass(frozen=True)
class Suggestion:
    """Words for groups, the largest first. `alone`, `ambiguous` and `outside` are what `plan_groups` counts.

    `table_error`: a word was overlooked in the first pass only if fewer captions than this hold it.
    """

    words: tuple[SuggestedWord, ...]
    captions: int
    ambiguous: int
    outside: int
    table_error: int


@dataclass(frozen=True)
class _Captioned:
    """The one thing that `Grouping` reads of an entry here."""

    caption: str | None
    path: str = ""
    sha256: str = ""
    label: str | None = None


class TermTable:
    """Counts of terms in bounded memory.

    Misra and Gries, 1982, in the batched form of Anderson et al., "A high-performance algorithm for identifying
    frequent items in data streams", 2017. A true count lies between `count` and `count + error`; `error` is at most
    twice the additions over the table's size.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: dict[str, int] = {}
        self.error = 0

    def add(self, found: Iterable[str]) -> None:
        """Count each of `found` once."""
        counts = self._counts
        for term in found:
            counts[term] = counts.get(term, 0) + 1
        if len(counts) > self._size:
            self._shrink()

    def _shrink(self) -> None:
        values = np.fromiter(self._counts.values(), dtype=np.int64, count=len(self._counts))
        # The median is taken off all counts, and what falls to zero is dropped.
        lost = int(np.partition(values, len(values) // 2)[len(values) // 2])
        self._counts = {term: count - lost for term, count in self._counts.items() if count > lost}
        self.error += lost

    def most_frequent(self, number: int, wanted: Callable[[str, int], bool]) -> list[str]:
        """Terms by falling count, of equal ones the shortest first; those alone that are `wanted(term, count)`."""
        rows = [(-count, len(term), term) for term, count in self._counts.items() if wanted(term, count)]
        return [term for _, _, term in sorted(rows)[:number]]


def suggest_words(
    read: Callable[[], Iterable[str | None]],
    count: int = DEFAULT_COUNT,
    progress: Progress = lambda done, total, phase: None,
) -> Suggestion:
    """Choose up to `count` (4 to 32) words or phrases whose groups are large, even and disjoint; always the same ones.

    Maximises the product of the groups' sizes, greedily and then by exchanging single words, over a sample. read: gives
    the captions in the manifest's order, None where there is none; called three times. progress: (done, total, phase).
    Raises WordsError.
    """
    if not LEAST_COUNT <= count <= MOST_COUNT:
        raise WordsError(f"Ask for {LEAST_COUNT} to {MOST_COUNT} words.")
    counted, images, captions = _count_terms(told(read(), progress, 0, "counting words"))
    most = max(LEAST_IMAGES, MOST_OF_ALL * captions)
    shortlist = counted.most_frequent(SHORTLIST, lambda term, n: LEAST_IMAGES <= n <= most and says_something(term))
    sample = _sample(told(read(), progress, images, "comparing words"), captions, shortlist)
    chosen = [shortlist[index] for index in choose(shortlist, sample, count)]
    while True:
        found = _counted(told(read(), progress, 2 * images, "counting groups"), chosen, captions, counted.error)
        large = [word.word for word in found.words if word.alone >= LEAST_IMAGES]
        if len(large) == len(chosen):
            return found
        chosen = large  # rare: the sample promised more than all captions hold


def says_something(term: str) -> bool:
    """Whether a word or phrase may name a group: no function word in it, no bare number, no single letter."""
    return len(term) <= _LONGEST and all(
        word not in FUNCTION_WORDS and not word.isdecimal() and (len(word) > 1 or not word.isascii())
        for word in term.split()
    )


def told(captions: Iterable[str | None], progress: Progress, before: int, phase: str) -> Iterator[str | None]:
    """The captions, while progress is told; of the total only later passes know."""
    for number, caption in enumerate(captions):
        if not number % 2000:
            progress(before + number, 3 * before if before else 0, phase)
        yield caption


def _count_terms(captions: Iterable[str | None]) -> tuple[TermTable, int, int]:
    """The table of terms, the number of images, and the number of those with a caption."""
    table, images, captioned = TermTable(TABLE), 0, 0
    for caption in captions:
        images += 1
        if caption:
            captioned += 1
            table.add(set(terms(folded(caption))))
    return table, images, captioned


def _sample(captions: Iterable[str | None], number: int, shortlist: Sequence[str]) -> np.ndarray:
    """(terms, captions / 64) uint64: which term stands in which caption of an evenly spaced sample."""
    step = max(1, math.ceil(number / SAMPLE))
    index = {term: row for row, term in enumerate(shortlist)}
    marks = np.zeros((len(shortlist), 8 * math.ceil(max(number, 1) / step / 64)), dtype=np.uint8)
    with_caption = (caption for caption in captions if caption)
    for position, caption in enumerate(with_caption):
        if position % step:
            continue
        byte, bit = divmod(position // step, 8)
        for term in set(terms(folded(caption))):
            if (row := index.get(term)) is not None:
                marks[row, byte] |= 1 << bit
    return marks.view(np.uint64)


def choose(shortlist: Sequence[str], marks: np.ndarray, count: int) -> list[int]:
    """Rows of `marks` whose groups have the largest product of sizes, an image with two of them being in neither.

    Args: shortlist: (N,) terms. marks: (N, W) uint64 bit sets of the captions that hold them.
    Returns: up to `count` of them; fewer where any further word would cost more than it brings.
    """
    clash = _clashes(shortlist)
    chosen: list[int] = []
    worth = 0.0
    while len(chosen) < min(count, len(shortlist)):
        best, gained = _best_addition(marks, clash, chosen)
        if best is None or gained <= worth:
            break
        chosen.append(best)
        worth = gained
    for _ in range(ROUNDS):
        before = worth
        for place in range(len(chosen)):
            others = chosen[:place] + chosen[place + 1 :]
            best, gained = _best_addition(marks, clash, others)
            if best is not None and gained > worth + 1e-9:
                chosen[place], worth = best, gained
        if worth == before:
            break
    return chosen


def _best_addition(marks: np.ndarray, clash: np.ndarray, chosen: list[int]) -> tuple[int | None, float]:
    """The row that makes most of the chosen ones, and the logarithm of the product with it."""
    held, once = np.zeros((2, marks.shape[1]), dtype=np.uint64)
    for row in chosen:
        once = (once & ~marks[row]) | (marks[row] & ~held)
        held = held | marks[row]
    worth = np.log(_bits(marks & ~held).astype(np.float64) + 1e-9)
    for row in chosen:
        mine = marks[row] & once
        worth += np.log(int(_bits(mine)) - _bits(marks & mine) + 1e-9)
    worth[clash[chosen].any(axis=0)] = -np.inf
    best = int(np.argmax(worth)) if len(worth) else 0
    return (best, float(worth[best])) if len(worth) and np.isfinite(worth[best]) else (None, -np.inf)


def _bits(sets: np.ndarray) -> np.ndarray:
    counted: np.ndarray = np.bitwise_count(sets).sum(axis=-1, dtype=np.int64)
    return counted


def _clashes(shortlist: Sequence[str]) -> np.ndarray:
    """(N, N) bool: the same term, one a part of the other ("cat" and "black cat"), or its plural in s."""
    clash = np.eye(len(shortlist), dtype=bool)
    row = {term: number for number, term in enumerate(shortlist)}
    for term, number in row.items():
        for part in (*term.split(), *term, f"{term}s", f"{term}es"):
            if (other := row.get(part)) is not None:
                clash[number, other] = clash[other, number] = True
    return clash


def _counted(captions: Iterable[str | None], chosen: Sequence[str], number: int, error: int) -> Suggestion:
    """What a release would count, by the very code that it counts with."""
    images = [0] * len(chosen)
    single = [Grouping("word", (word,)) for word in chosen]

    def entries() -> Iterator[_Captioned]:
        for caption in captions:
            entry = _Captioned(caption)
            text = folded(caption or "")
            for place, word in enumerate(chosen):
                images[place] += word in text and single[place].group_of(entry) == 0
            yield entry

    plan = plan_groups(entries(), "word", chosen, 1.0)
    words = (SuggestedWord(group.name, n, group.images) for group, n in zip(plan.groups, images, strict=True))
    ranked = sorted((word for word in words), key=lambda word: (-word.alone, word.word))
    return Suggestion(tuple(ranked), number, plan.ambiguous, plan.outside, error)
